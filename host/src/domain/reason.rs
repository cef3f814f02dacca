//! What a system's error means for a person, and the way out.

use std::io::{Error, ErrorKind};

/// In a few words, without the number that the system has for it.
pub fn reason(error: &Error) -> String {
    let way_out = match error.kind() {
        ErrorKind::NotFound => return "there is no such file or folder: check the path".into(),
        ErrorKind::IsADirectory => return "it is a folder, and a file is wanted: name one".into(),
        ErrorKind::NotADirectory => return "a file stands where a folder should be: choose another path".into(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => return "the disk is full: free some space".into(),
        ErrorKind::InvalidData => return format!("{error}: it is no text in UTF-8, or damaged"),
        ErrorKind::PermissionDenied => "give this user the right to it, or choose another",
        ErrorKind::ReadOnlyFilesystem => "choose a place that can be written",
        ErrorKind::AddrInUse => "another process listens there: choose another port, or 0 for a free one",
        ErrorKind::AddrNotAvailable => "this machine has no such address: choose another",
        _ => "",
    };
    let text = error.to_string();
    let said = match error.raw_os_error() {
        Some(_) => text.split(" (os error ").next().unwrap_or_default().to_lowercase(),
        None => text,
    };
    if way_out.is_empty() { said } else { format!("{said}: {way_out}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_systems_error_comes_with_the_way_out() {
        let of_system = |number: i32| reason(&Error::from_raw_os_error(number));
        assert_eq!(of_system(2), "there is no such file or folder: check the path");
        assert_eq!(of_system(13), "permission denied: give this user the right to it, or choose another");
        assert!(of_system(98).starts_with("address already in use: another process listens there"));
        assert_eq!(of_system(5), "input/output error");
        assert_eq!(reason(&Error::other("its own words")), "its own words");
    }
}
