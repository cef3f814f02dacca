//! Which plugins may run: those that are what was pinned, and signed, where somebody asks for it.

use super::policy::InForce;
use super::settings;
use crate::config::{self, Config};
use crate::kit::{self, Component, Keys, LOCK_FILE, Lock, SignatureState, Source};
use crate::registry::{Registry, RegistrySettings};
use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// As the sandbox takes them.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;
/// How long a registry may say nothing, and how long a component may take.
const IDLE_MAX: Duration = Duration::from_secs(30);
const PULL_TIME_MAX: Duration = Duration::from_mins(15);

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustArgs {
    /// Refuse a plugin that plugin.lock does not pin
    #[arg(long)]
    #[serde(default)]
    pub(super) locked: bool,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) look: LookArgs,
}

/// Where plugins and their pins are looked for.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Trust")]
pub(super) struct LookArgs {
    /// The file of the pins [default: plugin.lock beside sandmill.toml]
    #[arg(long, value_name = "FILE")]
    #[serde(default)]
    pub(super) plugin_lock: Option<PathBuf>,
    /// A registry that is asked without TLS; this machine always is
    #[arg(long, value_name = "HOST[:PORT]")]
    #[serde(default)]
    pub(super) insecure_registry: Vec<String>,
}

impl TrustArgs {
    /// So that `resume` finds the same pins from any folder.
    pub(super) fn make_absolute(&mut self, config: Option<&Path>) -> anyhow::Result<()> {
        let beside = lock_path(None, config);
        if self.look.plugin_lock.is_none() && beside.exists() {
            self.look.plugin_lock = Some(beside);
        }
        if let Some(path) = &mut self.look.plugin_lock {
            *path = std::path::absolute(&*path)?;
        }
        Ok(())
    }
}

/// What is asked of a plugin, and who asks it.
pub(super) struct Trust {
    pub(super) lock: Lock,
    pub(super) keys: Keys,
    /// Made when it is needed: a plugin's folder needs no cache.
    registry: OnceLock<Registry>,
    insecure: Vec<String>,
    /// No registry is asked.
    is_offline: bool,
    /// Whatever is pinned or signed, it is looked at.
    is_unasked: bool,
    /// Who wants it pinned.
    pinned: Option<String>,
    /// Who wants it signed, and by whom.
    signed: Vec<(String, Keys)>,
}

impl Trust {
    /// For a run. `file`: `--config`.
    pub(super) fn new(
        args: &TrustArgs,
        config: &Config,
        file: Option<&Path>,
        policy: &InForce,
    ) -> anyhow::Result<Self> {
        if let Some(path) = &args.look.plugin_lock
            && !path.exists()
        {
            bail!(
                "--plugin-lock {}: there is no such file: write it with `sandmill plugin lock PLUGIN`",
                path.display()
            );
        }
        let mut trust = Self::looking(&args.look, config, file, policy)?;
        if args.locked {
            trust.pinned = Some("--locked".to_owned());
        }
        Ok(trust)
    }

    /// For a look at plugins, and for pinning them: the file of the pins need not be there yet.
    pub(super) fn looking(
        args: &LookArgs,
        config: &Config,
        file: Option<&Path>,
        policy: &InForce,
    ) -> anyhow::Result<Self> {
        let trust = &config.trust;
        let keys = Keys::parse(&trust.keys).context("[trust] keys")?;
        let mut pinned = (trust.require_pinned == Some(true)).then(|| "[trust] require_pinned".to_owned());
        let mut signed = Vec::new();
        if trust.require_signed == Some(true) {
            signed.push(("[trust] require_signed".to_owned(), keys.clone()));
        }
        for (path, policy) in policy.files() {
            let who = |key: &str| format!("the policy ({}, {key})", path.display());
            if policy.require_pinned == Some(true) {
                pinned.get_or_insert(who("require_pinned"));
            }
            if policy.require_signed == Some(true) {
                let keys = match &policy.trusted_keys {
                    Some(texts) => Keys::parse(texts).with_context(|| who("trusted_keys"))?,
                    None => keys.clone(),
                };
                signed.push((who("require_signed"), keys));
            }
        }
        if let Some((who, _)) = signed.iter().find(|(_, keys)| keys.is_empty()) {
            bail!(
                "{who} wants plugins signed, and no key is trusted: add [trust] keys = [\"RW…\"] to sandmill.toml, or trusted_keys to the policy"
            );
        }
        let insecure = args.insecure_registry.iter().chain(&trust.insecure_registries).cloned().collect();
        let lock = Lock::read(&lock_path(args.plugin_lock.as_deref(), file))?;
        Ok(Self {
            lock,
            keys,
            registry: OnceLock::new(),
            insecure,
            is_offline: false,
            is_unasked: false,
            pinned,
            signed,
        })
    }

    /// From now on what a registry has is taken from what was pulled before, or not at all.
    pub(super) fn offline(self) -> Self {
        Self { is_offline: true, ..self }
    }

    /// For a plugin that its author tries, and that nobody is asked for: nothing is wanted of it.
    pub(super) fn unasked(self) -> Self {
        Self { is_unasked: true, ..self }
    }

    /// The component that a run may use: fixed, and what is asked of it.
    pub(super) async fn admit(&self, plugin: &Path) -> anyhow::Result<Component> {
        let source = Source::parse(plugin)?;
        if self.is_unasked {
            return self.fetch(&source).await;
        }
        let component = self.fetch(&self.fixed(&source).await?).await?;
        self.check_pin(&source, &component)?;
        self.check_signature(&component)?;
        Ok(component)
    }

    /// The component as it is now, whatever is pinned.
    pub(super) async fn fetch(&self, source: &Source) -> anyhow::Result<Component> {
        match source {
            Source::Path(path) => Ok(kit::locate(path)?),
            Source::Registry(reference) => Ok(Component::pulled(reference, self.registry()?.pull(reference).await?)),
        }
    }

    fn registry(&self) -> anyhow::Result<&Registry> {
        if self.registry.get().is_none() {
            let registry = Registry::new(RegistrySettings {
                cache: cache()?,
                insecure: self.insecure.clone(),
                is_offline: self.is_offline,
                component_bytes_max: COMPONENT_BYTES_MAX,
                idle_max: IDLE_MAX,
                time_max: PULL_TIME_MAX,
            })?;
            // One that somebody else has made in the meantime is as good.
            let _ = self.registry.set(registry);
        }
        self.registry.get().context("the registry's client is gone")
    }

    /// A tag can be moved: what runs unattended is what somebody has fixed.
    async fn fixed(&self, source: &Source) -> anyhow::Result<Source> {
        let Source::Registry(reference) = source else { return Ok(source.clone()) };
        if reference.digest().is_some() {
            return Ok(source.clone());
        }
        if let Some(digest) = self.lock.find(source).and_then(|pin| pin.manifest) {
            return Ok(Source::Registry(reference.with_digest(digest)));
        }
        let now = self.registry()?.resolve(reference).await?;
        bail!(
            "{reference} is a tag, which can be moved, and it is not pinned: it is now {now}; look at it with `sandmill plugin inspect {reference}`, then pin it with `sandmill plugin lock {reference}`, or add @{now} to its name"
        )
    }

    fn check_pin(&self, source: &Source, component: &Component) -> anyhow::Result<()> {
        let found = component.digest();
        match (self.lock.find(source), &self.pinned) {
            (Some(pin), _) if pin.digest == found => Ok(()),
            (Some(pin), _) => {
                // What a registry has is still there under its old digest.
                let old = match (source, pin.manifest) {
                    (Source::Registry(reference), Some(manifest)) => reference.with_digest(manifest).to_string(),
                    _ => "OLD".to_owned(),
                };
                bail!(
                    "{source} is not the plugin that {} pins: it is {found}, and {} is pinned; see what has changed with `sandmill plugin diff {old} {source}`, then accept it with `sandmill plugin lock {source}`",
                    self.lock.path().display(),
                    pin.digest
                )
            }
            // Its name fixes what a registry has.
            (None, Some(_)) if matches!(source, Source::Registry(reference) if reference.digest().is_some()) => Ok(()),
            (None, Some(who)) => bail!(
                "{source} is not pinned, and {who} wants that: it is {found}; look at it with `sandmill plugin inspect {source}`, then pin it with `sandmill plugin lock {source}`"
            ),
            (None, None) => Ok(()),
        }
    }

    /// A signature that is bad is refused whether one is wanted or not.
    pub(super) fn check_signature(&self, component: &Component) -> anyhow::Result<()> {
        let path = component.path.display();
        let state = |keys: &Keys| keys.check(&component.bytes, component.signature.as_deref());
        if let SignatureState::Bad(reason) = state(&self.keys) {
            bail!(
                "the signature of {path} is bad ({reason}): the plugin is not what was signed; get both again from whoever signed it"
            );
        }
        for (who, keys) in &self.signed {
            let what = match state(keys) {
                SignatureState::Good { .. } => continue,
                SignatureState::None => "is not signed",
                SignatureState::Unknown => "is signed with a key that is not trusted",
                SignatureState::Bad(_) => "has a bad signature",
            };
            bail!(
                "{path} {what}, and {who} wants plugins signed by a trusted key: put the signature beside it ({path}.minisig), or trust the key that it is signed with"
            );
        }
        Ok(())
    }
}

fn lock_path(named: Option<&Path>, config: Option<&Path>) -> PathBuf {
    let file = config.unwrap_or_else(|| Path::new(config::DEFAULT_FILE));
    named.map_or_else(|| file.with_file_name(LOCK_FILE), Path::to_path_buf)
}

/// `$XDG_CACHE_HOME/sandmill/plugins`.
fn cache() -> anyhow::Result<PathBuf> {
    let caches = settings::caches().context("neither XDG_CACHE_HOME nor HOME names a folder: set one of them")?;
    Ok(caches.join("plugins"))
}
