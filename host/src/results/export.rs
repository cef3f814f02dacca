//! Writes what is done, in the order of the input.

use crate::domain::Emission;
use crate::output::{self, AtomicFile, Columns, Format, OutputError, Part, Row, RowWriter};
use crate::store::{Reader, StoreError};
use std::io::Write;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// To `path`, whole or not at all; to `stdout` if there is no path. Blocks.
pub fn export(reader: &Reader, format: Format, path: Option<&Path>, stdout: &mut dyn Write) -> Result<(), ExportError> {
    let columns = match format {
        Format::JsonLines => Columns::default(),
        Format::Csv => collect_columns(reader)?,
    };
    let Some(path) = path else {
        return write_rows(reader, &mut *output::open(format, Box::new(stdout), Path::new("stdout"), columns));
    };
    let file = AtomicFile::create(path)?;
    write_rows(reader, &mut *output::open(format, Box::new(&file), path, columns))?;
    Ok(file.commit()?)
}

fn collect_columns(reader: &Reader) -> Result<Columns, ExportError> {
    let mut columns = Columns::default();
    reader.for_each_done(|id, emissions| -> Result<(), ExportError> {
        rows(id, emissions).for_each(|row| columns.observe(&row));
        Ok(())
    })?;
    Ok(columns)
}

fn write_rows(reader: &Reader, writer: &mut dyn RowWriter) -> Result<(), ExportError> {
    reader.for_each_done(|id, emissions| -> Result<(), ExportError> {
        for row in rows(id, emissions) {
            writer.write(&row)?;
        }
        Ok(())
    })?;
    Ok(writer.finish()?)
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
