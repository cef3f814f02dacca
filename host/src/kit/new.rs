//! `plugin new`: a folder that builds and runs at once, from what the program carries.

use super::embedded::{self, Language};
use super::folder::{FolderError, FolderManifest, read_manifest};
use super::tools;
use crate::domain::sanitize_line;
use std::path::{Component, Path, PathBuf};

/// Letters of a name; a folder's name has 255 bytes, and those of what is built are longer.
const NAME_MAX: usize = 60;
/// In templates: where the plugin's name goes.
const NAME: &str = "{{name}}";
/// Names of the kits, which a plugin cannot depend on and have.
const TAKEN: [&str; 2] = ["sandmill", "sandmill-plugin"];

#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error("`{name}` cannot be a plugin's name: {reason}")]
    BadName { name: String, reason: String },
    #[error("{path} is there already: choose another name, or remove it", path = .0.display())]
    Exists(PathBuf),
    #[error("cannot make {path}: {reason}", path = .path.display())]
    Unwritable { path: PathBuf, reason: String },
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What was made, and what is to be typed next, in the folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Created {
    pub name: String,
    /// What has to be installed before it can be built.
    pub missing: Vec<String>,
    /// Runs its own tests.
    pub test: &'static str,
}

/// Makes the folder, whose last part is the plugin's name: whole, or not at all.
pub fn new(folder: &Path, language: Language) -> Result<Created, NewError> {
    let name = name(folder)?;
    if folder.symlink_metadata().is_ok() {
        return Err(NewError::Exists(folder.to_path_buf()));
    }
    let unwritable = |error: std::io::Error| NewError::Unwritable {
        path: folder.to_path_buf(),
        reason: crate::domain::reason(&error),
    };
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(unwritable)?;
    let made = tempfile::Builder::new().prefix(".sandmill-new-").tempdir_in(parent).map_err(unwritable)?;
    let inside = made.path().join(&name);
    for (path, bytes) in embedded::template(language) {
        let path = if path == "gitignore" { ".gitignore" } else { &path };
        let bytes = String::from_utf8_lossy(&bytes).replace(NAME, &name);
        embedded::write(&inside.join(path), bytes.as_bytes()).map_err(unwritable)?;
    }
    embedded::lay(&inside, language.kit()).map_err(unwritable)?;
    std::fs::rename(&inside, folder).map_err(unwritable)?;
    let manifest = read_manifest(folder)?;
    let missing = missing(folder, &manifest);
    Ok(Created { test: test(language, !missing.is_empty()), missing, name })
}

fn name(folder: &Path) -> Result<String, NewError> {
    let shown = |reason: String| NewError::BadName { name: sanitize_line(&folder.display().to_string(), 200), reason };
    let Some(Component::Normal(name)) = folder.components().next_back() else {
        return Err(shown("name a folder that is still to be made, such as `triage`".to_owned()));
    };
    let name = name.to_str().ok_or_else(|| shown("it is no text".to_owned()))?;
    match problem(name) {
        None => Ok(name.to_owned()),
        Some(reason) => Err(NewError::BadName { name: sanitize_line(name, 200), reason }),
    }
}

/// Every language's packages, and every registry, take the names that are left.
fn problem(name: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > NAME_MAX {
        return Some(format!("it has more than {NAME_MAX} letters"));
    }
    if TAKEN.contains(&name) {
        return Some("the kit has that name".to_owned());
    }
    if name.chars().all(fits)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
    {
        return None;
    }
    let advice = suggestion(name).map_or_else(|| "such as `triage`".to_owned(), |better| format!("such as `{better}`"));
    Some(format!("lower case letters, digits and single hyphens, a letter first, {advice}"))
}

/// The nearest name that fits.
fn suggestion(name: &str) -> Option<String> {
    let mut better = String::new();
    for c in name.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || (c.is_ascii_digit() && !better.is_empty()) {
            better.push(c);
        } else if !better.is_empty() && !better.ends_with('-') {
            better.push('-');
        }
    }
    let better = better.trim_end_matches('-');
    (!better.is_empty() && problem(better).is_none()).then(|| better.to_owned())
}

fn missing(folder: &Path, manifest: &FolderManifest) -> Vec<String> {
    let needs = manifest.build.needs.iter();
    needs.filter(|need| tools::probe(folder, &need.run).is_err()).map(|need| need.install.clone()).collect()
}

/// `is_own`: its tools come into the folder's own environment.
const fn test(language: Language, is_own: bool) -> &'static str {
    match (language, is_own) {
        (Language::Rust, _) => "cargo test",
        (Language::Python, true) => ".venv/bin/python3 -m pytest",
        (Language::Python, false) => "python3 -m pytest",
        (Language::JavaScript | Language::TypeScript, _) => "npm test",
        (Language::Go, true) => ".venv/bin/go test .",
        (Language::Go, false) => "go test .",
        (Language::C, _) => "make test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::embedded::template;

    #[test]
    fn a_name_that_some_language_would_not_take_is_refused_with_a_better_one() {
        let check = |name: &str, part: &str| {
            let said = super::name(Path::new(name)).unwrap_err().to_string();
            assert!(said.contains(part), "{name}: {said}");
        };
        for good in ["triage", "a", "x2", "my-plugin", "some/where/triage/"] {
            assert_eq!(
                Some(super::name(Path::new(good)).unwrap().as_str()),
                good.trim_end_matches('/').rsplit('/').next()
            );
        }
        check("My Plugin", "such as `my-plugin`");
        check("my_plugin", "such as `my-plugin`");
        check("2fast", "such as `fast`");
        check("a--b", "such as `a-b`");
        check("\u{fc}\u{1b}[2J", "such as `j`");
        check("...", "such as `triage`");
        check("", "still to be made");
        check("..", "still to be made");
        check("/", "still to be made");
        check("sandmill-plugin", "the kit has that name");
        check(&"x".repeat(61), "more than 60 letters");
    }

    #[test]
    fn a_folder_that_is_there_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for (name, make) in [("empty", true), ("file", false)] {
            let path = dir.path().join(name);
            if make {
                std::fs::create_dir(&path).unwrap();
            } else {
                std::fs::write(&path, "mine").unwrap();
            }
            let said = new(&path, Language::C).unwrap_err().to_string();
            assert!(said.contains("is there already"), "{said}");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left behind");
        let said = new(&dir.path().join("file/x"), Language::C).unwrap_err().to_string();
        assert!(said.contains("cannot make"), "{said}");
    }

    #[test]
    fn every_language_begins_with_all_that_it_needs_and_its_name_in_all_of_it() {
        for language in Language::ALL {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("deep/er/first-one");
            let created = new(&folder, language).unwrap();
            assert_eq!(created.name, "first-one");
            let manifest = read_manifest(&folder).unwrap();
            assert_eq!((manifest.name.as_str(), manifest.kit), ("first-one", Some(language.kit())));
            for file in
                ["README.md", ".gitignore", "sample/items.jsonl", "tests/cases.jsonl", ".sandmill/kit/.gitignore"]
            {
                assert!(folder.join(file).is_file(), "{language}: {file}");
            }
            for name in template(language).keys().filter(|name| *name != "gitignore") {
                let text = std::fs::read_to_string(folder.join(name)).unwrap();
                assert!(!text.contains(NAME), "{language}: {name}");
            }
            assert!(!folder.join("gitignore").exists());
        }
    }
}
