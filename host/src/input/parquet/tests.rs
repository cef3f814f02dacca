//! Files of all kinds, through both halves in this process.

use super::super::tests::options;
use super::*;
use crate::input::Format;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// A file of ids and texts, in groups of as many rows as given.
fn write(path: &Path, groups: &[usize], compression: Compression) {
    let schema = parse_message_type("message m { required int64 id; optional binary text (UTF8); }").unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut next = 9_007_199_254_740_993_i64;
    for rows in groups {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (next..).take(*rows).collect();
        next += i64::try_from(*rows).unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let texts: Vec<ByteArray> = ids.iter().skip(1).map(|id| ByteArray::from(format!("t {id}").as_str())).collect();
        let levels: Vec<i16> = (0..*rows).map(|row| i16::from(row > 0)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

fn read(path: &Path, options: &Options) -> Result<Vec<Record>, InputError> {
    open_here(path, options)?.collect()
}

#[test]
fn rows_become_objects_across_groups_whatever_the_compression() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.parquet");
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
        Compression::LZ4_RAW,
        Compression::BROTLI(parquet::basic::BrotliLevel::default()),
    ] {
        write(&path, &[2, 3_000], compression);
        let records = read(&path, &options(Format::Parquet)).unwrap();
        assert_eq!(records.len(), 3_002);
        let first = records[0].entry.as_ref().unwrap();
        assert_eq!(first.json, r#"{"id":9007199254740993,"text":null}"#, "to the digit");
        assert_eq!(first.id.as_ref().unwrap().as_str(), "9007199254740993");
        assert_eq!(records[1].entry.as_ref().unwrap().json, r#"{"id":9007199254740994,"text":"t 9007199254740994"}"#);
        assert_eq!(records[3_001].line, 3_002);
    }
}

/// Values of the next column, with their levels.
fn column<T: DataType>(
    group: &mut parquet::file::writer::SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    definition: &[i16],
    repetition: &[i16],
) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, Some(definition), Some(repetition)).unwrap();
    column.close().unwrap();
}

#[test]
fn lists_maps_and_groups_keep_the_kinds_of_what_is_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.parquet");
    let schema = "message m {
        optional group l (LIST) { repeated group list { optional int32 element (DATE); } }
        optional group old (LIST) { repeated int64 array (TIMESTAMP(NANOS,true)); }
        optional group m (MAP) { repeated group key_value { required binary key (UTF8); optional int32 value; } }
        optional group n (MAP) { repeated group key_value { required int32 key; optional int32 value (DATE); } }
        required group g { required int64 t (TIMESTAMP(MICROS,false)); repeated int32 r; }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    column::<Int32Type>(&mut group, &[0], &[3, 2, 1], &[0, 1, 0]);
    column::<Int64Type>(&mut group, &[0, 1], &[2, 2, 0], &[0, 1, 0]);
    column::<ByteArrayType>(&mut group, &[ByteArray::from("k")], &[2, 0], &[0, 0]);
    column::<Int32Type>(&mut group, &[1], &[3, 0], &[0, 0]);
    column::<Int32Type>(&mut group, &[2], &[2, 1], &[0, 0]);
    column::<Int32Type>(&mut group, &[1], &[3, 1], &[0, 0]);
    column::<Int64Type>(&mut group, &[0, 1], &[0, 0], &[0, 0]);
    column::<Int32Type>(&mut group, &[7, 8], &[1, 1, 0], &[0, 1, 0]);
    group.close().unwrap();
    writer.close().unwrap();
    let records = read(&path, &options(Format::Parquet)).unwrap();
    let json = |row: usize| records[row].entry.as_ref().unwrap().json.as_str();
    assert_eq!(
        json(0),
        concat!(
            r#"{"l":["1970-01-01",null],"#,
            r#""old":["1970-01-01T00:00:00.000000000Z","1970-01-01T00:00:00.000000001Z"],"m":{"k":1},"#,
            r#""n":[{"key":2,"value":"1970-01-02"}],"g":{"t":"1970-01-01T00:00:00.000000","r":[7,8]}}"#
        )
    );
    assert_eq!(json(1), r#"{"l":[],"old":null,"m":null,"n":{},"g":{"t":"1970-01-01T00:00:00.000001","r":[]}}"#);
    assert_eq!(records.len(), 2);
}

#[test]
fn columns_are_renamed_and_ids_are_looked_for_as_in_every_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.parquet");
    write(&path, &[2], Compression::SNAPPY);
    let map = vec![("body".to_owned(), "text".to_owned())];
    let with = |id: &str| Options { map: map.clone(), id_field: Some(id.into()), ..options(Format::Parquet) };
    let records = read(&path, &with("body")).unwrap();
    let message = &records[0].entry.as_ref().unwrap_err().message;
    assert!(message.contains("row 1: the column `body` cannot be an id"), "{message}");
    assert_eq!(records[1].entry.as_ref().unwrap().id.as_ref().unwrap().as_str(), "t 9007199254740994");
    let error = read(&path, &with("text")).unwrap_err().to_string();
    assert!(error.contains("there is `id`, `body`"), "{error}");
}

#[test]
fn a_file_that_is_cut_off_or_damaged_is_told_and_never_taken_for_less() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.parquet");
    write(&path, &[5_000, 5_000], Compression::SNAPPY);
    let whole = std::fs::read(&path).unwrap();
    for bytes in [&b""[..], b"PAR1", b"id,text\n1,2\n", &whole[..whole.len() / 2], &whole[..whole.len() - 1]] {
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &options(Format::Parquet)).unwrap_err().to_string();
        assert!(error.contains("in.parquet") && error.contains("write it anew"), "{error}");
    }
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 2_000].fill(0xFF);
    std::fs::write(&path, &damaged).unwrap();
    let mut records = open_here(&path, &options(Format::Parquet)).unwrap();
    let before = records.by_ref().take_while(Result::is_ok).count();
    assert!((5_000..10_000).contains(&before), "{before}: what came before counts");
    assert!(records.next().is_none());
}
