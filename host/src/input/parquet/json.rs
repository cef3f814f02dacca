//! Values of Parquet as JSON, by the file's schema; docs/input.md has the table for users.
//!
//! Nothing is rounded: whole numbers stand to the digit, decimals and times are texts.

use crate::domain::base64;
use num_bigint::BigInt;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use std::fmt::Write;

/// How deep values may be nested, as JSON: what is deeper is none that others read.
const DEPTH_MAX: usize = 100;
const DAY_SECONDS: i64 = 86_400;

/// What the schema knows of a value and the value itself does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// The value tells all.
    Plain,
    Text,
    Uuid,
    Date,
    Decimal {
        scale: usize,
    },
    Time(Unit),
    Timestamp {
        unit: Unit,
        utc: bool,
    },
    List(Box<Shape>),
    /// An old list of two levels, which the reader gives as a list in a list.
    OldList(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Group(Vec<Shape>),
}

/// What a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn of(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Self::Millis,
            TimeUnit::MICROS => Self::Micros,
            TimeUnit::NANOS => Self::Nanos,
        }
    }

    /// How many make a second, and how many digits that is.
    const fn of_second(self) -> (i64, usize) {
        match self {
            Self::Millis => (1_000, 3),
            Self::Micros => (1_000_000, 6),
            Self::Nanos => (1_000_000_000, 9),
        }
    }
}

impl Shape {
    /// Of a column; the error is what is wrong with it, and the way out.
    pub(super) fn of(field: &Type) -> Result<Self, String> {
        shape(field, 0)
    }
}

fn shape(field: &Type, depth: usize) -> Result<Shape, String> {
    if depth > DEPTH_MAX {
        return Err(format!("it is nested more than {DEPTH_MAX} deep: leave it out of the file"));
    }
    let info = field.get_basic_info();
    if field.is_primitive() {
        let shape = leaf(field)?;
        return Ok(if is_repeated(field) { Shape::List(Box::new(shape)) } else { shape });
    }
    if field.get_fields().is_empty() {
        return Err("it is a group without fields: leave it out of the file".into());
    }
    match info.converted_type() {
        ConvertedType::LIST => list(field, depth),
        ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => map(field, depth),
        _ => {
            let within = depth + 1 + usize::from(is_repeated(field));
            let fields = field.get_fields().iter().map(|field| shape(field, within)).collect::<Result<Vec<_>, _>>()?;
            Ok(if is_repeated(field) { Shape::List(Box::new(Shape::Group(fields))) } else { Shape::Group(fields) })
        }
    }
}

fn is_repeated(field: &Type) -> bool {
    field.get_basic_info().has_repetition() && field.get_basic_info().repetition() == Repetition::REPEATED
}

fn only_repeated<'a>(field: &'a Type, what: &str) -> Result<&'a Type, String> {
    match field.get_fields() {
        [only] if is_repeated(only) => Ok(only),
        _ => Err(format!("it is called a {what} and is none: write the file anew")),
    }
}

fn list(field: &Type, depth: usize) -> Result<Shape, String> {
    let repeated = only_repeated(field, "list")?;
    if !is_element(repeated) {
        return Ok(Shape::List(Box::new(shape(&repeated.get_fields()[0], depth + 1)?)));
    }
    Ok(match shape(repeated, depth + 1)? {
        Shape::List(element) => Shape::OldList(element),
        other => Shape::List(Box::new(other)),
    })
}

fn map(field: &Type, depth: usize) -> Result<Shape, String> {
    let entry = only_repeated(field, "map")?;
    match if entry.is_primitive() { &[] } else { entry.get_fields() } {
        [key] => Ok(Shape::List(Box::new(shape(key, depth + 1)?))),
        // Of keys that are no texts, a list of objects.
        [key, value] => Ok(Shape::Map(Box::new(shape(key, depth + 2)?), Box::new(shape(value, depth + 2)?))),
        _ => Err("it is called a map and is none: write the file anew".into()),
    }
}

/// Whether a list's repeated field is its element, or a group around it: the format's rules for old writers, as the crate's
/// reader has them.
/// <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#backward-compatibility-rules>
fn is_element(repeated: &Type) -> bool {
    if repeated.is_primitive() {
        return true;
    }
    let is_list = repeated.get_basic_info().converted_type() == ConvertedType::LIST;
    let fields = repeated.get_fields();
    if is_list || matches!(fields, [only] if is_repeated(only)) {
        return false;
    }
    fields.len() != 1 || repeated.name() == "array" || repeated.name().ends_with("_tuple")
}

fn leaf(field: &Type) -> Result<Shape, String> {
    let info = field.get_basic_info();
    if info.converted_type() == ConvertedType::INTERVAL {
        return Err("it is an INTERVAL, which JSON has no form for: make it a number or a text".into());
    }
    Ok(match info.logical_type_ref() {
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Shape::Text,
        Some(LogicalType::Uuid) => Shape::Uuid,
        Some(LogicalType::Date) => Shape::Date,
        Some(LogicalType::Decimal(decimal)) => Shape::Decimal { scale: usize::try_from(decimal.scale).unwrap_or(0) },
        Some(LogicalType::Time(time)) => Shape::Time(Unit::of(time.unit)),
        Some(LogicalType::Timestamp(time)) => {
            Shape::Timestamp { unit: Unit::of(time.unit), utc: time.is_adjusted_to_u_t_c }
        }
        _ if field.get_physical_type() == Physical::INT96 => Shape::Timestamp { unit: Unit::Millis, utc: true },
        _ => Shape::Plain,
    })
}

pub(super) fn write_value(json: &mut String, field: &Field, shape: &Shape) {
    match (field, shape) {
        (Field::Null, _) => json.push_str("null"),
        (Field::Group(row), Shape::Group(shapes)) => write_group(json, row, shapes),
        (Field::Group(row), _) => write_group(json, row, &[]),
        (Field::ListInternal(list), Shape::OldList(shape)) => {
            let elements: Vec<&Field> = list.elements().iter().flat_map(inner_elements).collect();
            write_all(json, '[', &elements, ']', |json, field| write_value(json, field, shape));
        }
        (Field::ListInternal(list), shape) => {
            let shape = if let Shape::List(shape) = shape { shape } else { &Shape::Plain };
            write_all(json, '[', list.elements(), ']', |json, field| write_value(json, field, shape));
        }
        (Field::MapInternal(map), shape) => {
            let plain = (&Shape::Plain, &Shape::Plain);
            let shapes = if let Shape::Map(key, value) = shape { (&**key, &**value) } else { plain };
            write_map(json, map.entries(), shapes);
        }
        (Field::Bytes(bytes), shape) => write_bytes(json, bytes.data(), shape),
        (Field::Str(text), _) => write_text(json, text),
        (Field::Decimal(decimal), _) => {
            write_decimal(json, decimal.data(), usize::try_from(decimal.scale()).unwrap_or(0));
        }
        (Field::Bool(value), _) => write_display(json, value),
        (Field::Float16(value), _) => write_float(json, f64::from(*value), f64::from(*value)),
        (Field::Float(value), _) => write_float(json, f64::from(*value), value),
        (Field::Double(value), _) => write_float(json, *value, value),
        (Field::ULong(value), _) => write_display(json, value),
        (Field::Byte(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::Short(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::Int(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::Long(value), shape) => write_whole(json, *value, shape),
        (Field::UByte(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::UShort(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::UInt(value), shape) => write_whole(json, i64::from(*value), shape),
        (Field::Date(days), _) => write_whole(json, i64::from(*days), &Shape::Date),
        (Field::TimeMillis(value), _) => write_whole(json, i64::from(*value), &Shape::Time(Unit::Millis)),
        (Field::TimeMicros(value), _) => write_whole(json, *value, &Shape::Time(Unit::Micros)),
        // Old annotations are always of UTC; only a newer one beside them can say otherwise.
        (Field::TimestampMillis(value), shape) => write_whole(json, *value, &timestamp(Unit::Millis, shape)),
        (Field::TimestampMicros(value), shape) => write_whole(json, *value, &timestamp(Unit::Micros, shape)),
    }
}

fn inner_elements(field: &Field) -> &[Field] {
    if let Field::ListInternal(list) = field { list.elements() } else { std::slice::from_ref(field) }
}

fn timestamp(unit: Unit, shape: &Shape) -> Shape {
    Shape::Timestamp { unit, utc: !matches!(shape, Shape::Timestamp { utc: false, .. }) }
}

fn write_display(json: &mut String, value: impl std::fmt::Display) {
    // A string takes everything.
    let _ = write!(json, "{value}");
}

fn write_text(json: &mut String, text: &str) {
    // Most of what stands in files are texts, and most of them stand in JSON as they are.
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&super::super::columns::json_string(text));
        return;
    }
    json.reserve(text.len() + 2);
    json.push('"');
    json.push_str(text);
    json.push('"');
}

fn write_all<T>(json: &mut String, open: char, values: &[T], close: char, mut write: impl FnMut(&mut String, &T)) {
    json.push(open);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, value);
    }
    json.push(close);
}

fn write_group(json: &mut String, row: &Row, shapes: &[Shape]) {
    let columns: Vec<_> = row.get_column_iter().enumerate().collect();
    write_all(json, '{', &columns, '}', |json, (index, (name, field))| {
        write_text(json, name);
        json.push(':');
        write_value(json, field, shapes.get(*index).unwrap_or(&Shape::Plain));
    });
}

/// An object where all keys are texts, else a list of pairs.
fn write_map(json: &mut String, entries: &[(Field, Field)], (key, value): (&Shape, &Shape)) {
    if entries.iter().all(|(key, _)| matches!(key, Field::Str(_))) {
        write_all(json, '{', entries, '}', |json, entry| {
            write_value(json, &entry.0, key);
            json.push(':');
            write_value(json, &entry.1, value);
        });
        return;
    }
    write_all(json, '[', entries, ']', |json, entry| {
        json.push_str("{\"key\":");
        write_value(json, &entry.0, key);
        json.push_str(",\"value\":");
        write_value(json, &entry.1, value);
        json.push('}');
    });
}

fn write_bytes(json: &mut String, bytes: &[u8], shape: &Shape) {
    match (shape, std::str::from_utf8(bytes)) {
        (Shape::Text, Ok(text)) => write_text(json, text),
        (Shape::Decimal { scale }, _) => write_decimal(json, bytes, *scale),
        (Shape::Uuid, _) if bytes.len() == 16 => {
            let hex = hex::encode(bytes);
            write_text(json, &[&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"));
        }
        _ => write_text(json, &base64::encode(bytes)),
    }
}

/// The shortest text that gives the same number; what is no number is `null`, since JSON has none for it.
fn write_float<T: serde::Serialize>(json: &mut String, value: f64, exact: T) {
    match serde_json::to_string(&exact) {
        Ok(text) if value.is_finite() => json.push_str(&text),
        Ok(_) | Err(_) => json.push_str("null"),
    }
}

/// Unscaled, big-endian, two's complement.
fn write_decimal(json: &mut String, bytes: &[u8], scale: usize) {
    let digits = BigInt::from_signed_bytes_be(bytes).to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    write_display(json, format_args!("\"{sign}{whole}{point}{fraction}\""));
}

fn write_whole(json: &mut String, value: i64, shape: &Shape) {
    let text = match shape {
        Shape::Date => date(value),
        Shape::Time(unit) => clock(value, *unit),
        Shape::Timestamp { unit, utc } => {
            let per_day = DAY_SECONDS * unit.of_second().0;
            let day = date(value.div_euclid(per_day));
            let time = clock(value.rem_euclid(per_day), *unit);
            day.zip(time).map(|(day, time)| format!("{day}T{time}{}", if *utc { "Z" } else { "" }))
        }
        Shape::Decimal { scale } => return write_decimal(json, &value.to_be_bytes(), *scale),
        Shape::Plain
        | Shape::Text
        | Shape::Uuid
        | Shape::List(_)
        | Shape::OldList(_)
        | Shape::Map(..)
        | Shape::Group(_) => None,
    };
    match text {
        Some(text) => write_text(json, &text),
        // A number, or a time that no calendar has: as it is stored.
        None => write_display(json, value),
    }
}

/// Of days since 1970.
fn date(days: i64) -> Option<String> {
    let days = jiff::Span::new().try_days(days).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(days).ok().map(|date| date.to_string())
}

/// Of units since midnight.
fn clock(value: i64, unit: Unit) -> Option<String> {
    let (second, digits) = unit.of_second();
    let (seconds, fraction) = (value.div_euclid(second), value.rem_euclid(second));
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    (0..DAY_SECONDS)
        .contains(&seconds)
        .then(|| format!("{hours:02}:{:02}:{:02}.{fraction:0digits$}", minutes % 60, seconds % 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{ByteArray, Decimal};
    use parquet::schema::parser::parse_message_type;
    use proptest::prelude::*;

    fn shape_of(field: &str) -> Result<Shape, String> {
        let message = parse_message_type(&format!("message m {{ {field} }}")).unwrap();
        Shape::of(&message.get_fields()[0])
    }

    fn json(field: &Field, schema: &str) -> String {
        let mut json = String::new();
        write_value(&mut json, field, &shape_of(schema).unwrap());
        json
    }

    #[test]
    fn whole_numbers_stand_to_the_digit_and_others_as_short_as_they_can() {
        assert_eq!(json(&Field::Long(i64::MIN), "required int64 a;"), i64::MIN.to_string());
        assert_eq!(json(&Field::ULong(u64::MAX), "required int64 a (UINT_64);"), u64::MAX.to_string());
        assert_eq!(json(&Field::Float(0.1), "required float a;"), "0.1");
        assert_eq!(json(&Field::Double(1e300), "required double a;"), "1e+300");
        assert_eq!(json(&Field::Double(f64::NAN), "required double a;"), "null");
    }

    #[test]
    fn decimals_are_texts_with_all_their_digits() {
        let of =
            |value: i32, scale: i32| json(&Field::Decimal(Decimal::from_i32(value, 9, scale)), "required int32 a;");
        assert_eq!(of(12_345, 2), r#""123.45""#);
        assert_eq!(of(-5, 3), r#""-0.005""#);
        assert_eq!(of(7, 0), r#""7""#);
        let wide = Decimal::from_bytes(ByteArray::from([&[1][..], &[0; 16]].concat()), 40, 1);
        // 2 to the power of 128.
        assert_eq!(json(&Field::Decimal(wide), "required binary a;"), r#""34028236692093846346337460743176821145.6""#);
    }

    #[test]
    fn times_are_texts_in_the_precision_of_the_file() {
        assert_eq!(json(&Field::Date(19_782), "required int32 a (DATE);"), r#""2024-02-29""#);
        assert_eq!(json(&Field::Date(-1), "required int32 a (DATE);"), r#""1969-12-31""#);
        assert_eq!(json(&Field::TimeMillis(3_661_005), "required int32 a (TIME_MILLIS);"), r#""01:01:01.005""#);
        let utc = json(&Field::TimestampMicros(-1), "required int64 a (TIMESTAMP_MICROS);");
        assert_eq!(utc, r#""1969-12-31T23:59:59.999999Z""#);
        let local = json(&Field::Long(1_000_000_001), "required int64 a (TIMESTAMP(NANOS,false));");
        assert_eq!(local, r#""1970-01-01T00:00:01.000000001""#);
        let beyond = json(&Field::TimestampMillis(i64::MAX), "required int64 a (TIMESTAMP_MILLIS);");
        assert_eq!(beyond, i64::MAX.to_string());
    }

    #[test]
    fn bytes_are_base64_unless_they_are_called_something_else() {
        let bytes = |text: &str| Field::Bytes(ByteArray::from(text));
        assert_eq!(json(&bytes("foob"), "required binary a;"), r#""Zm9vYg==""#);
        let uuid = json(&bytes("0123456789abcdef"), "required fixed_len_byte_array(16) a (UUID);");
        assert_eq!(uuid, r#""30313233-3435-3637-3839-616263646566""#);
        assert_eq!(json(&Field::Str("a\"\n".into()), "required binary a (UTF8);"), r#""a\"\n""#);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_column_and_not_by_a_panic() {
        let problem = shape_of("required fixed_len_byte_array(12) a (INTERVAL);").unwrap_err();
        assert!(problem.contains("INTERVAL") && problem.contains("make it a number"), "{problem}");
        let problem = shape_of("optional group a (LIST) { optional int32 b; }").unwrap_err();
        assert!(problem.contains("called a list"), "{problem}");
    }

    #[test]
    fn what_is_nested_is_counted_as_json_has_it() {
        let nested = |depth: usize| {
            let map = "required group a (MAP) { repeated group key_value { required int32 key; ";
            let group = "repeated group a { ";
            [map, group].map(|level| {
                let end = if level == map { "} }" } else { "}" };
                let inner = level.replace("required group a (MAP)", "required group value (MAP)");
                let schema = [level, &inner.repeat(depth - 1), "required int32 value; ", &end.repeat(depth)].concat();
                shape_of(&schema)
            })
        };
        assert!(nested(49).iter().all(Result::is_ok));
        for refused in nested(51) {
            assert!(refused.unwrap_err().contains("more than 100 deep"));
        }
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_does(text in "[\\x00-\\x{ff}a\"\\\\\u{2028}]{0,12}") {
            prop_assert_eq!(json(&Field::Str(text.clone()), "required binary a (UTF8);"), serde_json::json!(text).to_string());
        }

        #[test]
        fn a_timestamp_says_the_instant_that_jiff_reads_back(nanos: i64) {
            let text = json(&Field::Long(nanos), "required int64 a (TIMESTAMP(NANOS,true));");
            let read: jiff::Timestamp = text.trim_matches('"').parse().unwrap();
            prop_assert_eq!(read.as_nanosecond(), i128::from(nanos));
        }
    }
}
