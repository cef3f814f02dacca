//! What an operator gives a plugin of the world, opened: once for all attempts, so that a folder stays the one that it was.

use super::SandboxError;
use super::egress::Egress;
use crate::domain::{Folder, Grant, Grants, sanitize_line};
use std::ffi::OsString;
use std::sync::Arc;
use tokio::runtime::Handle;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// Of a folder's name in a message.
const NAME_BYTES_MAX: usize = 300;

/// What attempts have beside the plugins' own interfaces.
#[derive(Default)]
pub struct Given {
    pub(super) files: WasiFilesystemCtx,
    pub(super) env: Vec<(String, String)>,
    pub(super) is_clock_real: bool,
    pub(super) is_random_real: bool,
    /// Some folder.
    pub(super) writes: bool,
    /// `None`: every request is refused.
    pub(super) egress: Option<Arc<Egress>>,
}

impl Given {
    /// Whether a guest that is run again from its start does and sees the same: not if it could write, send requests, or see the real time
    /// or chance. What it reads is taken to stay as it is.
    pub(super) fn is_replayable(&self) -> bool {
        !(self.writes || self.is_clock_real || self.is_random_real || self.egress.is_some())
    }

    /// Opens the folders and reads the variables. `env` looks a variable up; one that is not set is not seen by the plugin either.
    /// `network`: where connections live.
    ///
    /// # Errors
    /// A folder that cannot be opened, two folders at one place, a variable that is no UTF-8.
    pub fn open(
        grants: &Grants,
        env: impl Fn(&str) -> Option<OsString>,
        network: &Handle,
    ) -> Result<Self, SandboxError> {
        let (mut given, mut folders) = (Self::default(), WasiCtx::builder());
        let mut seen: Vec<&Folder> = Vec::new();
        let mut origins = Vec::new();
        for grant in grants.iter() {
            match grant {
                Grant::Read(folder) | Grant::Write(folder) => {
                    if let Some(other) = seen.iter().find(|other| other.guest() == folder.guest()) {
                        return Err(SandboxError::Grant(format!(
                            "{} and {} would both be seen as {}: give one of them another place, as in {}=/elsewhere",
                            other.host.display(),
                            folder.host.display(),
                            folder.guest(),
                            folder.host.display()
                        )));
                    }
                    seen.push(folder);
                    let writes = matches!(grant, Grant::Write(_));
                    given.writes |= writes;
                    let perms = if writes { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
                    folders.preopened_dir(&folder.host, folder.guest(), perms).map_err(|error| {
                        SandboxError::Grant(format!(
                            "the folder of {} cannot be opened: {}: {error}",
                            named(&grant.to_string()),
                            named(&folder.host.display().to_string())
                        ))
                    })?;
                }
                Grant::Env(name) => {
                    let Some(value) = env(name) else { continue };
                    let value = value.into_string().map_err(|_| {
                        SandboxError::Grant(format!(
                            "the environment variable {name} holds no UTF-8: it cannot be given"
                        ))
                    })?;
                    given.env.push((name.clone(), value));
                }
                Grant::Clock => given.is_clock_real = true,
                Grant::Random => given.is_random_real = true,
                Grant::Http(origin) => origins.push(origin.clone()),
            }
        }
        if !origins.is_empty() {
            given.egress = Some(Arc::new(Egress::new(origins, network)?));
        }
        given.files = folders.build().filesystem().clone();
        Ok(given)
    }
}

fn named(text: &str) -> String {
    sanitize_line(text, NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[String]) -> Grants {
        texts.iter().map(|text| text.parse::<Grant>().unwrap()).collect()
    }

    fn open(texts: &[String], env: impl Fn(&str) -> Option<OsString>) -> Result<Given, SandboxError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Given::open(&grants(texts), env, runtime.handle())
    }

    fn refusal(texts: &[String], env: impl Fn(&str) -> Option<OsString>) -> String {
        match open(texts, env) {
            Ok(_) => panic!("it was given"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing").display().to_string();
        assert!(refusal(&[format!("read={missing}")], |_| None).contains(&missing));
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(refusal(&[format!("read={}/file", dir.path().display())], |_| None).contains("cannot be opened"));
    }

    #[test]
    fn no_two_folders_are_seen_at_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let both = [format!("read={path}=/data"), format!("write={path}=/data")];
        assert!(refusal(&both, |_| None).contains("both be seen as /data"));
        assert!(open(&[format!("read={path}=/a"), format!("write={path}=/b")], |_| None).is_ok());
    }

    #[test]
    fn what_acts_or_sees_the_real_world_cannot_be_replayed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let is_replayable = |grant: String| open(&[grant], |_| None).unwrap().is_replayable();
        assert!(is_replayable(format!("read={path}")) && is_replayable("env=LANG".into()));
        let acts = [format!("write={path}"), "http=api.example.com".into(), "clock".into(), "random".into()];
        assert!(acts.into_iter().all(|grant| !is_replayable(grant)));
    }

    #[test]
    fn a_variable_is_given_by_its_name_if_it_is_set() {
        let env = |name: &str| (name == "LANG").then(|| OsString::from("C"));
        let given = open(&["env=LANG".into(), "env=OTHER".into()], env).unwrap();
        assert_eq!(given.env, [("LANG".to_owned(), "C".to_owned())]);
    }
}
