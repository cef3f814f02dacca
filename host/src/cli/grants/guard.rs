//! What is not given, whoever grants it: keys, and what the program itself lives by.

use super::Granted;
use crate::cli::policy::InForce;
use crate::cli::run_args::RunArgs;
use crate::cli::{compiling, endpoint, settings};
use crate::config::{self, Config, DEFAULT_FILE};
use crate::domain::Grant;
use crate::kit::{Component, LOCK_FILE};
use anyhow::bail;
use std::collections::BTreeSet;
use std::path::{Component as Part, Path, PathBuf};

/// Variables of this begin hold settings of the program, credentials of registries among them.
const OWN: &str = "SANDMILL_";
/// Through these a process reaches its own memory and environment, and the machine's devices.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The places and names that no plugin is given.
pub(in crate::cli) struct Guarded {
    /// Nobody reads these, with what each is.
    unread: Vec<(PathBuf, String)>,
    /// Nobody changes these.
    unchanged: Vec<(PathBuf, String)>,
    /// Variables that hold keys, set or not.
    keys: BTreeSet<String>,
}

impl Guarded {
    pub(in crate::cli) fn new(
        args: &RunArgs,
        config: &Config,
        store_dir: &Path,
        component: &Component,
        policy: &InForce,
    ) -> anyhow::Result<Self> {
        let mut unread: Vec<(PathBuf, String)> =
            SYSTEM.iter().map(|path| (path.into(), "the system's own".to_owned())).collect();
        let mut keys: BTreeSet<String> = args.provider.api_key_env.iter().cloned().collect();
        for name in ["openai", "azure", "anthropic", "gemini"] {
            let spec = config::Provider { protocol: Some(name.into()), ..config::Provider::default() };
            keys.extend(endpoint::preset(name, &spec)?.map(|preset| preset.key_env.to_owned()));
        }
        for (name, spec) in &config.provider {
            keys.extend(spec.key_env.clone());
            unread.extend(spec.key_file.clone().map(|path| (path, format!("the key of [provider.{name}]"))));
        }
        for config::SecretPlace { section, variable, file } in config.alert.secrets() {
            keys.extend(variable.map(str::to_owned));
            unread.extend(file.map(|path| (path.to_path_buf(), format!("a secret of [{section}]"))));
        }
        let file = args.config.as_deref().unwrap_or_else(|| Path::new(DEFAULT_FILE));
        let lock = args.trust.look.plugin_lock.clone().unwrap_or_else(|| file.with_file_name(LOCK_FILE));
        let mut unchanged = vec![
            (store_dir.to_path_buf(), "the jobs' store".to_owned()),
            (file.to_path_buf(), "the settings".to_owned()),
            (lock, "the pins of plugins".to_owned()),
            (component.path.clone(), "the plugin itself".to_owned()),
        ];
        if component.name.is_some() {
            unchanged.push((args.plugin.join("plugin.toml"), "the plugin itself".to_owned()));
        }
        let caches = settings::caches().into_iter().chain(compiling::cache_folder(args.cache.as_deref(), config));
        unchanged.extend(caches.map(|path| (path, "the cache of plugins".to_owned())));
        unchanged.extend(policy.files().map(|(path, _)| (path.to_path_buf(), "the policy".to_owned())));
        Ok(Self { unread, unchanged, keys })
    }

    pub(in crate::cli) fn check(&self, granted: &Granted) -> anyhow::Result<()> {
        for grant in granted.grants.iter() {
            match grant {
                Grant::Read(folder) => check_folder(grant, &folder.host, &[&self.unread])?,
                Grant::Write(folder) => check_folder(grant, &folder.host, &[&self.unread, &self.unchanged])?,
                Grant::Env(name) => self.check_variable(name, |name| std::env::var(name).ok())?,
                Grant::Http(_) | Grant::Clock | Grant::Random => {}
            }
        }
        Ok(())
    }

    /// By its name, and by what it holds: a key has only to be exported twice to have another name.
    fn check_variable(&self, name: &str, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        if self.keys.contains(name) || name.starts_with(OWN) {
            bail!("env={name} is not given: {name} is the program's own, or holds a key; keys never enter a plugin");
        }
        let Some(value) = env(name) else { return Ok(()) };
        let holds = |key: &&String| env(key).is_some_and(|key| !key.is_empty() && value.contains(&key));
        if let Some(key) = self.keys.iter().find(holds) {
            bail!("env={name} is not given: what {name} holds is the key in {key}; keys never enter a plugin");
        }
        Ok(())
    }
}

fn check_folder(grant: &Grant, folder: &Path, kept: &[&[(PathBuf, String)]]) -> anyhow::Result<()> {
    let folder = settled(folder);
    for (path, what) in kept.iter().copied().flatten() {
        let path = settled(path);
        if path.starts_with(&folder) || folder.starts_with(&path) {
            bail!("{grant} is not given: {} is {what}; give a folder that is apart from it", path.display());
        }
    }
    Ok(())
}

/// Where a path really leads; of what is not there yet, as far as it is there.
pub(super) fn settled(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut rest = Vec::new();
    let mut there = path.as_path();
    loop {
        if let Ok(real) = there.canonicalize() {
            let mut settled = real;
            for part in rest.into_iter().rev() {
                match part {
                    Part::ParentDir => drop(settled.pop()),
                    Part::Normal(name) => settled.push(name),
                    Part::CurDir | Part::RootDir | Part::Prefix(_) => {}
                }
            }
            return settled;
        }
        let (Some(last), Some(parent)) = (there.components().next_back(), there.parent()) else { return path };
        rest.push(last);
        there = parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(unread: &Path, unchanged: &Path) -> Guarded {
        Guarded {
            unread: vec![(unread.into(), "a key".into())],
            unchanged: vec![(unchanged.into(), "the store".into())],
            keys: ["OPENAI_API_KEY".to_owned()].into(),
        }
    }

    #[test]
    fn a_folder_around_inside_or_linked_to_what_is_kept_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["data", "store/inner", "secret"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::os::unix::fs::symlink(at("store"), at("link")).unwrap();
        let guarded = guarded(&at("secret/key"), &at("store"));
        let given = |text: &str| {
            let (kind, folder) = text.split_once('=').unwrap();
            let grants =
                [format!("{kind}={}=/x", at(folder).display()).parse::<Grant>().unwrap()].into_iter().collect();
            guarded.check(&Granted { grants, routes: None }).map_err(|error| error.to_string())
        };
        assert_eq!(given("write=data"), Ok(()));
        assert_eq!(given("read=store"), Ok(()));
        for folder in ["store", "store/inner", "link", "link/inner", "data/../store", "store/none"] {
            assert!(given(&format!("write={folder}")).unwrap_err().contains("the store"), "{folder}");
        }
        for grant in ["read=secret", "write=secret", "read=."] {
            assert!(given(grant).unwrap_err().contains("a key"), "{grant}");
        }
    }

    #[test]
    fn a_key_is_refused_by_its_name_and_by_what_it_is() {
        let guarded = guarded(Path::new("/none/a"), Path::new("/none/b"));
        let env = |name: &str| match name {
            "OPENAI_API_KEY" => Some("sk-1".to_owned()),
            "HEADER" => Some("Bearer sk-1".to_owned()),
            "LANG" => Some("C".to_owned()),
            _ => None,
        };
        let check = |name: &str| guarded.check_variable(name, env).map_err(|error| error.to_string());
        assert_eq!((check("LANG"), check("UNSET")), (Ok(()), Ok(())));
        for name in ["OPENAI_API_KEY", "SANDMILL_REGISTRY_AUTH", "HEADER"] {
            assert!(check(name).unwrap_err().contains("keys never enter"), "{name}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_settled_as_far_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(&real, real.join("link")).unwrap();
        assert_eq!(settled(&dir.path().join("link/a/../b")), real.join("b"));
        assert_eq!(settled(Path::new("/none/such")), Path::new("/none/such"));
    }
}
