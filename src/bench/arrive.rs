//! How the connections get in: connected and greeted, in their rooms, and sure to hear whatever is sent from then on.

use super::line::{self, Form, Line, PROBE, Said};
use super::load::{Happening, Load};
use super::plan::{Plan, Protocol};
use super::progress::Progress;
use std::time::Duration;

/// Connections that are on their way at a time. More would only wait at the server, where small backlogs overflow.
const CONNECTING_MAX: usize = 64;
/// How long a turn waits when nothing happens.
const DOZE: Duration = Duration::from_millis(10);
/// After this silence a room says no more about who came: madang does so at most once a second.
const ANNOUNCED_NS: u64 = 1_250_000_000;
/// When it is asked again who is there; doubled each time.
const PROBE_AGAIN_NS: u64 = 100_000_000;

/// Who has shown a sign that was waited for.
struct Roll {
    shown: Vec<bool>,
    count: usize,
    last_ns: u64,
    patience_ns: u64,
    what: &'static str,
}

impl Roll {
    fn new(load: &Load, plan: &Plan, what: &'static str) -> Roll {
        Roll {
            shown: vec![false; plan.connections()],
            count: 0,
            last_ns: load.now_ns(),
            patience_ns: plan.patience.as_nanos() as u64,
            what,
        }
    }

    /// One turn; `is_sign` says whether a happening is what is waited for.
    fn turn(
        &mut self,
        load: &mut Load,
        mut is_sign: impl FnMut(usize, &Happening<'_>) -> bool,
    ) -> Result<(), String> {
        let (mut complaint, mut gone) = (None, None);
        let before = self.count;
        load.turn(DOZE, |number, happening| {
            match happening {
                Happening::Line { line, .. } if line.starts_with(b"! ") => {
                    complaint.get_or_insert_with(|| text(line));
                }
                Happening::Gone => gone = Some(number),
                _ => {}
            }
            if is_sign(number, &happening) && !self.shown[number] {
                self.shown[number] = true;
                self.count += 1;
            }
        })?;
        let (count, all, what) = (self.count, self.shown.len(), self.what);
        let so_far = format!("{count} of {all} connections were {what}");
        if let Some(complaint) = complaint {
            return Err(format!("{so_far}, then the server said: {complaint}"));
        }
        if let Some(number) = gone {
            return Err(format!(
                "{so_far}, then the server closed connection {number}"
            ));
        }
        let now = load.now_ns();
        if count > before {
            self.last_ns = now;
        } else if now - self.last_ns > self.patience_ns {
            let seconds = self.patience_ns / 1_000_000_000;
            return Err(format!(
                "only {so_far}, and for {seconds} s no more; does the server speak another --protocol?"
            ));
        }
        Ok(())
    }
}

/// A line for people; what is no UTF-8 in it is replaced.
pub fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).escape_debug().to_string()
}

/// Connects all; how long that took, in nanoseconds. Madang's greeting belongs to it.
///
/// # Errors
/// Not all are let in.
pub fn connect(load: &mut Load, plan: &Plan, progress: &mut Progress) -> Result<u64, String> {
    let all = plan.connections();
    let start = load.now_ns();
    let what = match plan.protocol {
        Protocol::Madang => "greeted",
        Protocol::Raw => "let in",
    };
    let mut roll = Roll::new(load, plan, what);
    progress.begin("connecting", all as u64);
    while roll.count < all {
        let places = CONNECTING_MAX.saturating_sub(load.len() - roll.count);
        for _ in 0..places.min(all - load.len()) {
            if !load.connect(plan.is_slow(load.len()))? {
                break;
            }
        }
        roll.turn(load, |_, happening| match (happening, plan.protocol) {
            (Happening::Connected, Protocol::Raw) => true,
            (Happening::Line { line, .. }, Protocol::Madang) => line.starts_with(b"* you are "),
            _ => false,
        })?;
        progress.show(roll.count as u64);
    }
    Ok(load.now_ns() - start)
}

/// Sends everybody to its room, and waits until these have nothing more to say about it: what a room announces counts
/// among the lines that it may skip.
///
/// # Errors
/// Not all are let in there.
pub fn join(load: &mut Load, plan: &Plan, run: u64, progress: &mut Progress) -> Result<(), String> {
    let all = plan.connections();
    let mut members = vec![0; plan.rooms as usize];
    for number in 0..all {
        let room = plan.room(number);
        members[room] += 1;
        load.say(number, format!("/join bench-{run:x}-{room}\n").as_bytes())?;
    }
    let mut roll = Roll::new(load, plan, "in their rooms");
    // How many have heard that all are there. The last to come may be told so in its own reply only.
    let mut informed = vec![0; members.len()];
    let mut entered = |number: usize, happening: &Happening<'_>| {
        let Happening::Line { line, .. } = happening else {
            return false;
        };
        let room = plan.room(number);
        let reply = line.starts_with(b"* you are in ");
        informed[room] += usize::from(!reply && line::here(line) == Some(members[room]));
        reply
    };
    progress.begin("entering rooms", all as u64);
    while roll.count < all {
        roll.turn(load, &mut entered)?;
        progress.show(roll.count as u64);
    }
    let quiet_at = load.now_ns() + ANNOUNCED_NS;
    let is_informed = |informed: &[usize]| {
        let rooms = informed.iter().zip(&members);
        rooms.into_iter().all(|(&some, &all)| some + 1 >= all)
    };
    while !is_informed(&informed) && load.now_ns() < quiet_at {
        load.turn(DOZE, |number, happening| {
            if let Happening::Line { line, .. } = happening {
                let room = plan.room(number);
                informed[room] += usize::from(line::here(line) == Some(members[room]));
            }
        })?;
    }
    Ok(())
}

/// Makes sure that everybody hears: without a greeting only a line that arrives shows that the server has let somebody
/// in. The first sender asks until all others have heard it.
///
/// # Errors
/// Somebody never hears.
pub fn probe(
    load: &mut Load,
    plan: &Plan,
    form: &Form,
    progress: &mut Progress,
) -> Result<(), String> {
    let asking = plan.receivers as usize;
    let mut roll = Roll::new(load, plan, "reached");
    let mut probe = Vec::new();
    form.write(
        &mut probe,
        Said {
            sender: 0,
            number: PROBE,
            at_ns: 0,
        },
    );
    let (mut again_at, mut pause) = (load.now_ns(), PROBE_AGAIN_NS);
    progress.begin("asking who is there", plan.connections() as u64);
    while roll.count < plan.connections() - 1 {
        if load.now_ns() >= again_at {
            load.say(asking, &probe)?;
            again_at = load.now_ns() + pause;
            pause *= 2;
        }
        roll.turn(load, |number, happening| match happening {
            Happening::Line { line, .. } => {
                number != asking
                    && matches!(form.read(line), Line::Said(said) if said.number == PROBE)
            }
            _ => false,
        })?;
        progress.show(roll.count as u64);
    }
    Ok(())
}
