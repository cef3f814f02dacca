//! `[limits]`: what one attempt of a plugin may use, and one item of the models. The same keys bound it in a policy.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::time::Duration;

/// Bytes; written as a number, or with a unit: `128MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Millionths of a dollar; written in dollars: `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub u64);

/// Written `500ms`, `10s`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

macro_rules! limits {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// One attempt's limits, and one item's; `None`: not said.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $($(#[$doc])* pub $key: Option<$type>,)*
        }

        impl Limits {
            /// What is said here, and what is not from `other`.
            pub fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key),)* }
            }

            /// Of each the lower one.
            pub fn lower(self, other: Self) -> Self {
                Self { $($key: lower(self.$key, other.$key),)* }
            }

            /// Every key with its value, in the order of the documentation.
            pub fn values(&self) -> Vec<(&'static str, Option<Limit>)> {
                vec![$((stringify!($key), self.$key.map(Limit::from)),)*]
            }
        }
    };
}

limits! {
    memory: Size,
    /// Elements.
    table: u64,
    stack: Size,
    cpu: Time,
    host_time: Time,
    wall: Time,
    instances: u64,
    handles: u64,
    host_calls: u64,
    transfer: Size,
    /// Into files that were granted.
    written: Size,
    output: Size,
    emissions: u64,
    depth: u64,
    log: Size,
    log_lines: u64,
    requests: u64,
    item_calls: u64,
    item_tokens: u64,
    item_cost: Dollars,
}

/// The value of any limit. Two of one key can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    Size(Size),
    Count(u64),
    Time(Time),
    Dollars(Dollars),
}

impl From<Size> for Limit {
    fn from(size: Size) -> Self {
        Self::Size(size)
    }
}

impl From<u64> for Limit {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<Time> for Limit {
    fn from(time: Time) -> Self {
        Self::Time(time)
    }
}

impl From<Dollars> for Limit {
    fn from(dollars: Dollars) -> Self {
        Self::Dollars(dollars)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(Size(bytes)) => bytesize::ByteSize(*bytes).fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Time(Time(time)) => humantime::format_duration(*time).fmt(f),
            #[expect(clippy::cast_precision_loss, reason = "shown to a person")]
            Self::Dollars(Dollars(micro)) => write!(f, "${}", *micro as f64 / 1e6),
        }
    }
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::bytes(deserializer).map(|bytes| Self(bytes.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::duration(deserializer).map(|time| Self(time.unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
        match (dollars * 1e6).round() {
            micro if (0.0..1e15).contains(&micro) => Ok(Self(micro as u64)),
            _ => Err(serde::de::Error::custom(format!("`{dollars}` is no amount of dollars: write 0.50"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Limits {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_key_is_read_in_its_unit() {
        let read = limits("memory = \"64MiB\"\ncpu = \"2s\"\nitem_cost = 0.5\nhost_calls = 7");
        let said = read.values().into_iter().filter_map(|(key, value)| Some(format!("{key} {}", value?)));
        assert_eq!(said.collect::<Vec<_>>(), ["memory 64.0 MiB", "cpu 2s", "host_calls 7", "item_cost $0.5"]);
        assert!(toml::from_str::<Limits>("memory = \"much\"").unwrap_err().to_string().contains("64MiB"));
        assert!(toml::from_str::<Limits>("item_cost = -1.0").is_err());
    }

    #[test]
    fn the_lower_one_holds_and_what_is_said_goes_first() {
        let (one, other) = (limits("depth = 5\nwall = \"1s\""), limits("depth = 3\nwall = \"2s\"\nlog_lines = 1"));
        assert_eq!(one.lower(other), limits("depth = 3\nwall = \"1s\"\nlog_lines = 1"));
        assert_eq!(one.or(other), limits("depth = 5\nwall = \"1s\"\nlog_lines = 1"));
    }
}
