//! API keys: where they come from, and when they are read again.
//!
//! A key shows itself to nobody but the wire: not in errors, not in `Debug`, not in a log. Reading one blocks.

use super::{KeySource, ProviderSettingsError};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// A secret that shows itself to nobody but the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// No key is longer.
const KEY_BYTES_MAX: u64 = 64 * 1024;
/// A command that takes longer to print a key is ended.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);
const COMMAND_POLL: Duration = Duration::from_millis(20);

impl ApiKey {
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The key in use, and how to get a newer one.
pub(super) struct Keys {
    source: KeySource,
    current: RwLock<Current>,
    /// Held while the source is read, so that a hundred calls that are refused at once read it once.
    reading: Mutex<()>,
}

/// A key, and how often its source had been read when it was taken.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) key: Option<ApiKey>,
    reads: u64,
}

impl Keys {
    /// Reads the key; one that cannot be sent is refused. Blocks.
    pub(super) fn read(source: KeySource) -> Result<Self, ProviderSettingsError> {
        let key = sendable(source.read()?)?;
        Ok(Self { source, current: RwLock::new(Current { key, reads: 1 }), reading: Mutex::default() })
    }

    pub(super) fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After `refused` was: another key, if there is one by now. The source is read at most once for all who were
    /// refused the same.
    pub(super) async fn newer_than(self: &Arc<Self>, refused: Current) -> Option<Current> {
        if matches!(self.source, KeySource::None) {
            return None;
        }
        let keys = Arc::clone(self);
        tokio::task::spawn_blocking(move || keys.read_again(&refused)).await.ok().flatten()
    }

    fn read_again(&self, refused: &Current) -> Option<Current> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.current();
        if known.reads == refused.reads {
            // A source that cannot be read now leaves the key as it is: the refusal is what the operator is told.
            let key = self.source.read().and_then(sendable).unwrap_or_else(|error| {
                tracing::warn!(%error, "the API key was refused, and cannot be read again");
                known.key
            });
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { key, reads: known.reads + 1 };
        }
        Some(self.current()).filter(|current| current.key != refused.key)
    }
}

impl std::fmt::Debug for Keys {
    /// Without the source: a command's arguments may be secret too.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("current", &self.current()).finish_non_exhaustive()
    }
}

/// The error does not show the key.
fn sendable(key: Option<ApiKey>) -> Result<Option<ApiKey>, ProviderSettingsError> {
    match &key {
        Some(ApiKey(secret)) if secret.is_empty() => Err(ProviderSettingsError::EmptyApiKey),
        Some(ApiKey(secret)) if !secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(ProviderSettingsError::BadApiKey)
        }
        _ => Ok(key),
    }
}

impl KeySource {
    fn read(&self) -> Result<Option<ApiKey>, ProviderSettingsError> {
        self.secret().map_err(ProviderSettingsError::NoApiKey)
    }

    /// Reads the secret; white space around it is dropped. Blocks. The error says why there is none.
    pub(crate) fn secret(&self) -> Result<Option<ApiKey>, String> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Env(name) => std::env::var(name).map_err(|_| format!("the environment has no {name}"))?,
            Self::File(path) => {
                let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
                bounded(file).map_err(|error| format!("{}: {error}", path.display()))?
            }
            Self::Command(words) => {
                let [program, arguments @ ..] = words.as_slice() else {
                    return Err("the command for it is empty".into());
                };
                printed(program, arguments).map_err(|reason| format!("`{program}` {reason}"))?
            }
        };
        Ok(Some(ApiKey::new(text.trim().to_owned())))
    }
}

fn bounded(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// What a command prints. Its complaints go where ours go.
fn printed(program: &str, arguments: &[String]) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let Some(output) = child.stdout.take() else {
        return Err("has no output".to_owned());
    };
    let reader = std::thread::spawn(move || bounded(output));
    let ended = wait(&mut child);
    if ended.is_err() {
        // What the command has started itself may still hold the pipe: the reader is left to it.
        let _ = child.kill();
        let _ = child.wait();
    }
    ended?;
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(format!("printed what cannot be read: {error}")),
        Err(_) => Err("printed what cannot be read".to_owned()),
    }
}

fn wait(child: &mut Child) -> Result<(), String> {
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("ended with {status}")),
            Ok(None) if waited >= COMMAND_TIME_MAX => {
                return Err(format!("took longer than {} s", COMMAND_TIME_MAX.as_secs()));
            }
            Ok(None) => {}
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
        std::thread::sleep(COMMAND_POLL);
        waited += COMMAND_POLL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str) -> KeySource {
        KeySource::Command(["sh", "-c", script].map(str::to_owned).to_vec())
    }

    fn secret(keys: &Keys) -> String {
        keys.current().key.unwrap().reveal().to_owned()
    }

    #[test]
    fn a_key_is_what_a_file_holds_or_a_command_prints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, " sk-file\n").unwrap();
        assert_eq!(secret(&Keys::read(KeySource::File(path)).unwrap()), "sk-file");
        assert_eq!(secret(&Keys::read(command("echo sk-printed")).unwrap()), "sk-printed");
        assert_eq!(Keys::read(KeySource::None).unwrap().current().key, None);
    }

    #[test]
    fn a_key_that_cannot_be_had_or_sent_says_why_and_does_not_show() {
        for (source, expected) in [
            (KeySource::Env("SANDMILL_NO_SUCH_KEY".into()), "the environment has no SANDMILL_NO_SUCH_KEY"),
            (KeySource::File("/no/such/key".into()), "/no/such/key: "),
            (command("echo sk-secret; exit 3"), "`sh` ended with exit status: 3"),
            (KeySource::Command(vec![]), "the command for it is empty"),
            (KeySource::Command(vec!["/no/such/program".into()]), "`/no/such/program` cannot be run"),
            (command("printf 'sk secret'"), "cannot be put into a header"),
            (command("printf 'sk-sécret'"), "cannot be put into a header"),
            (command("true"), "the API key is empty"),
        ] {
            let error = Keys::read(source).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("sk"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_refused_key_is_read_again_once_for_all_who_were_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (key, reads) = (folder.path().join("key"), folder.path().join("reads"));
        std::fs::write(&key, "sk-old").unwrap();
        let script = format!("echo x >> {}; cat {}", reads.display(), key.display());
        let keys = Arc::new(Keys::read(command(&script)).unwrap());
        let refused = keys.current();
        assert!(keys.newer_than(refused.clone()).await.is_none());
        let again = keys.current();
        std::fs::write(&key, "sk-new").unwrap();
        let all = (0..20).map(|_| keys.newer_than(again.clone()));
        for newer in futures_util::future::join_all(all).await {
            assert_eq!(newer.unwrap().key.unwrap().reveal(), "sk-new");
        }
        assert_eq!(std::fs::read_to_string(reads).unwrap().lines().count(), 3);
        // Whoever was refused the oldest key gets the newest, without a look at the source.
        assert_eq!(keys.newer_than(refused).await.unwrap().key.unwrap().reveal(), "sk-new");
        assert!(!format!("{keys:?}").contains("sk-"));
    }

    #[tokio::test]
    async fn a_source_that_is_gone_leaves_the_key_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-old").unwrap();
        let keys = Arc::new(Keys::read(KeySource::File(path.clone())).unwrap());
        std::fs::remove_file(path).unwrap();
        assert!(keys.newer_than(keys.current()).await.is_none());
        assert_eq!(secret(&keys), "sk-old");
    }
}
