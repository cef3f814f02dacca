//! What another process asks of the one that runs a job: a file beside the store, since nobody but the runner writes the store.
//!
//! `JOB.control` holds all that is asked at once, `JOB.answer` what the runner made of it. Both are replaced whole, and are their
//! owner's alone. What is asked concerns one run: it is removed when a run begins and when it ends.

use super::StoreError;
use super::files::JobName;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
/// Far more than what is asked can take, in bytes.
const LARGEST: u64 = 64 << 10;

/// What is asked of a run; what is not set stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    v: u32,
    /// Grows by one with each change.
    pub serial: u64,
    /// Nothing new is begun.
    pub paused: bool,
    /// In millionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<u64>,
    /// Items in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

impl Control {
    /// What was `asked` and refused is as it was `before`, unless somebody has asked for something else since.
    pub fn take_back(&mut self, asked: &Self, before: &Self) {
        if self.max_cost == asked.max_cost {
            self.max_cost = before.max_cost;
        }
        if self.concurrency == asked.concurrency {
            self.concurrency = before.concurrency;
        }
    }
}

/// What the run made of what was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlAnswer {
    v: u32,
    /// Of the control that was taken.
    pub serial: u64,
    /// What could not be done, and why.
    pub refused: Vec<String>,
}

fn control_path(dir: &Path, job: &JobName) -> PathBuf {
    dir.join(format!("{job}.control"))
}

fn answer_path(dir: &Path, job: &JobName) -> PathBuf {
    dir.join(format!("{job}.answer"))
}

/// What is asked of the job's run; the default where nothing is.
pub fn read(dir: &Path, job: &JobName) -> Result<Control, StoreError> {
    let path = control_path(dir, job);
    let control: Control = load(&path)?.unwrap_or_default();
    check_version(&path, control.v, control == Control::default())?;
    Ok(control)
}

/// Changes what is asked; returns it. Commands that come at once take turns.
pub fn ask(dir: &Path, job: &JobName, change: impl FnOnce(&mut Control)) -> Result<Control, StoreError> {
    let failed = |error: std::io::Error| StoreError::io(dir, &error);
    let turn = File::open(dir).map_err(failed)?;
    turn.lock().map_err(failed)?;
    let mut control = read(dir, job)?;
    change(&mut control);
    // Beyond what an earlier run answered, so that its answer is not taken for one to this.
    (control.v, control.serial) = (VERSION, control.serial.max(answer(dir, job)?.serial) + 1);
    save(dir, &control_path(dir, job), &control)?;
    Ok(control)
}

/// What the run made of it so far.
pub fn answer(dir: &Path, job: &JobName) -> Result<ControlAnswer, StoreError> {
    let path = answer_path(dir, job);
    let answer: ControlAnswer = load(&path)?.unwrap_or_default();
    check_version(&path, answer.v, answer == ControlAnswer::default())?;
    Ok(answer)
}

/// For the runner.
pub fn reply(dir: &Path, job: &JobName, serial: u64, refused: Vec<String>) -> Result<(), StoreError> {
    save(dir, &answer_path(dir, job), &ControlAnswer { v: VERSION, serial, refused })
}

/// For the runner, which holds the job's lock: what was asked of an earlier run is asked no more. What it answered stays, for
/// those who have not looked yet.
pub fn clear(dir: &Path, job: &JobName) -> Result<(), StoreError> {
    remove(&control_path(dir, job))
}

/// With the job itself.
pub(super) fn forget(dir: &Path, job: &JobName) -> Result<(), StoreError> {
    remove(&control_path(dir, job)).and_then(|()| remove(&answer_path(dir, job)))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check_version(path: &Path, version: u32, is_missing: bool) -> Result<(), StoreError> {
    if version == VERSION || is_missing {
        return Ok(());
    }
    Err(refused(
        path,
        format!("it is of version {version}, and this sandmill knows {VERSION}: use the version that runs the job"),
    ))
}

fn refused(path: &Path, reason: String) -> StoreError {
    StoreError::Control { path: path.to_path_buf(), reason }
}

/// Only what the one who runs the job wrote, and nobody else could have.
fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let failed = |error: std::io::Error| StoreError::io(path, &error);
    #[expect(clippy::cast_possible_wrap, reason = "a flag of open(2)")]
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(no_link).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => return Err(refused(path, "it is a link: remove it".into())),
        Err(error) => return Err(failed(error)),
    };
    let meta = file.metadata().map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        return Err(refused(
            path,
            format!("it belongs to user {}, and not to {own}, who reads it: remove it", meta.uid()),
        ));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(refused(path, "others may write it: remove it".into()));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| refused(path, format!("it is none of sandmill's ({error}): remove it")))
}

fn save(dir: &Path, path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::io(path, &error);
    let file = tempfile::Builder::new()
        .prefix(".sandmill-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(failed)?;
    serde_json::to_writer(file.as_file(), value).map_err(|error| failed(error.into()))?;
    file.persist(path).map(|_| ()).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, JobName) {
        (tempfile::tempdir().unwrap(), JobName::new("j").unwrap())
    }

    #[test]
    fn what_is_asked_adds_up_and_goes_with_the_run() {
        let (dir, job) = place();
        assert_eq!(read(dir.path(), &job).unwrap(), Control::default());
        ask(dir.path(), &job, |control| control.paused = true).unwrap();
        let both = ask(dir.path(), &job, |control| control.concurrency = Some(7)).unwrap();
        assert_eq!((both.serial, both.paused, both.concurrency), (2, true, Some(7)));
        assert_eq!(read(dir.path(), &job).unwrap(), both);
        let mode = control_path(dir.path(), &job).metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        reply(dir.path(), &job, 2, vec!["no".into()]).unwrap();
        assert_eq!(answer(dir.path(), &job).unwrap().refused, ["no"]);
        clear(dir.path(), &job).unwrap();
        assert_eq!(read(dir.path(), &job).unwrap(), Control::default());
        assert_eq!(answer(dir.path(), &job).unwrap().serial, 2, "for those who have not looked yet");
        assert_eq!(ask(dir.path(), &job, |_| ()).unwrap().serial, 3, "and for nothing that is asked later");
        forget(dir.path(), &job).unwrap();
        assert_eq!(answer(dir.path(), &job).unwrap().serial, 0);
    }

    #[test]
    fn what_was_refused_is_taken_back_and_nothing_that_was_asked_since() {
        let (dir, job) = place();
        let before = ask(dir.path(), &job, |control| control.concurrency = Some(7)).unwrap();
        let asked = ask(dir.path(), &job, |control| control.max_cost = Some(1)).unwrap();
        ask(dir.path(), &job, |control| control.paused = true).unwrap();
        let now = ask(dir.path(), &job, |control| control.take_back(&asked, &before)).unwrap();
        assert_eq!((now.max_cost, now.concurrency, now.paused), (None, Some(7), true));
        ask(dir.path(), &job, |control| control.max_cost = Some(9)).unwrap();
        let now = ask(dir.path(), &job, |control| control.take_back(&asked, &before)).unwrap();
        assert_eq!(now.max_cost, Some(9));
    }

    #[test]
    fn changes_that_come_at_once_are_all_there_in_the_end() {
        let (dir, job) = place();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| ask(dir.path(), &job, |control| control.paused = !control.paused).unwrap());
            }
        });
        let control = read(dir.path(), &job).unwrap();
        assert_eq!((control.serial, control.paused), (8, false));
    }

    #[track_caller]
    fn check_refused(prepare: impl Fn(&Path), part: &str) {
        let (dir, job) = place();
        ask(dir.path(), &job, |control| control.paused = true).unwrap();
        prepare(&control_path(dir.path(), &job));
        let error = read(dir.path(), &job).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("j.control is not obeyed"), "{error}");
    }

    #[test]
    fn a_file_that_others_could_have_written_is_not_obeyed() {
        let writable = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        check_refused(writable, "others may write it");
        let linked = |path: &Path| {
            std::fs::rename(path, path.with_extension("else")).unwrap();
            std::os::unix::fs::symlink(path.with_extension("else"), path).unwrap();
        };
        check_refused(linked, "it is a link");
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_not_obeyed() {
        check_refused(|path| std::fs::write(path, "{}").unwrap(), "none of sandmill's");
        check_refused(|path| std::fs::write(path, r#"{"v":2,"serial":1,"paused":true}"#).unwrap(), "version 2");
    }
}
