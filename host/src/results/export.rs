//! Writes what is done, in the order of the input or as it was done; other items and columns if they are asked for.

use super::Column;
use super::columns::Known;
use crate::domain::Emission;
use crate::output::{self, AtomicFile, Columns, Format, OutputError, Part, Row, RowWriter, TableWriter};
use crate::store::{Order, Reader, Selection, States, StoreError};
use std::io::Write;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Columns are collected before rows are written, from the same items.
    #[error(
        "an item has a field that it did not have a moment ago: was the job's file replaced? run the same command again"
    )]
    Moved,
    #[error("the items have more than {0} fields of different names: export them as JSON Lines")]
    TooWide(usize),
}

/// Where an export goes.
pub struct Target<'a> {
    pub format: Format,
    /// Whole or not at all; `None`: to `stdout`.
    pub path: Option<&'a Path>,
    pub stdout: &'a mut (dyn Write + Send),
}

impl Target<'_> {
    /// Calls `write` with the sink and its name, and keeps what it wrote if it wrote all of it.
    pub(super) fn fill<T>(
        self,
        write: impl FnOnce(Format, Box<dyn Write + Send + '_>, &Path) -> Result<T, ExportError>,
    ) -> Result<T, ExportError> {
        let Some(path) = self.path else {
            return write(self.format, Box::new(self.stdout), Path::new("stdout"));
        };
        let file = AtomicFile::create(path)?;
        let written = write(self.format, Box::new(&file), path)?;
        file.commit()?;
        Ok(written)
    }
}

/// What is done, in the form of `run --output`. Blocks.
pub fn export(reader: &Reader, order: Order, target: Target<'_>) -> Result<(), ExportError> {
    // CSV is read twice, and must not find another job the second time.
    let reader = &reader.as_of_now()?;
    let columns = match target.format {
        Format::JsonLines | Format::Parquet => Columns::default(),
        Format::Csv => collect_columns(reader)?,
    };
    target.fill(|format, sink, name| write_rows(reader, order, &mut *output::open(format, sink, name, columns)?))
}

fn collect_columns(reader: &Reader) -> Result<Columns, ExportError> {
    let mut columns = Columns::default();
    reader.for_each_done(|id, emissions| -> Result<(), ExportError> {
        rows(id, emissions).for_each(|row| columns.observe(&row));
        Ok(())
    })?;
    Ok(columns)
}

fn write_rows(reader: &Reader, order: Order, writer: &mut dyn RowWriter) -> Result<(), ExportError> {
    let mut write = |id: &str, emissions: &[Emission]| -> Result<(), ExportError> {
        for row in rows(id, emissions) {
            writer.write(&row)?;
        }
        Ok(())
    };
    match order {
        Order::Input => reader.for_each_done(write)?,
        Order::Completion => {
            let selection = Selection { order, ..Selection::new(States::Done) };
            reader.for_each_item(&selection, |row| write(&row.id, &row.emissions))?;
        }
    }
    Ok(writer.finish()?)
}

/// The columns of an export of others than done items, where none were chosen.
pub fn default_columns(states: States) -> Vec<Column> {
    let known: &[Known] = match states {
        States::Done => &[Known::Id, Known::Part, Known::Output],
        States::Failed => {
            &[Known::Id, Known::Line, Known::Class, Known::Code, Known::Message, Known::Attempts, Known::EndedAt]
        }
        States::All => {
            &[Known::Id, Known::Part, Known::State, Known::Output, Known::Class, Known::Code, Known::Message]
        }
    };
    known.iter().map(|known| Column::Known(*known)).collect()
}

/// Chosen columns: a row a value, and one for an item without a value. Returns how many rows. Blocks.
pub fn export_columns(
    reader: &Reader,
    states: States,
    order: Order,
    columns: &[Column],
    target: Target<'_>,
) -> Result<u64, ExportError> {
    let selection = Selection {
        order,
        with_input: columns.iter().any(Column::needs_input),
        with_books: columns.iter().any(Column::needs_books),
        ..Selection::new(states)
    };
    let reader = &reader.as_of_now()?;
    target.fill(|format, sink, name| {
        let header = columns.iter().map(Column::header).collect();
        let mut writer = output::open_table(format, sink, name, header)?;
        write_table(reader, &selection, columns, &mut *writer)
    })
}

fn write_table(
    reader: &Reader,
    selection: &Selection,
    columns: &[Column],
    writer: &mut dyn TableWriter,
) -> Result<u64, ExportError> {
    let mut count = 0;
    reader.for_each_item(selection, |item| -> Result<(), ExportError> {
        let mut write = |part: Option<Part<'_>>, emission: Option<&Emission>| {
            count += 1;
            let cells: Vec<_> = columns.iter().map(|column| column.cell(&item, part, emission)).collect();
            writer.write(&cells)
        };
        if item.emissions.is_empty() {
            return Ok(write(None, None)?);
        }
        for (emission, row) in item.emissions.iter().zip(rows(&item.id, &item.emissions)) {
            write(row.part, Some(emission))?;
        }
        Ok(())
    })?;
    writer.finish()?;
    Ok(count)
}

/// A single value without a name needs no part.
fn rows<'a>(id: &'a str, emissions: &'a [Emission]) -> impl Iterator<Item = Row<'a>> {
    let several = emissions.len() > 1;
    emissions.iter().enumerate().map(move |(index, emission)| {
        let part = match &emission.name {
            Some(name) => Some(Part::Name(name.as_str())),
            None if several => Some(Part::Index(index as u64)),
            None => None,
        };
        Row { id, part, value: &emission.value }
    })
}
