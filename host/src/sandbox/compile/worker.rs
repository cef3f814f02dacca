//! The child's side: the process that compiles untrusted bytes, and nothing else.
//!
//! It gives up what it does not need before it reads the first byte. Then one component comes in on stdin, and its native code goes out on
//! stdout, or on stderr why there is none.

use super::{settings, translate::translate};
use crate::confined;
use std::io::{Read, Write};
use std::time::Duration;
use wasmtime::Engine;

/// What a worker may take.
#[derive(Debug, Clone, Copy)]
pub struct WorkerLimits {
    /// Of all its threads together; whole seconds.
    pub cpu_time: Duration,
    /// Of address space.
    pub memory_bytes: u64,
}

/// How a worker ends that has understood what it was given. All other ends are those of a process that ran into a limit, or crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    Compiled,
    /// There is something wrong with the component, and stderr says what.
    Refused,
    /// There is something wrong around it.
    Failed,
}

impl WorkerEnd {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Compiled => 0,
            Self::Refused => 3,
            Self::Failed => 4,
        }
    }
}

/// The whole life of a worker. `parent`: the process that started it, without which it has no reason to be.
pub fn work(limits: WorkerLimits, parent: u32, is_text: bool) -> WorkerEnd {
    if let Err(error) = confine(limits, parent) {
        return say(&format!("the compile worker cannot confine itself: {error}"), WorkerEnd::Failed);
    }
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().lock().read_to_end(&mut bytes) {
        return say(&format!("the compile worker cannot read the component: {error}"), WorkerEnd::Failed);
    }
    let engine = match Engine::new(&settings::config()) {
        Ok(engine) => engine,
        Err(error) => return say(&format!("the compile worker has no compiler: {error:#}"), WorkerEnd::Failed),
    };
    let artefact = match translate(&engine, &bytes, is_text) {
        Ok(artefact) => artefact,
        Err(reason) => return say(&reason, WorkerEnd::Refused),
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(&artefact).and_then(|()| out.flush()) {
        Ok(()) => WorkerEnd::Compiled,
        Err(error) => say(&format!("the compile worker cannot hand over its code: {error}"), WorkerEnd::Failed),
    }
}

fn say(text: &str, end: WorkerEnd) -> WorkerEnd {
    // Without a reader there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    end
}

fn confine(limits: WorkerLimits, parent: u32) -> std::io::Result<()> {
    confined::confine(limits.memory_bytes)?;
    confined::bound_cpu(limits.cpu_time)?;
    confined::die_with(parent)
}
