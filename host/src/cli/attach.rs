//! `--attach`: files that every item is handed, read once.

use crate::domain::{Blob, BlobFile};
use crate::input;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// What all of them together may have, in bytes: they are held in memory as long as the run takes.
const BYTES_MAX: u64 = BlobFile::BYTES_MAX;
/// The name of an item's own file.
const OWN: &str = "file";
const NAME_BYTES_MAX: usize = 200;

/// `[NAME=]FILE`; a FILE that has an equals sign itself is written with a slash before it.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !name.contains('/') => (Some(name), file),
        Some(_) | None => (None, text),
    }
}

/// With the name it goes by, and so that it is found from any folder.
pub(super) fn absolute(text: &str) -> anyhow::Result<String> {
    let (name, file) = split(text);
    let path = std::path::absolute(file).with_context(|| format!("--attach {text} names no file"))?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    let path = path.to_str().with_context(|| format!("--attach {text}: the path is not UTF-8: rename the file"))?;
    Ok(format!("{name}={path}"))
}

/// Reads all; `attached` are absolute.
pub(super) fn read(attached: &[String]) -> anyhow::Result<Arc<[Blob]>> {
    let (mut blobs, mut left): (Vec<Blob>, u64) = (Vec::new(), BYTES_MAX);
    for text in attached {
        let (Some(name), file) = split(text) else { bail!("--attach {text} is not of the form NAME=FILE") };
        if name == OWN {
            bail!(
                "--attach {text}: `{OWN}` is the name of an item's own bytes: choose another with --attach NAME=FILE"
            );
        }
        if name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            bail!("--attach {text}: the name is too long or holds a control character: choose another");
        }
        if blobs.iter().any(|blob| blob.name == name) {
            bail!("two attached files are called `{name}`: give one of them another name with --attach NAME=FILE");
        }
        let mut bytes = Vec::new();
        input::open_source(Path::new(file))?
            .take(left + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {file}"))?;
        let Some(rest) = left.checked_sub(bytes.len() as u64) else {
            let most = bytesize::ByteSize(BYTES_MAX);
            bail!(
                "the attached files have more than {most} together: attach less, or make the bytes items of a folder"
            );
        };
        left = rest;
        blobs.push(Blob {
            name: name.to_owned(),
            mime_type: input::mime_type(Path::new(file)).to_owned(),
            digest: hex::encode(Sha256::digest(&bytes)),
            bytes: bytes.into(),
        });
    }
    Ok(blobs.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_stands_before_the_first_equals_sign_unless_that_is_a_path() {
        assert_eq!(split("t=a=b.csv"), (Some("t"), "a=b.csv"));
        assert_eq!(split("./a=b.csv"), (None, "./a=b.csv"));
        assert_eq!(split("a.csv"), (None, "a.csv"));
        assert_eq!(absolute("/x/a.csv").unwrap(), "a.csv=/x/a.csv");
        assert_eq!(absolute("t=/x/a.csv").unwrap(), "t=/x/a.csv");
    }

    #[test]
    fn files_are_read_under_their_names_and_names_must_differ() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "1,2").unwrap();
        let of = |name: &str| format!("{name}={}", path.display());
        let blobs = read(&[of("t"), of("u")]).unwrap();
        assert_eq!((blobs[0].name.as_str(), &*blobs[0].bytes), ("t", &b"1,2"[..]));
        assert_eq!((blobs[1].name.as_str(), blobs[1].mime_type.as_str()), ("u", "text/csv"));
        let error = |attached: &[String]| read(attached).unwrap_err().to_string();
        assert!(error(&[of("t"), of("t")]).contains("two attached files are called `t`"));
        assert!(error(&[of("file")]).contains("choose another"));
        assert!(error(&["t=/nowhere/x".to_owned()]).contains("no such file"));
        std::fs::File::create(&path).unwrap().set_len(BYTES_MAX + 1).unwrap();
        assert!(error(&[of("t")]).contains("attach less"));
    }
}
