//! Notes for whoever runs the batch, kept with the item. Bounded by the host in lines and bytes; natively they go nowhere.

use serde::Serialize;

use crate::bindings::sandmill::plugin::types::Pair;

pub use crate::bindings::sandmill::plugin::log::Level;

pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message.as_ref(), &[]);
}

pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref(), &[]);
}

pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref(), &[]);
}

pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref(), &[]);
}

pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref(), &[]);
}

/// A note with named values beside the message. A value that has no JSON form is left out.
pub fn with_fields<V: Serialize>(
    level: Level,
    message: impl AsRef<str>,
    fields: impl IntoIterator<Item = (String, V)>,
) {
    let pair = |(name, value): (String, V)| Some(Pair { name, value: serde_json::to_string(&value).ok()? });
    let fields: Vec<Pair> = fields.into_iter().filter_map(pair).collect();
    write(level, message.as_ref(), &fields);
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str, fields: &[Pair]) {
    crate::bindings::sandmill::plugin::log::log(level, message, fields);
}

#[cfg(not(target_family = "wasm"))]
fn write(_: Level, _: &str, _: &[Pair]) {}
