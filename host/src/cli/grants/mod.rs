//! What a plugin is given: from `--grant` and `[grants]`, against what it asks for, what it imports, and what may be given at all.

mod guard;

use super::policy::InForce;
use super::routes::Planned;
use super::run_args::RunArgs;
use crate::config::Config;
use crate::domain::{Folder, Grant, Grants};
use crate::kit::{Component, Source, reach};
use crate::sandbox::{Anatomy, Given};
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::path::Path;
use tokio::runtime::Handle;

use guard::Guarded;

/// What the operator says of one plugin.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub(super) grants: Grants,
    /// The routes that it may be bound to, where somebody says which.
    routes: Option<Vec<String>>,
}

/// Kept as text, so that it is stored as it was given.
pub(super) fn flag(text: &str) -> Result<String, String> {
    text.parse::<Grant>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// So that `resume` gives the same folder from wherever it is called.
pub(super) fn absolute(text: &str) -> anyhow::Result<String> {
    let mut grant = text.parse::<Grant>()?;
    if let Grant::Read(folder) | Grant::Write(folder) = &mut grant
        && !folder.host.as_os_str().is_empty()
    {
        folder.host = std::path::absolute(&folder.host)?;
    }
    Ok(grant.to_string())
}

impl Granted {
    /// `flags`: each `--grant`, which add to what `[grants]` says of this plugin.
    pub(super) fn new(flags: &[String], plugin: &Path, config: &Config) -> anyhow::Result<Self> {
        let of_flags = flags.iter().map(|text| Ok(text.parse::<Grant>()?)).collect::<anyhow::Result<Vec<Grant>>>()?;
        let mut granted = Self::default();
        let mut all = of_flags;
        for (name, table) in &config.grants {
            if !is_of(name, plugin)? {
                continue;
            }
            all.extend(table.grants().with_context(|| format!("[grants.{name:?}]"))?);
            granted.routes = table.routes.clone().or(granted.routes);
        }
        if let Some(grant) = all.iter().find(|grant| is_open(grant)) {
            bail!("the grant {grant} says not which folder: write {}=FOLDER{}", grant.kind(), value(grant));
        }
        granted.grants = all.into_iter().collect();
        Ok(granted)
    }

    /// What a run gives: all that the plugin needs, nothing that a policy forbids, nothing that no plugin may have.
    pub(super) fn settle(
        args: &RunArgs,
        config: &Config,
        component: &Component,
        policy: &InForce,
        store_dir: &Path,
    ) -> anyhow::Result<Self> {
        let granted = Self::new(&args.grant, &args.plugin, config)?;
        granted.check_needs(&args.plugin, component)?;
        granted.check_policy(policy)?;
        Guarded::new(args, config, store_dir, component, policy)?.check(&granted)?;
        Ok(granted)
    }

    /// A rehearsal leaves no trace: nothing is written, nothing leaves the machine.
    pub(super) fn rehearsed(self) -> Self {
        let without = |grant: Grant| match grant {
            Grant::Write(folder) => Some(Grant::Read(folder)),
            Grant::Http(_) => None,
            other => Some(other),
        };
        Self { grants: self.grants.into_iter().filter_map(without).collect(), ..self }
    }

    /// Refuses to go on without what the plugin needs.
    fn check_needs(&self, plugin: &Path, component: &Component) -> anyhow::Result<()> {
        let missing = component.needs.required.beyond(&self.grants);
        if missing.is_empty() {
            return Ok(());
        }
        let name = component.name.as_deref().unwrap_or("the plugin");
        let mut text = format!("the plugin `{name}` does not run without what it was not granted:");
        for grant in missing.iter() {
            let _ = write!(text, "\n  {grant}: give it with --grant {}", quoted(&offer(grant, plugin)));
        }
        text +=
            "\nor in [grants.\"PLUGIN\"] of sandmill.toml; what it does with it is up to the plugin (docs/sandbox.md)";
        bail!(text)
    }

    fn check_policy(&self, policy: &InForce) -> anyhow::Result<()> {
        for (path, bounds) in policy.files() {
            let Some(table) = &bounds.grants else { continue };
            let allowed = table.grants().with_context(|| format!("{}: [grants]", path.display()))?;
            if let Some(refused) = self.grants.iter().find(|given| !allowed.iter().any(|most| is_within(most, given))) {
                let listed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                let listed = if listed.is_empty() { "none".into() } else { listed.join(", ") };
                bail!("the grant {refused}: the policy ({}) allows {listed}", path.display());
            }
        }
        Ok(())
    }

    /// The routes that the plugin could ask, those that step in among them.
    pub(super) fn check_routes(&self, planned: &Planned) -> anyhow::Result<()> {
        let Some(allowed) = &self.routes else { return Ok(()) };
        for route in planned.all() {
            if !allowed.contains(&route.route.name) {
                let listed = if allowed.is_empty() { "none".into() } else { allowed.join(", ") };
                bail!(
                    "route `{}`: [grants] of sandmill.toml lets this plugin ask {listed}; name it there, or bind the role to another with --route ROLE=NAME",
                    route.route.name
                );
            }
        }
        Ok(())
    }

    /// Opens it all, once for the run.
    pub(super) fn open(&self, network: &Handle) -> anyhow::Result<Given> {
        Ok(Given::open(&self.grants, |name| std::env::var_os(name), network)?)
    }

    /// What is said at load: nothing where nothing is granted, and nothing imported that would need it.
    pub(super) fn lines(&self, component: &Component, is_rehearsal: bool) -> anyhow::Result<Vec<String>> {
        let anatomy = Anatomy::read(&component.bytes, component.is_text)?;
        let told = reach(&anatomy, &self.grants);
        let mut lines: Vec<String> = told.iter().filter(|it| it.is_remarkable()).map(|it| format!("  {it}")).collect();
        if !lines.is_empty() {
            lines.insert(0, "What the plugin is given, against what it imports:".into());
        }
        let joined = |grants: &Grants| grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let unset = |grant: &&Grant| matches!(grant, Grant::Env(name) if std::env::var_os(name).is_none());
        let unset: Grants = self.grants.iter().filter(unset).cloned().collect();
        if !unset.is_empty() {
            lines.push(format!("warning: granted, but not set here: {}", joined(&unset)));
        }
        let unasked = self.grants.beyond(&component.needs.all());
        if component.name.is_some() && !unasked.is_empty() {
            lines.push(format!("Granted, and not asked for by its plugin.toml: {}", joined(&unasked)));
        }
        if is_rehearsal {
            if component.needs.all().iter().any(|asked| matches!(asked, Grant::Write(_) | Grant::Http(_))) {
                lines.push("A dry run gives no HTTP, and folders to be read only: what needs more fails in it".into());
            }
        } else if self.grants.iter().any(Grant::is_of_the_world) {
            lines.push("What it finds there may change: an item that is run again may ask anew what was paid".into());
        }
        Ok(lines)
    }
}

/// Whether a name in `[grants]` is that of the plugin, as the operator names it: what a plugin calls itself proves nothing.
fn is_of(name: &str, plugin: &Path) -> anyhow::Result<bool> {
    Ok(match (Source::parse(Path::new(name))?, Source::parse(plugin)?) {
        (Source::Registry(named), Source::Registry(plugin)) => named.versionless() == plugin.versionless(),
        (Source::Path(named), Source::Path(plugin)) => guard::settled(&named) == guard::settled(&plugin),
        _ => false,
    })
}

/// It leaves to somebody else which folder it is.
fn is_open(grant: &Grant) -> bool {
    matches!(grant, Grant::Read(folder) | Grant::Write(folder) if folder.host.as_os_str().is_empty())
}

fn value(grant: &Grant) -> String {
    grant.value().unwrap_or_default()
}

/// What a policy allows covers what is given: of folders, what counts is where they lie on this machine.
fn is_within(most: &Grant, given: &Grant) -> bool {
    match (most, given) {
        (Grant::Read(most) | Grant::Write(most), Grant::Read(given)) | (Grant::Write(most), Grant::Write(given)) => {
            guard::settled(&given.host).starts_with(guard::settled(&most.host))
        }
        _ => most.covers(given),
    }
}

/// How what was asked for would be given.
fn offer(asked: &Grant, plugin: &Path) -> String {
    let of = |folder: &Folder| {
        if folder.host.as_os_str().is_empty() {
            return format!("FOLDER={}", folder.guest());
        }
        format!("{}={}", plugin.join(&folder.host).display(), folder.guest())
    };
    match asked {
        Grant::Read(folder) | Grant::Write(folder) => format!("{}={}", asked.kind(), of(folder)),
        other => other.to_string(),
    }
}

/// For a shell: a line that is copied does nothing else.
fn quoted(text: &str) -> String {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "=/._-:+".contains(c)) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_that_is_copied_gives_what_was_asked_for_and_does_nothing_else() {
        let offer = |text: &str| quoted(&offer(&grant(text), Path::new("/p")));
        assert_eq!(offer("read=data"), "read=/p/data=/data");
        assert_eq!(offer("write==/out"), "write=FOLDER=/out");
        assert_eq!(offer("http=*.example.com"), "'http=*.example.com'");
        assert_eq!(offer("read=a'$(x)"), r"'read=/p/a'\''$(x)=/a'\''$(x)'");
    }

    #[test]
    fn a_policy_bounds_folders_by_where_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/old")).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("data/out")).unwrap();
        let at = |kind: &str, path: &str| grant(&format!("{kind}={}/{path}=/x", dir.path().display()));
        assert!(is_within(&at("read", "data"), &at("read", "data/old")));
        assert!(is_within(&at("write", "data"), &at("read", "data")));
        assert!(!is_within(&at("read", "data"), &at("write", "data")));
        assert!(!is_within(&at("read", "data/old"), &at("read", "data")));
        assert!(!is_within(&at("read", "data"), &at("read", "data/../other")));
        assert!(!is_within(&at("read", "data"), &at("read", "data/out")));
        assert!(is_within(&grant("http=*.example.com"), &grant("http=api.example.com")));
        assert!(!is_within(&grant("http=api.example.com"), &grant("http=api.example.com+private")));
    }

    #[test]
    fn a_plugin_is_known_by_how_the_operator_names_it() {
        let is_of = |name: &str, plugin: &str| is_of(name, Path::new(plugin)).unwrap();
        assert!(is_of("/tmp/../tmp", "/tmp") && !is_of("/tmp", "/usr"));
        assert!(is_of("oci://ghcr.io/acme/p:1.0", "oci://ghcr.io/acme/p:1.1"));
        assert!(!is_of("oci://ghcr.io/acme/p", "oci://ghcr.io/acme/q") && !is_of("/tmp", "oci://ghcr.io/acme/p"));
    }

    #[test]
    fn a_rehearsal_neither_writes_nor_asks_anybody() {
        let grants = ["write=/srv=/x", "read=/usr", "http=example.com", "clock"].map(grant).into_iter().collect();
        let rehearsed = Granted { grants, routes: None }.rehearsed().grants;
        let told: Vec<String> = rehearsed.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["read=/srv=/x", "read=/usr", "clock"]);
    }
}
