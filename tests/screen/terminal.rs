//! A terminal of the test's own: the program draws on it, and what stands there can be read.

use crate::support::{Place, signal, until};
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The program, with its stderr on a terminal.
pub(super) struct OnTerminal {
    child: Child,
    /// The terminal's own end.
    own: File,
    seen: Arc<Mutex<Seen>>,
    reading: Option<JoinHandle<()>>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

fn parser(rows: u16, columns: u16) -> vt100::Parser {
    vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0)
}

impl OnTerminal {
    pub(super) fn start(place: &Place, columns: u16, env: &[(&str, &str)], args: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).unwrap();
        let mut command = place.command(args);
        command.env("TERM", "xterm").env_remove("NO_COLOR").envs(env.iter().copied());
        command.stdout(Stdio::null()).stderr(ends.slave);
        let child = command.spawn().unwrap();
        // Its end of the terminal goes with it, or nobody would ever see the end.
        drop(command);
        let own = File::from(ends.master);
        let seen = Arc::new(Mutex::new(Seen { parser: parser(24, columns), bytes: Vec::new() }));
        let (mut from, into) = (own.try_clone().unwrap(), Arc::clone(&seen));
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // An error is how a terminal says that nobody has it open any more.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                let mut seen = into.lock().unwrap();
                seen.parser.process(&bytes[..count]);
                seen.bytes.extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, own, seen, reading: Some(reading) }
    }

    /// What stands on the terminal, without what is blank at the ends of lines.
    pub(super) fn text(&self) -> String {
        let text = self.seen.lock().unwrap().parser.screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        until(&format!("{what}; there stood:\n{}", self.text()), || holds(&self.text()));
        self.text()
    }

    /// All that was written so far.
    pub(super) fn bytes(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().bytes.clone()).unwrap()
    }

    /// Whether a line was too long for the terminal.
    pub(super) fn has_wrapped(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        (0..24).any(|row| seen.parser.screen().row_wrapped(row))
    }

    pub(super) fn resize(&self, columns: u16) {
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        self.seen.lock().unwrap().parser = parser(24, columns);
        rustix::termios::tcsetwinsize(&self.own, size).unwrap();
        // The terminal is not the one that the program was started from, which would be told by itself.
        self.signal("WINCH");
    }

    pub(super) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end; the exit code.
    pub(super) fn end(mut self) -> (Option<i32>, String, String) {
        let code = self.child.wait().unwrap().code();
        self.reading.take().unwrap().join().unwrap();
        (code, self.text(), self.bytes())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Gone, if it was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
