//! From a component's bytes to native code, which is where a hostile file meets the largest and least forgiving piece of software here.
//!
//! Always holds: the process of a run looks at nothing but the first bytes itself; everything else happens in a process that is bounded
//! in time and memory, has nothing, and may die of it. What becomes code of this process comes from there or from the cache, which
//! this process alone writes; never from a file that a person names. `docs/security.md` tells it to users.

mod artefact;
mod cache;
mod child;
mod kind;
pub(super) mod settings;
mod shape;
mod translate;
mod worker;

pub use cache::{CACHE_BYTES_MAX, Cache, CacheError};
pub use child::Workshop;
pub(super) use kind::check_kind;
pub use worker::{WorkerEnd, WorkerLimits, work};

use super::{Engine, SandboxError};
use cache::{Found, Key};
use wasmtime::component::Component;

/// How components are compiled, and where that is remembered.
pub struct Compiling {
    pub place: CompilePlace,
    pub cache: Option<Cache>,
    /// Told what is wrong with the cache, which ends nothing.
    pub say: Box<dyn Fn(&str) + Send + Sync>,
}

/// Where components are compiled.
#[derive(Debug, Clone)]
pub enum CompilePlace {
    /// In a process for each.
    Child(Workshop),
    /// Here, which nothing but a test may do with bytes that it made itself.
    #[cfg(test)]
    InProcess,
}

impl Compiling {
    /// For tests, of bytes that they made themselves.
    #[cfg(test)]
    pub(super) fn here() -> Self {
        Self { place: CompilePlace::InProcess, cache: None, say: Box::new(|_| ()) }
    }

    /// The component, from the cache or compiled within bounds. Blocks for as long as that takes: a fraction of a second for Rust, many
    /// for Python.
    ///
    /// `digest`: SHA-256 of the bytes, in hexadecimal. `is_text`: they come from a `.wat` file.
    pub(super) fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
        is_text: bool,
    ) -> Result<Component, SandboxError> {
        check_kind(bytes, is_text)?;
        let Some(cache) = &self.cache else { return load(engine, &self.compile(bytes, is_text)?) };
        let key = Key::new(&engine.wasmtime, digest, is_text);
        if let Some(component) = self.cached(engine, cache, &key) {
            return Ok(component);
        }
        let artefact = self.compile(bytes, is_text)?;
        let component = load(engine, &artefact)?;
        if let Err(error) = cache.put(&key, &artefact) {
            self.warn(&format!("the compiled plugin is not kept: {error}"));
        }
        Ok(component)
    }

    /// Whether it was compiled before and would be loaded as that. `digest`: as above.
    pub fn is_kept(&self, engine: &Engine, digest: &str, is_text: bool) -> bool {
        let found = self.cache.as_ref().map(|cache| cache.get(&Key::new(&engine.wasmtime, digest, is_text)));
        matches!(found, Some(Ok(Found::Whole(_))))
    }

    fn compile(&self, bytes: &[u8], is_text: bool) -> Result<Vec<u8>, SandboxError> {
        match &self.place {
            CompilePlace::Child(workshop) => workshop.compile(bytes, is_text),
            #[cfg(test)]
            CompilePlace::InProcess => {
                let worker = wasmtime::Engine::new(&settings::config()).unwrap();
                translate::translate(&worker, bytes, is_text).map_err(SandboxError::NotAPlugin)
            }
        }
    }

    fn cached(&self, engine: &Engine, cache: &Cache, key: &Key) -> Option<Component> {
        match cache.get(key) {
            // What was written for this engine and is as it was written loads, unless this run's limits are too narrow for it; then it
            // is compiled anew, and that says so.
            Ok(Found::Whole(whole)) => load(engine, whole.artefact()).ok(),
            Ok(Found::Nothing) => None,
            Ok(Found::Damaged) => {
                self.warn("the compiled plugin in the cache was damaged: it is removed and compiled anew");
                None
            }
            Err(error) => {
                self.warn(&format!("the cache of compiled plugins is not used: {error}"));
                None
            }
        }
    }

    fn warn(&self, text: &str) {
        (self.say)(&format!("warning: {text}"));
    }
}

fn load(engine: &Engine, artefact: &[u8]) -> Result<Component, SandboxError> {
    artefact::load(&engine.wasmtime, artefact).map_err(|error| {
        SandboxError::NotAPlugin(match limit_of(&format!("{error:#}")) {
            Some(flag) => format!("the component needs more than it may have: {error:#}; raise {flag}"),
            None => format!("the component does not fit into the limits of this run: {error:#}"),
        })
    })
}

/// The flag that would let a component be loaded which the pool has no room for. wasmtime's errors have no types; tests hold their texts.
fn limit_of(error: &str) -> Option<&'static str> {
    let of = [
        ("core module instances", "--limit-instances"),
        ("memories, which", "--limit-instances"),
        ("tables, which", "--limit-instances"),
        ("defined memories count", "--limit-instances"),
        ("defined tables count", "--limit-instances"),
        ("minimum byte size", "--limit-memory"),
        ("minimum element size", "--limit-table"),
    ];
    let (_, flag) = of.into_iter().find(|(text, _)| error.contains("exceeds") && error.contains(text))?;
    Some(flag)
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    const TEXT: &[u8] = b"(component (core module (memory 1)))";

    struct Bench {
        engine: Engine,
        dir: tempfile::TempDir,
        said: Arc<Mutex<Vec<String>>>,
    }

    impl Bench {
        fn new() -> Self {
            let engine = Engine::new(Limits::default(), 1).unwrap();
            Self { engine, dir: tempfile::tempdir().unwrap(), said: Arc::default() }
        }

        fn compiling(&self, place: CompilePlace) -> Compiling {
            let cache = Cache::open(&self.dir.path().join("cache"), 1 << 20).unwrap();
            let said = Arc::clone(&self.said);
            let say = Box::new(move |text: &str| said.lock().unwrap().push(text.to_owned()));
            Compiling { place, cache: Some(cache), say }
        }

        fn entry(&self) -> std::path::PathBuf {
            let mut entries = std::fs::read_dir(self.dir.path().join("cache")).unwrap();
            entries.next().unwrap().unwrap().path()
        }
    }

    /// Whoever compiles there is told that there is nobody.
    fn nowhere() -> CompilePlace {
        let limits = WorkerLimits { cpu_time: Duration::from_secs(1), memory_bytes: 1 };
        CompilePlace::Child(Workshop::new(Path::new("/nowhere").into(), limits))
    }

    #[test]
    fn what_was_compiled_once_is_not_compiled_again() {
        let bench = Bench::new();
        let load = |place| bench.compiling(place).component(&bench.engine, TEXT, &"a".repeat(64), true).map(drop);
        assert!(load(nowhere()).unwrap_err().to_string().contains("/nowhere"));
        let is_kept = |digest: &str| bench.compiling(nowhere()).is_kept(&bench.engine, digest, true);
        assert!(!is_kept(&"a".repeat(64)));
        load(CompilePlace::InProcess).unwrap();
        assert!(is_kept(&"a".repeat(64)) && !is_kept(&"b".repeat(64)));
        load(nowhere()).unwrap();
        let other = bench.compiling(nowhere()).component(&bench.engine, TEXT, &"b".repeat(64), true);
        assert!(other.is_err(), "another component's code is not taken");
        assert!(bench.said.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_damaged_is_told_and_compiled_anew() {
        let bench = Bench::new();
        let load = |place| bench.compiling(place).component(&bench.engine, TEXT, &"a".repeat(64), true).map(drop);
        load(CompilePlace::InProcess).unwrap();
        std::fs::write(bench.entry(), "sandmill compiled 1\n").unwrap();
        load(CompilePlace::InProcess).unwrap();
        assert!(bench.said.lock().unwrap()[0].contains("was damaged"));
        load(nowhere()).unwrap();
    }

    #[test]
    fn a_component_that_does_not_fit_into_the_pool_is_told_cold_and_warm() {
        let mut bench = Bench::new();
        let large = b"(component (core module $m (memory 200)) (core instance (instantiate $m)))";
        let load = |bench: &Bench, place| {
            bench.compiling(place).component(&bench.engine, large, &"a".repeat(64), true).map(drop)
        };
        load(&bench, CompilePlace::InProcess).unwrap();
        bench.engine = Engine::new(Limits { memory_bytes: 1 << 20, ..Limits::default() }, 1).unwrap();
        let said = load(&bench, CompilePlace::InProcess).unwrap_err().to_string();
        assert!(said.contains("needs more than it may have"), "{said}");
    }
}
