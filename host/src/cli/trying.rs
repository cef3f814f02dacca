//! A plugin that is tried on an item outside of any job: the flags that every such command takes, and what they come to.

use super::loading::{Giving, Loaded, Loading};
use super::policy::InForce;
use super::routes::{self, Planned};
use super::run_args::{ProviderArgs, RunArgs};
use super::trust::{Trust, TrustArgs};
use super::{Failure, grants, limits::LimitArgs, policy, runtime, settings};
use crate::config::{self, Config};
use crate::domain::Budget;
use crate::progress::{Console, Verbosity};
use crate::sandbox::Engine;
use clap::Args;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

#[derive(Debug, Clone, Args)]
pub(super) struct TryArgs {
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Where compiled plugins are kept for the next start, or `off` [default: sandmill/compiled in the user's cache folder]
    #[arg(long, value_name = "DIR", help_heading = "Plugin")]
    cache: Option<PathBuf>,
    /// Give the plugin something of the world: read=FOLDER, write=FOLDER, env=NAME, http=HOST, clock or random (docs/sandbox.md has
    /// every form of them); given once for each
    #[arg(long, value_name = "GRANT", value_parser = grants::flag, help_heading = "Plugin")]
    grant: Vec<String>,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

impl TryArgs {
    /// Whom to ask, where nobody is asked.
    pub(super) fn names_somebody(&self) -> bool {
        self.provider.provider.is_some() || !self.provider.route.is_empty()
    }
}

/// What surrounds the plugins that a command tries.
pub(super) struct Trying {
    /// As `run` would have them. They name the plugin that is looked at.
    pub(super) args: RunArgs,
    pub(super) config: Config,
    pub(super) policy: InForce,
    pub(super) runtime: Runtime,
    pub(super) console: Console,
    config_path: Option<PathBuf>,
    store_dir: PathBuf,
}

impl Trying {
    pub(super) fn new(args: &TryArgs, verbosity: Verbosity) -> Result<Self, Failure> {
        let config = config::load(args.config.as_deref())?;
        let policy = policy::load()?;
        let TryArgs { cache, grant, provider, trust, limits, .. } = args.clone();
        let mut run_args = RunArgs { cache, grant, provider, trust, limits, ..settings::no_flags()? };
        policy.bound(&mut run_args, &config)?;
        let store_dir = settings::store_dir(None, &config);
        Ok(Self {
            args: run_args,
            config,
            policy,
            runtime: runtime()?,
            console: Console::new(verbosity),
            config_path: args.config.clone(),
            store_dir,
        })
    }

    /// From now on this plugin is meant.
    pub(super) fn name(&mut self, plugin: &Path) {
        self.args.plugin = plugin.to_path_buf();
    }

    /// As a run would; offline: also one that is not what was pinned, as it is while somebody works on it.
    pub(super) fn load(&self, giving: Giving, is_offline: bool) -> anyhow::Result<Loaded> {
        let trust = Trust::new(&self.args.trust, &self.config, self.config_path.as_deref(), &self.policy)?;
        let trust = if is_offline { trust.offline().unasked() } else { trust };
        let loading = Loading {
            args: &self.args,
            config: &self.config,
            policy: &self.policy,
            trust: &trust,
            store_dir: &self.store_dir,
            console: &self.console,
            runtime: &self.runtime,
        };
        loading.load(giving, |limits| Ok(Engine::new(limits, 1)?))
    }

    /// Whom it asks.
    pub(super) fn routes(&self, loaded: &Loaded) -> anyhow::Result<Planned> {
        let mut routes = routes::plan(&self.args, &self.config, loaded.plugin.manifest())?;
        loaded.granted.check_routes(&routes)?;
        routes.check_bound(loaded.plugin.manifest())?;
        self.policy.bound_routes(&mut routes)?;
        Ok(routes)
    }

    /// What an item may use of the models.
    pub(super) fn budget(&self) -> anyhow::Result<Budget> {
        let of_item = self.args.limits.of_item(&self.config.limits)?;
        Ok(Budget { calls: Some(of_item.calls), tokens: of_item.tokens, micro_dollars: of_item.micro_dollars })
    }
}
