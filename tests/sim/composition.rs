//! What a simulated client says: lines that are unique, commands, invalid input. Sends nothing: what is composed is pending.

use super::behavior::Costly;
use super::client::Client;
use fastrand::Rng;

impl Client {
    /// Composes a line: mostly text, sometimes a command; sometimes invalid input before it.
    pub fn compose(&mut self, rng: &mut Rng, rooms: usize, peers: usize) {
        self.lines += 1;
        let (number, n) = (self.number, self.lines);
        let unique = format!("L{number}.{n}.");
        let mut text =
            unique.clone() + &"한글 text ~ ".repeat(rng.usize(0..=self.behavior.line) / 16);
        if rng.u8(0..100) < self.behavior.junk {
            let junk: [&[u8]; 6] = [
                b"bad \xc3\x28 utf\n",
                b"\xff\xfd\x01\xff\xfb\x18",
                b"\n\r\n\r\0",
                &[b'z'; 5000],
                b"\n",
                b"\xff\xf6",
            ];
            self.pending.extend(junk[rng.usize(..junk.len())]);
            // What follows is a line of its own.
            self.pending.push_back(b'\n');
        }
        if let Some(costly) = self.behavior.costly
            && rng.u8(0..10) > 0
        {
            return self.compose_costly(costly, rooms, unique);
        }
        if rng.u8(0..100) < self.behavior.commands {
            return self.compose_command(rng, rooms, peers, &text);
        }
        if rng.u8(0..8) == 0 {
            self.enqueue(&format!("{text}\x1b[2J\u{202e}"));
            text += "␛[2J\u{fffd}";
        } else {
            self.enqueue(&text);
        }
        self.said.push((self.stays, text));
    }

    fn compose_costly(&mut self, costly: Costly, rooms: usize, unique: String) {
        let (number, length) = (letters(self.number), self.behavior.line);
        match costly {
            Costly::Renames => {
                let name = ["x", "z"][self.lines % 2];
                self.ask_name(format!("{number}{name}"));
            }
            Costly::Moves if rooms > 1 => {
                self.room = usize::from(self.room == 0);
                self.stays += 1;
                self.enqueue(&format!("/join {}", room_name(self.room)));
            }
            Costly::Moves | Costly::Growing => {
                self.enqueue(&(unique.clone() + &"\u{1b}".repeat(length)));
                self.said.push((self.stays, unique + &"␛".repeat(length)));
            }
            Costly::Who => self.enqueue(&format!("/who {}", "\u{fdfa}".repeat(length / 3))),
            Costly::MessagesToNobody => self.enqueue(&format!("/msg nobody {unique}")),
            // The first observer is guest1, and stays that.
            Costly::LookAlikes => self.enqueue("/nick guestl"),
        }
    }

    fn compose_command(&mut self, rng: &mut Rng, rooms: usize, peers: usize, text: &str) {
        match rng.u8(0..16) {
            0..=2 if rooms > 1 => {
                self.room = (self.room + rng.usize(1..rooms)) % rooms;
                self.stays += 1;
                self.enqueue(&format!("/join {}", room_name(self.room)));
            }
            3..=4 => {
                self.names += 1;
                let name = format!("{}x{}", letters(self.number), letters(self.names));
                self.ask_name(name);
            }
            5 => match rng.usize(0..=peers) {
                0 => self.enqueue(&format!("/msg host {text}")),
                guest => self.enqueue(&format!("/msg guest{guest} {text}")),
            },
            6 => {
                self.enqueue(&format!("/me {text}"));
                self.said.push((self.stays, text.trim_end().into()));
            }
            7 => self.enqueue("/who"),
            8 => self.enqueue("/rooms"),
            9 => self.enqueue("/help"),
            10 => self.enqueue("/nick server"),
            11..=13 => {
                let command = ["ignore", "ignore", "unignore"][rng.usize(..3)];
                let name = some_name(rng, peers);
                self.enqueue(&format!("/{command} {name}"));
            }
            14 => self.enqueue(&format!("/whois {}", some_name(rng, peers))),
            _ => self.enqueue("/frob"),
        }
    }

    fn ask_name(&mut self, name: String) {
        self.enqueue(&format!("/nick {name}"));
        self.asked_names.insert(name);
    }
}

/// A name that some client may have.
fn some_name(rng: &mut Rng, peers: usize) -> String {
    match rng.usize(0..=2 * peers) {
        0 => "host".into(),
        guest if guest <= peers => format!("guest{guest}"),
        peer => format!("{}x{}", letters(peer - peers - 1), letters(rng.usize(1..3))),
    }
}

/// The name of the room with this number.
pub fn room_name(room: usize) -> String {
    if room == 0 {
        "lobby".into()
    } else {
        format!("room-{}", letters(room))
    }
}

/// A number written in nine letters that do not look alike. A number below 9 is one letter, so no client's name is a
/// prefix of another's.
pub fn letters(mut number: usize) -> String {
    let mut out = String::new();
    loop {
        out.push(['a', 'b', 'd', 'e', 'f', 'h', 'k', 't', 'y'][number % 9]);
        number /= 9;
        if number == 0 {
            return out;
        }
    }
}
