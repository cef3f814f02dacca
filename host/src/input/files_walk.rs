//! The files of a folder or of a pattern, in the order of their names, found as the walk goes: a folder of a million files
//! is never listed as a whole.
//!
//! Left out: what is hidden (its name, or that of a folder above it within the walk, begins with a dot), what is neither file
//! nor folder, and links to folders. A link to a file inside is taken; one that leads out, or nowhere, is told.

use super::InputError;
use globset::{GlobBuilder, GlobMatcher};
use std::fs::Metadata;
use std::path::{Component, Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// What was named with `--input`: a folder, and a pattern for the paths below it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pattern: Option<GlobMatcher>,
    /// How deep the pattern reaches; `None`: without end.
    depth: Option<usize>,
}

/// A file, or what looks like one and cannot be taken; each with its name below the folder.
#[derive(Debug)]
pub(super) enum Found {
    File { name: String, path: PathBuf, meta: Metadata },
    Bad { name: String, message: String },
}

impl Place {
    /// `None`: it is neither a folder nor a pattern. A path that exists is never taken for a pattern, and neither are the
    /// folders that it starts with.
    pub(super) fn parse(path: &Path) -> Result<Option<Self>, InputError> {
        if path.is_dir() {
            return Ok(Some(Self { folder: path.to_path_buf(), pattern: None, depth: None }));
        }
        if path.exists() {
            return Ok(None);
        }
        let (mut folder, mut rest) = (PathBuf::new(), Vec::new());
        for component in path.components() {
            if rest.is_empty() && (!has_wildcard(component) || folder.join(component).is_dir()) {
                folder.push(component);
            } else {
                rest.push(component.as_os_str().to_string_lossy().into_owned());
            }
        }
        if rest.is_empty() {
            return Ok(None);
        }
        if folder.as_os_str().is_empty() {
            folder.push(".");
        }
        let depth = if rest.iter().any(|part| part.contains("**")) { None } else { Some(rest.len()) };
        let pattern = rest.join("/");
        let glob = GlobBuilder::new(&pattern).literal_separator(true).build().map_err(|error| {
            let kind = error.kind();
            InputError::BadOptions(format!(
                "the pattern {pattern} cannot be read: {kind}; a folder's own [ or * is written [[] or [*]"
            ))
        })?;
        Ok(Some(Self { folder, pattern: Some(glob.compile_matcher()), depth }))
    }

    /// Whether a file of this name below the folder is one of them.
    pub(super) fn takes(&self, name: &Path) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    pub(super) fn walk(&self) -> Result<impl Iterator<Item = Result<Found, InputError>> + Send + use<>, InputError> {
        let unreadable =
            |folder: &Path, reason: String| InputError::Unreadable { name: folder.display().to_string(), reason };
        let real = self.folder.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => unreadable(&self.folder, "there is no such folder: check the path".into()),
            _ => unreadable(&self.folder, error.to_string()),
        })?;
        let place = self.clone();
        let walk = WalkDir::new(&self.folder)
            .min_depth(1)
            .max_depth(self.depth.unwrap_or(usize::MAX))
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b"."));
        Ok(walk.filter_map(move |entry| match entry {
            Ok(entry) => place.found(&entry, &real).map(Ok),
            Err(error) => {
                let at = error.path().unwrap_or(&place.folder).to_path_buf();
                let reason = match error.io_error().map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::PermissionDenied) => {
                        "this user may not look into it: make it readable, or leave it out with a pattern".into()
                    }
                    _ => error.to_string(),
                };
                Some(Err(unreadable(&at, reason)))
            }
        }))
    }

    fn found(&self, entry: &DirEntry, real: &Path) -> Option<Found> {
        let below = entry.path().strip_prefix(&self.folder).unwrap_or(entry.path());
        if entry.file_type().is_dir() || !self.takes(below) {
            return None;
        }
        let name = below.to_string_lossy().into_owned();
        if entry.file_type().is_symlink() {
            return linked(entry.path(), name, real);
        }
        if !entry.file_type().is_file() {
            return None;
        }
        Some(match entry.metadata() {
            Ok(meta) => Found::File { name, path: entry.path().to_path_buf(), meta },
            Err(error) => Found::Bad { name, message: format!("it cannot be looked at: {error}") },
        })
    }
}

fn linked(path: &Path, name: String, real: &Path) -> Option<Found> {
    let target = path.canonicalize().and_then(|target| Ok((std::fs::metadata(&target)?, target)));
    match target {
        Ok((meta, _)) if !meta.is_file() => None,
        Ok((meta, target)) if target.starts_with(real) => Some(Found::File { name, path: path.to_path_buf(), meta }),
        Ok(_) => {
            let message = "it is a link that leads out of the folder: copy the file in its place".into();
            Some(Found::Bad { name, message })
        }
        Err(error) => {
            let message = format!("it is a link that leads nowhere ({error}): mend it, or take it away");
            Some(Found::Bad { name, message })
        }
    }
}

fn has_wildcard(component: Component<'_>) -> bool {
    component.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.pdf", "b/x/3.pdf", "a.pdf", "b/note.txt", ".hidden/4.pdf", "b/.5.pdf", "[odd]/6.pdf"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        dir
    }

    fn names(path: &Path) -> Vec<String> {
        let found = Place::parse(path).unwrap().unwrap().walk().unwrap();
        found
            .map(|found| match found.unwrap() {
                Found::File { name, .. } => name,
                Found::Bad { name, message } => format!("{name}: {message}"),
            })
            .collect()
    }

    #[test]
    fn a_folder_gives_its_files_in_order_and_nothing_hidden() {
        let dir = tree();
        assert_eq!(names(dir.path()), ["[odd]/6.pdf", "a.pdf", "b/2.pdf", "b/note.txt", "b/x/3.pdf"]);
    }

    #[test]
    fn a_pattern_reaches_as_deep_as_it_says_below_the_folders_that_exist() {
        let dir = tree();
        let of = |pattern: &str| names(&dir.path().join(pattern));
        assert_eq!(of("*.pdf"), ["a.pdf"]);
        assert_eq!(of("**/*.pdf"), ["[odd]/6.pdf", "a.pdf", "b/2.pdf", "b/x/3.pdf"]);
        assert_eq!(of("b/*.{pdf,txt}"), ["2.pdf", "note.txt"]);
        assert_eq!(of("*/[0-9].pdf"), ["[odd]/6.pdf", "b/2.pdf"]);
        assert_eq!(of("[odd]/*"), ["6.pdf"]);
        assert!(of("*.png").is_empty());
    }

    #[test]
    fn what_is_no_pattern_is_none_and_a_broken_one_is_told() {
        let dir = tree();
        assert!(Place::parse(&dir.path().join("a.pdf")).unwrap().is_none());
        assert!(Place::parse(&dir.path().join("nowhere")).unwrap().is_none());
        let error = Place::parse(&dir.path().join("{a,b")).unwrap_err();
        assert!(error.to_string().contains("{a,b"), "{error}");
    }

    #[test]
    fn links_are_followed_to_files_inside_and_no_further() {
        let dir = tree();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let root = dir.path().join("b");
        symlink("2.pdf", root.join("7")).unwrap();
        symlink(outside.path().join("secret"), root.join("8")).unwrap();
        symlink("gone", root.join("9")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let names = names(&root);
        assert_eq!(names.len(), 6, "{names:?}");
        assert_eq!(names[1], "7");
        assert!(names[2].contains("leads out of the folder"), "{names:?}");
        assert!(names[3].contains("leads nowhere"), "{names:?}");
    }
}
