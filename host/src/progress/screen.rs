//! A block of lines at the bottom of a terminal, drawn again and again in place; what is said goes above it.
//!
//! Lines end with line ends and are never as wide as the terminal, so that it wraps none. One that has become narrower since has
//! wrapped what it showed: the rows that are taken back are counted by the width that holds now.

use super::layout::{Line, lines};
use crate::monitor::Snapshot;
use rustix::termios::tcgetwinsize;
use std::fmt::Write as _;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// Of a terminal that does not say.
const USUAL: Size = Size { columns: 80, rows: 24 };

pub struct Screen {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> Size + Send>,
    is_coloured: bool,
    figures: Option<Arc<Snapshot>>,
    /// The widths of the lines that are on the terminal.
    drawn: Vec<usize>,
    /// What was said while the terminal took nothing: the newest of it.
    unsaid: String,
}

/// In bytes.
const UNSAID_MAX: usize = 64 << 10;

impl Screen {
    pub fn new(out: Box<dyn Write + Send>, size: Box<dyn Fn() -> Size + Send>, is_coloured: bool) -> Self {
        let state = State { out, size, is_coloured, figures: None, drawn: Vec::new(), unsaid: String::new() };
        Self { state: Mutex::new(state) }
    }

    /// These figures from now on.
    pub fn show(&self, figures: Arc<Snapshot>) {
        let mut state = self.state();
        state.figures = Some(figures);
        state.paint("");
    }

    /// The same figures; the terminal may have another size.
    pub fn redraw(&self) {
        self.state().paint("");
    }

    /// Whole lines, each with its end.
    pub fn above(&self, text: &str) {
        self.state().paint(text);
    }

    /// Takes the block off the terminal.
    pub fn clear(&self) {
        let mut state = self.state();
        state.figures = None;
        state.paint("");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes over what is there, row by row: terminals that keep what was cleared would keep each of the blocks.
    fn paint(&mut self, above: &str) {
        let above = std::mem::take(&mut self.unsaid) + above;
        let size = (self.size)();
        let taken: usize = self.drawn.iter().map(|width| width.div_ceil(size.columns.max(1)).max(1)).sum();
        let block: Vec<Line> = match &self.figures {
            // One column stays free: a line that fills the last one is not ended alike by all terminals.
            Some(figures) => lines(figures, size.columns.saturating_sub(1)),
            None => Vec::new(),
        };
        let block = &block[..block.len().min(size.rows.saturating_sub(1))];
        let mut text = if taken > 0 { format!("\r\x1b[{taken}A") } else { String::new() };
        // What is said may be as wide as the terminal, or wider, and could not be ended so.
        if !above.is_empty() {
            clear_rows(&mut text, taken);
            text.push_str(&above);
        }
        for line in block {
            let _ = writeln!(text, "{}\x1b[K", line.render(self.is_coloured));
        }
        if above.is_empty() {
            clear_rows(&mut text, taken.saturating_sub(block.len()));
        }
        if self.out.write_all(text.as_bytes()).is_ok() {
            self.drawn = block.iter().map(Line::width).collect();
            if self.figures.is_none() {
                // Others may write to the same terminal next, or the program ends. Nobody is there to be told.
                let _ = self.out.flush();
            }
        } else {
            // What is there is what was drawn last.
            self.unsaid = above;
            let start = self.unsaid.ceil_char_boundary(self.unsaid.len().saturating_sub(UNSAID_MAX));
            self.unsaid.drain(..start);
        }
    }
}

/// From the row that the cursor is in, which stays where it is.
fn clear_rows(text: &mut String, rows: usize) {
    if rows > 0 {
        let _ = write!(text, "{}\x1b[{rows}A", "\x1b[K\x1b[1B".repeat(rows));
    }
}

/// Of the terminal behind a file, now.
pub fn size_of(terminal: impl AsFd) -> Size {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        Ok(_) | Err(_) => USUAL,
    }
}

#[cfg(test)]
mod tests;
