//! A live page about a run, served by its own process to whoever has the secret that the run printed.
//!
//! Always holds: a request is let in before anything is done for it (`door`); nobody who looks, however slow, holds up the batch; every text
//! of others is data, with what is hidden in it made visible. What a person asks for by the page goes the way of `sandmill pause` and
//! `sandmill resume`. Must not know how a run works.

mod assets;
mod board;
mod door;
mod events;
mod failures;
mod serve;
#[cfg(test)]
mod tests;
mod token;

pub use board::{Board, Ending, Running, Steer, Taken};
pub use serve::{Server, ServerSettings};
pub use token::{NoToken, Token};
