//! How an attempt at an item ends.

use super::CrashCard;
use std::fmt;
use std::time::Duration;

/// Counts how often an item was begun anew: 1, and one more each time the plugin itself rejected an answer. An attempt
/// that a crash, a stop or a trap cut short is run again under its own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptNumber(pub u32);

impl AttemptNumber {
    pub const FIRST: Self = Self(1);

    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What is left for an item; `None` where no limit was set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    pub calls: Option<u64>,
    pub tokens: Option<u64>,
    pub micro_dollars: Option<u64>,
}

/// One value that an item yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// Valid JSON, in one line.
    pub value: String,
    pub name: Option<String>,
    pub extra: Vec<super::Pair>,
}

/// An item that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done(Vec<Emission>),
    Skipped { reason: String },
}

/// Who or what failed an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// The line of the input is no item.
    BadInput,
    /// The plugin says that the item cannot succeed; provider errors that it passes on are among these, by their code.
    Plugin,
    /// The plugin rejected every answer that it was allowed to ask for.
    AttemptsExhausted,
    /// The component trapped: a panic, an uncaught exception, an exit, an illegal instruction.
    Trap,
    /// The plugin's own processor time.
    CpuTime,
    /// Processor time that the host spent for the plugin.
    HostTime,
    WallTime,
    Memory,
    /// Elements of tables.
    Table,
    /// The stack of the component overflowed.
    Stack,
    /// Core instances, or the number of memories or tables.
    Instances,
    /// Resources of the host that the plugin held at once.
    Handles,
    /// Calls of the host's functions, WASI's among them.
    HostCalls,
    /// Bytes between plugin and host in one call.
    Transfer,
    /// What the plugin returned is larger than allowed.
    OutputTooLarge,
    /// What the plugin returned is nested too deep.
    OutputTooDeep,
    /// What the plugin returned cannot be checked against its own schema within reason.
    SchemaTooCostly,
    /// What the plugin returned is not what it may return: no JSON, not of its own schema.
    BadOutput,
    /// The plugin asked too many things at once, and gave up.
    RequestsAtOnce,
    /// The item may ask no more, and the plugin gave up.
    ItemCalls,
    /// The item may use no more tokens, and the plugin gave up.
    ItemTokens,
    /// The item may cost no more, and the plugin gave up.
    ItemCost,
    /// Something else that the plugin overdid: random bytes in one call, the pool of instances.
    ResourceLimit,
}

impl FailureClass {
    pub const ALL: [Self; 23] = [
        Self::BadInput,
        Self::Plugin,
        Self::AttemptsExhausted,
        Self::Trap,
        Self::CpuTime,
        Self::HostTime,
        Self::WallTime,
        Self::Memory,
        Self::Table,
        Self::Stack,
        Self::Instances,
        Self::Handles,
        Self::HostCalls,
        Self::Transfer,
        Self::OutputTooLarge,
        Self::OutputTooDeep,
        Self::SchemaTooCostly,
        Self::BadOutput,
        Self::RequestsAtOnce,
        Self::ItemCalls,
        Self::ItemTokens,
        Self::ItemCost,
        Self::ResourceLimit,
    ];

    /// The name in stores, summaries and messages; never changes once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::Plugin => "plugin",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Trap => "trap",
            Self::CpuTime => "cpu_time",
            Self::HostTime => "host_time",
            Self::WallTime => "wall_time",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Stack => "stack",
            Self::Instances => "instances",
            Self::Handles => "handles",
            Self::HostCalls => "host_calls",
            Self::Transfer => "transfer",
            Self::OutputTooLarge => "output_too_large",
            Self::OutputTooDeep => "output_too_deep",
            Self::SchemaTooCostly => "schema_too_costly",
            Self::BadOutput => "bad_output",
            Self::RequestsAtOnce => "requests_at_once",
            Self::ItemCalls => "item_calls",
            Self::ItemTokens => "item_tokens",
            Self::ItemCost => "item_cost",
            Self::ResourceLimit => "resource_limit",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An item that is not finished, and will not be in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: FailureClass,
    /// The plugin's or the provider's code; the class's name where there is none.
    pub code: String,
    pub message: String,
    /// Valid JSON, from the plugin.
    pub detail: Option<String>,
    /// The frames of a trap, innermost first, and the last lines of the guest's stderr.
    pub backtrace: Option<String>,
    /// Of a plugin that did not end by itself.
    pub card: Option<Box<CrashCard>>,
}

impl Failure {
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: class.name().to_owned(),
            message: message.into(),
            detail: None,
            backtrace: None,
            card: None,
        }
    }
}

/// The plugin wants the item run again from the start, with fresh answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retryable {
    pub after: Option<Duration>,
    pub code: String,
    pub message: String,
    /// Valid JSON.
    pub detail: Option<String>,
}

/// How one run of the guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Finished(Outcome),
    Failed(Failure),
    Retry(Retryable),
    /// Neither: the item stays pending.
    Suspended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_class_is_found_again_by_its_name() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_name(class.name()), Some(class));
        }
    }
}
