//! Everything between a plugin's request and a provider's answer: the journal, routes, retries, limits, budgets, the ledger.
//!
//! Always holds: retries have one owner, and it stands here; an answer is committed before a plugin sees it; once the run is
//! [halted](Halt) no further call leaves. `stack` alone knows the order of the layers.

mod ask;
mod backoff;
mod cassette;
mod context;
mod desk;
mod exchange;
mod extras;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod halt;
mod hash;
mod ledger;
mod overheard;
mod parked;
mod probes;
mod purse;
mod rehearsal;
mod replay;
mod retry;
mod retry_budget;
mod route;
mod session;
mod span;
mod stack;
mod structure;
mod ways;

pub use backoff::RetrySettings;
pub use cassette::{AnsweredBy, Cassette, CassetteSettings, Question as TapedQuestion, Taped};
pub use context::{ContextSettings, Counting, Encoding, KnownWindow, OnOverflow, count_alone, cut_alone};
pub use gate::{
    BreakerSettings, BreakerState, ConcurrencySettings, GateSettings, GateStatus, KeyLimits, LimiterSettings, Notes,
};
pub use halt::{Halt, HaltReason};
pub use overheard::Overheard;
pub use parked::Patience;
pub use purse::{Amount, Spending, dollars};
pub use rehearsal::Rehearsal;
pub use replay::{Answered, Heard, Recording, Replay};
pub use route::{Fallback, Route, Routes};
pub use session::{ItemSession, QuestionKey, SessionStart, Told};
pub use stack::{Stack, StackAround, StackSettings};

/// The output that is reckoned with where a request does not say how much it wants, in tokens.
const OUTPUT_TOKENS_ASSUMED: u32 = 2_000;
