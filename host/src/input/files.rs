//! Files as items: the id is the path below the folder, the bytes are a blob that stays where it is.

use super::files_walk::{Found, Place};
use super::mime::mime_type;
use super::{BadRecord, Entry, InputError, Options, Record, Records, bad};
use crate::domain::{BlobFile, ItemId};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The name of an item's own bytes, whatever the file is called.
const BLOB: &str = "file";
/// A text up to this size, in bytes, stands in the item as well.
const TEXT_BYTES_MAX: usize = 1 << 20;
const CHUNK: usize = 256 << 10;

pub(super) fn is_folder_or_pattern(path: &Path) -> bool {
    // A pattern that cannot be read is one; what is wrong with it is told when it is opened.
    !matches!(Place::parse(path), Ok(None))
}

/// Whether what is written to `output` would be an item of `input` the next time.
pub fn covers(input: &Path, output: &Path) -> bool {
    let Ok(Some(place)) = Place::parse(input) else { return false };
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(folder), Ok(parent)) = (place.folder.canonicalize(), parent.canonicalize()) else { return false };
    let Some(name) = output.file_name() else { return false };
    parent
        .join(name)
        .strip_prefix(&folder)
        .is_ok_and(|below| place.takes(below) && !below.iter().any(|part| part.as_encoded_bytes().starts_with(b".")))
}

pub(super) fn list(path: &Path) -> Result<impl Iterator<Item = Result<Found, InputError>> + Send + use<>, InputError> {
    match Place::parse(path)? {
        Some(place) => place.walk(),
        None => Err(InputError::Unreadable {
            name: path.display().to_string(),
            reason: "it is no folder and no pattern such as 'docs/**/*.pdf': name the folder that the files are in"
                .into(),
        }),
    }
}

pub(super) fn open(path: &Path, options: &Options) -> Result<Records, InputError> {
    if !options.map.is_empty() || options.id_field.is_some() {
        return Err(InputError::BadOptions(
            "files have no fields for --map and --id-field, their paths are their ids: leave them out".into(),
        ));
    }
    let name = path.display().to_string();
    let mut found = list(path)?.peekable();
    if found.peek().is_none() {
        let reason =
            "there is no file in it, or none that the pattern fits: check the path (hidden files are left out)";
        return Err(InputError::Unreadable { name, reason: reason.into() });
    }
    let mut line = 0;
    Ok(Box::new(found.map(move |found| {
        line += 1;
        found.map(|found| Record { line, entry: entry(found) })
    })))
}

fn entry(found: Found) -> Result<Entry, BadRecord> {
    let (name, path) = match found {
        Found::File { name, path, .. } => (name, path),
        Found::Bad { name, message } => return Err(bad(name.as_bytes(), format!("{name}: {message}"))),
    };
    let wrong = |message: String| bad(name.as_bytes(), format!("{name}: {message}"));
    let absolute = std::path::absolute(&path).map_err(|error| wrong(error.to_string()))?;
    let Some(absolute) = absolute.to_str() else {
        return Err(wrong("its path is not UTF-8: rename it".into()));
    };
    let id = ItemId::new(&name).map_err(|error| wrong(format!("its path cannot be an id: {error}; rename it")))?;
    let read = read(&path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    if read.size > BlobFile::BYTES_MAX {
        return Err(wrong(format!(
            "it has {} bytes, and at most {} are taken: split it, or leave it out with a pattern",
            read.size,
            BlobFile::BYTES_MAX
        )));
    }
    let mime_type = mime_type(&path);
    let mut json = serde_json::json!({
        "path": name,
        "name": path.file_name().map(|name| name.to_string_lossy()),
        "size": read.size,
        "mime_type": mime_type,
    });
    if let Some(text) = read.text {
        json["text"] = text.into();
    }
    let file = BlobFile {
        name: BLOB.into(),
        mime_type: mime_type.into(),
        size: read.size,
        digest: read.digest,
        path: absolute.into(),
    };
    Ok(Entry { id: Some(id), json: json.to_string(), files: vec![file] })
}

struct Content {
    size: u64,
    digest: String,
    text: Option<String>,
}

/// Reads a file without holding it; what is larger than allowed is not read to its end.
fn read(path: &Path) -> std::io::Result<Content> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut hasher, mut size, mut start) = (Sha256::new(), 0, Vec::new());
    let mut chunk = vec![0; CHUNK];
    if length > BlobFile::BYTES_MAX {
        return Ok(Content { size: length, digest: String::new(), text: None });
    }
    loop {
        let count = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..count]);
        size += count as u64;
        if start.len() <= TEXT_BYTES_MAX {
            start.extend_from_slice(&chunk[..count]);
        }
        if size > BlobFile::BYTES_MAX {
            break;
        }
    }
    let text = if start.len() <= TEXT_BYTES_MAX { text(start) } else { None };
    Ok(Content { size, digest: hex::encode(hasher.finalize()), text })
}

/// UTF-8 without a zero byte, which no text has.
fn text(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::tests::no_decoder;
    use super::*;
    use crate::input::{Format, digest, open_path};

    fn options() -> Options {
        Options { format: Format::Files, id_field: None, map: Vec::new() }
    }

    fn records(path: &Path) -> Vec<Record> {
        open_path(path, &options(), &no_decoder()).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_file_is_an_item_with_its_bytes_as_a_blob_and_its_text_if_it_has_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/t.md"), "\u{feff}hü").unwrap();
        std::fs::write(dir.path().join("b.png"), b"\x89PNG\0").unwrap();
        let records = records(dir.path());
        let entry = records[0].entry.as_ref().unwrap();
        assert_eq!(entry.id.as_ref().unwrap().as_str(), "a/t.md");
        assert_eq!(entry.json, r#"{"path":"a/t.md","name":"t.md","size":6,"mime_type":"text/markdown","text":"hü"}"#);
        let image = records[1].entry.as_ref().unwrap();
        assert_eq!(image.json, r#"{"path":"b.png","name":"b.png","size":5,"mime_type":"image/png"}"#);
        let file = &image.files[0];
        assert_eq!((file.name.as_str(), file.size), ("file", 5));
        assert_eq!(file.digest, hex::encode(Sha256::digest(b"\x89PNG\0")));
        assert_eq!(file.path, dir.path().join("b.png").to_str().unwrap());
    }

    #[test]
    fn a_file_beyond_all_bounds_fails_alone_without_being_read() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("big")).unwrap().set_len(BlobFile::BYTES_MAX + 1).unwrap();
        std::fs::write(dir.path().join("small"), "x").unwrap();
        let records = records(dir.path());
        let message = &records[0].entry.as_ref().unwrap_err().message;
        assert!(message.contains("split it, or leave it out"), "{message}");
        assert!(records[1].entry.is_ok());
    }

    #[test]
    fn a_folder_without_files_is_an_error_and_so_are_options_that_files_cannot_have() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            |options: &Options| open_path(dir.path(), options, &no_decoder()).map(|_| ()).unwrap_err().to_string();
        assert!(error(&options()).contains("there is no file in it"));
        assert!(error(&Options { id_field: Some("x".into()), ..options() }).contains("leave them out"));
    }

    #[test]
    fn the_digest_of_a_folder_follows_names_sizes_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let of = || digest(dir.path(), Format::Files).unwrap();
        std::fs::write(dir.path().join("a"), "1").unwrap();
        let first = of();
        assert_eq!(first, of());
        let a = File::options().write(true).open(dir.path().join("a")).unwrap();
        a.set_modified(std::time::UNIX_EPOCH).unwrap();
        let touched = of();
        assert_ne!(first, touched);
        std::fs::write(dir.path().join("b"), "").unwrap();
        assert_ne!(touched, of());
    }

    #[test]
    fn an_output_that_would_be_an_item_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(covers(dir.path(), &at("out.jsonl")));
        assert!(covers(&at("*.jsonl"), &at("out.jsonl")));
        assert!(!covers(&at("*.pdf"), &at("out.jsonl")));
        assert!(!covers(dir.path(), &at("../out.jsonl")));
        assert!(!covers(dir.path(), &at(".out.jsonl")));
    }
}
