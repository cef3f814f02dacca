//! From the name of a plugin to one that can be run: fixed, granted what it is given, compiled.

use super::compiling;
use super::grants::Granted;
use super::policy::InForce;
use super::run_args::RunArgs;
use super::trust::Trust;
use crate::config::Config;
use crate::kit::Component;
use crate::progress::Console;
use crate::sandbox::{Engine, Limits, Plugin};
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What is given of what was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giving {
    All,
    /// Folders to be read, and nobody is asked.
    Rehearsed,
}

/// What it takes.
pub(super) struct Loading<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) config: &'a Config,
    pub(super) policy: &'a InForce,
    pub(super) trust: &'a Trust,
    /// Of the jobs' files, which no plugin is given.
    pub(super) store_dir: &'a Path,
    pub(super) console: &'a Console,
    pub(super) runtime: &'a Runtime,
}

/// A plugin that can be run.
pub(super) struct Loaded {
    pub(super) plugin: Plugin,
    pub(super) component: Component,
    pub(super) granted: Granted,
}

impl Loading<'_> {
    pub(super) fn load(
        &self,
        giving: Giving,
        engine: impl FnOnce(Limits) -> anyhow::Result<Engine>,
    ) -> anyhow::Result<Loaded> {
        let component = self.runtime.block_on(self.trust.admit(&self.args.plugin))?;
        let granted = Granted::settle(self.args, self.config, &component, self.policy, self.store_dir)?;
        let granted = match giving {
            Giving::All => granted,
            Giving::Rehearsed => granted.rehearsed(),
        };
        let given = granted.open(self.runtime.handle())?;
        let compiling = compiling::compiling(self.args.cache.as_deref(), self.config, self.console)?;
        let engine = Arc::new(engine(self.args.limits.of_attempt(&self.config.limits)?)?);
        let load = Plugin::load(engine, &compiling, &component.bytes, component.is_text, component.digest());
        let mut plugin =
            self.runtime.block_on(load).with_context(|| format!("{} cannot be used", component.path.display()))?;
        plugin.give(given);
        Ok(Loaded { plugin, component, granted })
    }
}
