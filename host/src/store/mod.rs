//! The job store: one SQLite file a job, one thread that writes it.
//!
//! Always holds: what was acknowledged is on disk; a file that is not ours is never written to; nobody else writes. Must not know:
//! what a plugin or a provider is.

mod backup;
mod blobs;
mod card;
mod codec;
#[cfg(test)]
mod contract;
pub mod control;
#[cfg(test)]
mod documented;
mod error;
mod failed_page;
mod files;
mod fold;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod groups;
mod item_rows;
mod known;
mod manage;
mod merge;
mod open;
mod place;
mod prune;
mod reader;
mod reader_live;
mod reader_spent;
mod recorded;
mod registration;
mod reuse;
mod selection;
#[cfg(test)]
pub(crate) mod testing;
mod told;
mod types;
mod verify;
mod walk;
mod write;
mod writer;

pub use blobs::DoneRow;
pub use card::{decode_card, encode_card};
pub use codec::{budget_from_context, context_of_budget};
pub use error::StoreError;
pub use failed_page::{FailedPage, FailedRow};
pub use files::{JobName, list_jobs};
pub use groups::{FailedGroup, GenerationRecord, RejectedGroup, RunRecord};
pub use item_rows::{CallRow, ItemBooks, ItemDetail, ItemRow, ItemState, Rejection};
pub use known::find_job;
pub use manage::{change_arguments, remove_job, runner_of, size_of};
pub use merge::{Conflicts, MergeReport, Merged};
pub use place::{Place, try_place};
pub use prune::{Keep, Pruned, prune};
pub use reader::Reader;
pub use reader_live::{GuestsNote, Live, LiveRoute, Recent};
pub use recorded::{RecordedAttempt, RecordedCall, RecordedEnd};
pub use registration::Registration;
pub use selection::{FailedFilter, Order, Selection, States, Take};
pub use told::{ToldEntry, ToldFact};
pub use types::{
    Added, AttemptId, CallId, CallOutcome, CostBy, CostRow, Counts, Cursor, FailureRow, Generation, GenerationId,
    GuestLogLine, ItemEnd, ItemHistory, ItemOutcome, JobRow, JournalEntry, LogRow, NewAttempt, NewCall, NewItem,
    NewJob, NewRouteEvent, Page, PendingItem, PriceId, RegistrationReport, RunEnd, RunId, RunRow, Took, UsageTotals,
};
pub use verify::Verdict;
pub use walk::{CallSpan, CallSpanEnd, ItemSpan, RouteEvent};
pub use write::{Opened, Store};
pub use writer::Durable;
