//! A folder of the host, and where a plugin sees it.

use super::GrantError;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// Bytes of a path that a plugin sees.
const GUEST_BYTES_MAX: usize = 255;

/// `HOST[=GUEST]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Folder {
    /// Empty where the one who asks leaves it to the operator.
    pub host: PathBuf,
    guest: String,
}

impl Folder {
    /// Where the plugin sees it: absolute, without `.` and `..`.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// Whether `other` is seen at the same place, or below it.
    pub(super) fn is_seen_around(&self, other: &Self) -> bool {
        Path::new(&other.guest).starts_with(&self.guest)
    }
}

impl FromStr for Folder {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        // What a plugin sees begins with a slash; a folder's own name may hold an equals sign.
        let (host, guest) = match text.rfind("=/") {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        if host.contains('\0') || (host.is_empty() && guest.is_none()) {
            return Err(GrantError("the grant names no folder: write read=data, or read=data=/seen/as".into()));
        }
        let guest = match guest {
            Some(guest) => guest.to_owned(),
            None => seen_as(host)?,
        };
        check_guest(&guest)?;
        Ok(Self { host: PathBuf::from(host), guest })
    }
}

/// The folder's own name, below the root.
fn seen_as(host: &str) -> Result<String, GrantError> {
    match Path::new(host).components().next_back() {
        Some(Component::Normal(name)) => Ok(format!("/{}", name.to_string_lossy())),
        _ => Err(GrantError(format!("`{host}` has no name that a plugin could see it by: write {host}=/data, say"))),
    }
}

fn check_guest(guest: &str) -> Result<(), GrantError> {
    let is_whole = guest == "/" || guest[1..].split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_whole || guest.len() > GUEST_BYTES_MAX || guest.chars().any(char::is_control) {
        return Err(GrantError(format!(
            "a plugin cannot see a folder as `{}`: write a whole path such as /data, without . and ..",
            crate::domain::sanitize_text(guest, GUEST_BYTES_MAX)
        )));
    }
    Ok(())
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.display();
        match self.host.to_str().filter(|host| !host.contains("=/")).map(seen_as) {
            Some(Ok(name)) if name == self.guest => write!(f, "{host}"),
            _ => write!(f, "{host}={}", self.guest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(text: &str) -> Result<(String, String), String> {
        let folder: Folder = text.parse().map_err(|error: GrantError| error.to_string())?;
        Ok((folder.host.display().to_string(), folder.guest))
    }

    #[test]
    fn a_folder_is_seen_by_its_own_name_unless_another_is_given() {
        let check = |text: &str, host: &str, guest: &str| {
            assert_eq!(seen(text), Ok((host.to_owned(), guest.to_owned())), "{text}");
        };
        check("data", "data", "/data");
        check("data/", "data/", "/data");
        check("/srv/corpora", "/srv/corpora", "/corpora");
        check("../up/x", "../up/x", "/x");
        check("out=/", "out", "/");
        check(".=/here", ".", "/here");
        check("a=b", "a=b", "/a=b");
        check("a=b=/c", "a=b", "/c");
        check("=/left/open", "", "/left/open");
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_none_that_a_plugin_sees() {
        for text in ["", ".", "..", "/", "x=/a/../b", "x=/a//b", "x=/./a", "x=/a/", "x=/a\u{7}"] {
            assert!(seen(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_folder_is_read_as_the_same_folder(text in "[a-z=./]{0,12}(=/[a-z./]{0,8})?") {
            if let Ok(folder) = text.parse::<Folder>() {
                prop_assert_eq!(folder.to_string().parse::<Folder>(), Ok(folder));
            }
        }
    }
}
