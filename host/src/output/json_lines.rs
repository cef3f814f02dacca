//! JSON Lines: `{"id":…,"output":…}`, with `"part"` between where an item emits several values.

use super::{OutputError, Part, Row, RowWriter};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub(super) struct JsonLines<'a> {
    sink: BufWriter<Box<dyn Write + Send + 'a>>,
    name: PathBuf,
}

impl<'a> JsonLines<'a> {
    pub(super) fn new(sink: Box<dyn Write + Send + 'a>, name: &Path) -> Self {
        Self { sink: BufWriter::with_capacity(256 << 10, sink), name: name.to_path_buf() }
    }

    fn line(&mut self, row: &Row<'_>) -> std::io::Result<()> {
        self.sink.write_all(b"{\"id\":")?;
        serde_json::to_writer(&mut self.sink, row.id)?;
        match row.part {
            None => {}
            Some(Part::Index(index)) => write!(self.sink, ",\"part\":{index}")?,
            Some(Part::Name(name)) => {
                self.sink.write_all(b",\"part\":")?;
                serde_json::to_writer(&mut self.sink, name)?;
            }
        }
        self.sink.write_all(b",\"output\":")?;
        self.sink.write_all(row.value.as_bytes())?;
        self.sink.write_all(b"}\n")
    }
}

impl RowWriter for JsonLines<'_> {
    fn write(&mut self, row: &Row<'_>) -> Result<(), OutputError> {
        self.line(row).map_err(|error| OutputError::at(&self.name, &error))
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.sink.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_it_stands_after_its_id_and_part() {
        let mut bytes = Vec::new();
        let mut writer = JsonLines::new(Box::new(&mut bytes), Path::new("test"));
        for part in [None, Some(Part::Index(1)), Some(Part::Name("b\""))] {
            writer.write(&Row { id: "a\n", part, value: r#"{"n": 1.0}"# }).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let expected = "{\"id\":\"a\\n\",\"output\":{\"n\": 1.0}}\n\
                        {\"id\":\"a\\n\",\"part\":1,\"output\":{\"n\": 1.0}}\n\
                        {\"id\":\"a\\n\",\"part\":\"b\\\"\",\"output\":{\"n\": 1.0}}\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
