//! Processes of this program's own for bytes of somebody else, whose readers may take all memory, run for ever, or crash: the same program
//! with a hidden command, bounded in everything.
//!
//! `inside` is what such a process does to itself before it reads a byte, `outside` is its parent's side. Must not know: what is read
//! there, and what an end of it means to whoever wanted it.

mod inside;
mod outside;
mod pipe;

pub use inside::{address_space, allow_cpu, bound_cpu, confine, die_with};
pub use outside::{Confined, EXIT_PATIENCE, Ended, command, this_program};
pub use pipe::{Patient, collect, spawn};
