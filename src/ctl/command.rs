//! Asks a server once: sends a command and prints the answer, up to its end. What an answer is as JSON is in `answer`.

use super::Ended;
use super::answer::JsonAnswer;
use super::client::Client;
use crate::protocol::{Line, Notice};
use std::io::{self, ErrorKind, Write};

/// Sends a command, and prints the answer.
///
/// # Errors
/// The answer does not come whole, or cannot be written: in words.
pub fn run(
    mut client: Client,
    command: &str,
    as_json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Ended, String> {
    // The server reads on when the answer is out: so its goodbye is the answer's end.
    client.send(&format!("{command}\n/quit\n"))?;
    let mut json = as_json.then(|| JsonAnswer::new(command));
    let mut out = Out {
        to: out,
        is_closed: false,
    };
    let (mut ended, mut is_shutting_down) = (Ended::Done, false);
    loop {
        let Some(line) = client.next_line()? else {
            if is_shutting_down && ends_server(command) {
                break;
            }
            let why = if is_shutting_down {
                "the server ends"
            } else {
                "closed by the server"
            };
            out.flush()?;
            return Err(format!("{}; the answer is not complete", client.lost(why)));
        };
        let text = match Line::parse(&line) {
            Line::Refusal(why) => {
                ended = Ended::Refused;
                let _ = writeln!(err, "madang: {why}");
                if let Some(json) = &mut json {
                    json.refuse(why);
                }
                continue;
            }
            Line::Notice(text) => match Notice::parse(text) {
                Notice::Goodbye {} => break,
                notice => {
                    is_shutting_down |= notice == Notice::ShuttingDown {};
                    text
                }
            },
            // A person speaks: as it stands.
            _ => &line,
        };
        match &mut json {
            Some(json) => json.push(text),
            None => out.write(&format!("{text}\n"))?,
        }
    }
    if let Some(json) = json {
        for line in json.strays() {
            let _ = writeln!(err, "madang: the server also says: {line}");
        }
        out.write(&json.text())?;
    }
    out.flush()?;
    Ok(ended)
}

/// Whether a command ends the server, so that its answer may end with the connection.
fn ends_server(command: &str) -> bool {
    let word = command.split(' ').next().unwrap_or_default();
    ["/shutdown", "/drain"]
        .iter()
        .any(|ends| word.eq_ignore_ascii_case(ends))
}

/// Standard output. A reader that has seen enough (`| head`) is no error: the command is carried out all the same.
struct Out<'a> {
    to: &'a mut dyn Write,
    is_closed: bool,
}

impl Out<'_> {
    fn write(&mut self, text: &str) -> Result<(), String> {
        if self.is_closed {
            return Ok(());
        }
        let written = self.to.write_all(text.as_bytes());
        self.check(written)
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.check(flushed)
    }

    fn check(&mut self, written: io::Result<()>) -> Result<(), String> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_closed = true,
            Err(error) => return Err(format!("cannot write to standard output: {error}")),
            Ok(()) => {}
        }
        Ok(())
    }
}
