//! Parquet: a column each, compressed with Snappy, which every reader knows; every value may be null.
//!
//! JSON is text of the logical type JSON: what a plugin emits has no schema that would hold for all rows.

use super::table::{Cell, Kind, TableColumn, TableWriter};
use super::{OutputError, Part, Row, RowWriter};
use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::Type;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A row group is written when it has so many rows, or bytes: what is held in memory.
const ROWS: usize = 100_000;
const BYTES: usize = 32 << 20;

pub(super) struct Table<'a> {
    /// Gone once it is finished.
    writer: Option<SerializedFileWriter<Box<dyn Write + Send + 'a>>>,
    name: PathBuf,
    buffers: Vec<Buffer>,
    rows: usize,
    bytes: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        sink: Box<dyn Write + Send + 'a>,
        name: &Path,
        columns: Vec<TableColumn>,
    ) -> Result<Self, OutputError> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = schema(&columns)
            .and_then(|schema| SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties)))
            .map_err(|error| failed(name, &error))?;
        let buffers = columns.iter().map(|column| Buffer::new(column.kind)).collect();
        Ok(Self { writer: Some(writer), name: name.to_path_buf(), buffers, rows: 0, bytes: 0 })
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        let Some(writer) = self.writer.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut write = || -> Result<(), ParquetError> {
            let mut group = writer.next_row_group()?;
            for buffer in &mut self.buffers {
                let Some(mut column) = group.next_column()? else { break };
                let levels = Some(buffer.levels.as_slice());
                match &buffer.values {
                    Values::Bytes(values) => column.typed::<ByteArrayType>().write_batch(values, levels, None)?,
                    Values::Integers(values) => column.typed::<Int64Type>().write_batch(values, levels, None)?,
                    Values::Numbers(values) => column.typed::<DoubleType>().write_batch(values, levels, None)?,
                };
                column.close()?;
                buffer.clear();
            }
            group.close().map(|_| ())
        };
        write().map_err(|error| failed(&self.name, &error))?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl TableWriter for Table<'_> {
    fn write(&mut self, cells: &[Cell<'_>]) -> Result<(), OutputError> {
        for (buffer, cell) in self.buffers.iter_mut().zip(cells) {
            self.bytes += buffer.push(cell);
        }
        self.rows += 1;
        if self.rows >= ROWS || self.bytes >= BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.flush()?;
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let mut sink = writer.into_inner().map_err(|error| failed(&self.name, &error))?;
        sink.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
}

fn schema(columns: &[TableColumn]) -> Result<Type, ParquetError> {
    let field = |column: &TableColumn| {
        let (physical, logical) = match column.kind {
            Kind::Text | Kind::Original => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Integer => (PhysicalType::INT64, None),
            Kind::Number => (PhysicalType::DOUBLE, None),
            Kind::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        };
        let field = Type::primitive_type_builder(&column.name, physical);
        field.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Type::group_type_builder("items").with_fields(fields).build()
}

/// One column of the row group that is being filled.
struct Buffer {
    values: Values,
    /// 1 where there is a value, 0 where there is none.
    levels: Vec<i16>,
}

enum Values {
    Bytes(Vec<ByteArray>),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
}

impl Buffer {
    fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Text | Kind::Original | Kind::Json => Values::Bytes(Vec::new()),
            Kind::Integer | Kind::Time => Values::Integers(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
        };
        Self { values, levels: Vec::new() }
    }

    /// How many bytes it takes; a cell of another kind than its column's is as good as none.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        let bytes = match (&mut self.values, cell) {
            (Values::Bytes(values), Cell::Text(text) | Cell::Json(text)) => {
                values.push(ByteArray::from(text.as_bytes().to_vec()));
                Some(text.len())
            }
            (Values::Integers(values), Cell::Integer(number) | Cell::Time(number)) => {
                values.push(number.cast_signed());
                Some(8)
            }
            (Values::Numbers(values), Cell::Number(number)) => {
                values.push(*number);
                Some(8)
            }
            (Values::Bytes(_) | Values::Integers(_) | Values::Numbers(_), _) => None,
        };
        self.levels.push(i16::from(bytes.is_some()));
        bytes.unwrap_or(0) + 2
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.values {
            Values::Bytes(values) => values.clear(),
            Values::Integers(values) => values.clear(),
            Values::Numbers(values) => values.clear(),
        }
    }
}

/// What lies under the crate's error tells of a full disk or a closed pipe.
fn failed(name: &Path, error: &ParquetError) -> OutputError {
    match error {
        ParquetError::External(source) => match source.downcast_ref::<std::io::Error>() {
            Some(source) => OutputError::at(name, source),
            None => OutputError::at(name, &std::io::Error::other(error.to_string())),
        },
        _ => OutputError::at(name, &std::io::Error::other(error.to_string())),
    }
}

/// The output as `run` writes it: `id`, `part`, `output`.
pub(super) struct Rows<'a>(Table<'a>);

impl<'a> Rows<'a> {
    pub(super) fn new(sink: Box<dyn Write + Send + 'a>, name: &Path) -> Result<Self, OutputError> {
        let columns = [("id", Kind::Text), ("part", Kind::Text), ("output", Kind::Json)];
        let columns = columns.into_iter().map(|(name, kind)| TableColumn { name: name.into(), kind }).collect();
        Table::new(sink, name, columns).map(Self)
    }
}

impl RowWriter for Rows<'_> {
    fn write(&mut self, row: &Row<'_>) -> Result<(), OutputError> {
        let part = match row.part {
            None => Cell::Empty,
            Some(Part::Index(index)) => Cell::Text(index.to_string().into()),
            Some(Part::Name(name)) => Cell::Text(name.into()),
        };
        self.0.write(&[Cell::Text(row.id.into()), part, Cell::Json(row.value.into())])
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{columns, rows};
    use super::*;
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field;

    fn read(bytes: Vec<u8>) -> Vec<Vec<(String, Field)>> {
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect())
            .collect()
    }

    #[test]
    fn a_parquet_reader_gets_every_cell_back_as_what_it_was() {
        let mut bytes = Vec::new();
        let mut writer = Table::new(Box::new(&mut bytes), Path::new("test"), columns()).unwrap();
        for row in rows() {
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let table = read(bytes);
        let expected = [
            ("=t", Field::Str("=1+1".into())),
            ("=o", Field::Str("=1+1".into())),
            ("j", Field::Str("\"-a\\nb\"".into())),
            ("i", Field::Long(7)),
            ("n", Field::Double(0.000_012)),
            ("at", Field::TimestampMillis(1_700_000_000_123)),
        ];
        assert_eq!(table[0], expected.map(|(name, field)| (name.to_owned(), field)));
        assert!(table[1].iter().all(|(_, field)| *field == Field::Null));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn more_than_a_row_group_holds_is_written_in_several_and_nothing_is_lost() {
        let value = format!("\"{}\"", "x".repeat(1 << 20));
        let mut bytes = Vec::new();
        let mut writer = Rows::new(Box::new(&mut bytes), Path::new("test")).unwrap();
        for index in 0..40 {
            let part = (index % 2 == 1).then_some(Part::Index(index));
            writer.write(&Row { id: &index.to_string(), part, value: &value }).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).unwrap();
        assert!(reader.num_row_groups() > 1);
        let table = read(bytes);
        assert_eq!(table.len(), 40);
        assert_eq!(table[39][0].1, Field::Str("39".into()));
        assert_eq!((&table[38][1].1, &table[39][1].1), (&Field::Null, &Field::Str("39".into())));
        assert_eq!(table[39][2].1, Field::Str(value));
    }

    #[test]
    fn no_rows_make_a_file_with_columns_alone() {
        let mut bytes = Vec::new();
        let mut writer = Rows::new(Box::new(&mut bytes), Path::new("test")).unwrap();
        writer.finish().unwrap();
        drop(writer);
        assert!(read(bytes).is_empty());
    }
}
