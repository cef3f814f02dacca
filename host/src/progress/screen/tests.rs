//! What is left on a terminal after the block was drawn, moved and resized.

use super::*;
use crate::monitor::ItemFigures;

/// A terminal, and what is written to it.
#[derive(Clone)]
struct Terminal {
    parser: Arc<Mutex<vt100::Parser>>,
}

fn parser(rows: u16, columns: u16) -> vt100::Parser {
    vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0)
}

impl Terminal {
    fn new(rows: u16, columns: u16) -> Self {
        Self { parser: Arc::new(Mutex::new(parser(rows, columns))) }
    }

    fn screen(&self) -> Screen {
        let (out, sized) = (self.clone(), self.clone());
        let size = move || {
            let (rows, columns) = sized.parser.lock().unwrap().screen().size();
            Size { columns: columns.get().into(), rows: rows.get().into() }
        };
        Screen::new(Box::new(out), Box::new(size), true)
    }

    /// Without what is blank at the end.
    fn text(&self) -> Vec<String> {
        let text = self.parser.lock().unwrap().screen().contents();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn wrapped(&self) -> bool {
        let parser = self.parser.lock().unwrap();
        (0..parser.screen().size().0.get()).any(|row| parser.screen().row_wrapped(row))
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // As the terminal's driver does.
        let text = String::from_utf8(bytes.to_vec()).unwrap().replace('\n', "\r\n");
        self.parser.lock().unwrap().process(text.as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn figures(done: u64) -> Arc<Snapshot> {
    let items = ItemFigures { total: 100, done, pending: 100 - done, ..ItemFigures::default() };
    Arc::new(Snapshot { job: "語語語job".into(), items, ..Snapshot::default() })
}

#[test]
fn the_block_is_drawn_in_place_below_what_is_said() {
    let terminal = Terminal::new(12, 60);
    let screen = terminal.screen();
    screen.above("first\n");
    screen.show(figures(1));
    screen.above("second\nthird\n");
    screen.show(figures(99));
    let text = terminal.text();
    assert_eq!(text[..3], ["first", "second", "third"], "{text:?}");
    assert!(text[3].contains("99 %") && text[4].contains("99 done") && text.len() == 6, "{text:?}");
    screen.clear();
    screen.above("end\n");
    assert_eq!(terminal.text(), ["first", "second", "third", "end"]);
}

#[test]
fn no_line_wraps_at_any_width_and_a_low_terminal_shows_the_first_lines() {
    for columns in 1..200 {
        let terminal = Terminal::new(3, columns);
        let screen = terminal.screen();
        screen.show(figures(50));
        screen.show(figures(51));
        assert!(!terminal.wrapped(), "{columns}: {:?}", terminal.text());
        assert!(terminal.text().len() <= 2, "{columns}: {:?}", terminal.text());
    }
}

#[test]
fn what_a_narrower_terminal_has_wrapped_is_taken_back_whole() {
    let terminal = Terminal::new(12, 80);
    let screen = terminal.screen();
    screen.above("said\n");
    screen.show(figures(50));
    // As a terminal shows it that wraps anew what it shows.
    let shown: String = terminal.text().join("\r\n") + "\r\n";
    let narrow = Terminal::new(12, 30);
    narrow.parser.lock().unwrap().process(shown.as_bytes());
    assert!(narrow.wrapped());
    std::mem::swap(&mut *terminal.parser.lock().unwrap(), &mut *narrow.parser.lock().unwrap());
    screen.redraw();
    let text = terminal.text();
    assert!(text[0] == "said" && text.len() == 4 && !terminal.wrapped(), "{text:?}");
}

/// A terminal that takes nothing at first.
#[derive(Clone)]
struct Stalled(Terminal, Arc<Mutex<bool>>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if *self.1.lock().unwrap() { Err(std::io::ErrorKind::WouldBlock.into()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_said_while_a_terminal_takes_nothing_is_said_later_and_the_block_is_still_drawn_in_place() {
    let terminal = Terminal::new(12, 60);
    let is_stalled = Arc::new(Mutex::new(false));
    let out = Stalled(terminal.clone(), Arc::clone(&is_stalled));
    let screen = Screen::new(Box::new(out), Box::new(|| Size { columns: 60, rows: 12 }), false);
    screen.show(figures(1));
    *is_stalled.lock().unwrap() = true;
    screen.above("first\n");
    screen.show(figures(2));
    screen.above("second\n");
    *is_stalled.lock().unwrap() = false;
    screen.show(figures(99));
    let text = terminal.text();
    assert!(text[..2] == ["first", "second"] && text[2].contains("99 %") && text.len() == 5, "{text:?}");
}
