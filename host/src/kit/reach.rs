//! What a component imports against what it is granted: what each interface leads to.

use crate::domain::{Grant, Grants};
use crate::sandbox::Anatomy;
use std::fmt;

/// A kind of thing beyond the plugins' own interfaces.
struct Kind {
    name: &'static str,
    /// How the interfaces begin that lead there.
    imports: &'static str,
    grants: &'static [&'static str],
    /// What is there without a grant.
    without: &'static str,
}

const KINDS: [Kind; 6] = [
    Kind { name: "files", imports: "wasi:filesystem/", grants: &["read", "write"], without: "there are none" },
    Kind { name: "environment", imports: "wasi:cli/environment", grants: &["env"], without: "it is empty" },
    Kind { name: "http", imports: "wasi:http/", grants: &["http"], without: "every request is refused" },
    Kind {
        name: "clock",
        imports: "wasi:clocks/",
        grants: &["clock"],
        without: "from the job's creation on, moved by looking and sleeping",
    },
    Kind { name: "random", imports: "wasi:random/", grants: &["random"], without: "follows from item and attempt" },
    Kind { name: "sockets", imports: "wasi:sockets/", grants: &[], without: "none can be opened" },
];

/// What of one kind can be reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Reach {
    pub kind: &'static str,
    pub is_imported: bool,
    /// As written.
    pub granted: Vec<String>,
    /// What is there without a grant.
    pub without: &'static str,
}

impl Reach {
    /// Something was granted, or would have to be for an import that no language brings by itself.
    pub fn is_remarkable(&self) -> bool {
        !self.granted.is_empty() || (self.is_imported && self.kind == "http")
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind)?;
        match (self.is_imported, self.granted.is_empty()) {
            (true, true) => write!(f, "imported, not granted: {}", self.without),
            (true, false) => f.write_str(&self.granted.join(", ")),
            (false, false) => write!(f, "{}, and nothing is imported that could use it", self.granted.join(", ")),
            (false, true) => f.write_str("neither imported nor granted"),
        }
    }
}

/// Every kind that is imported or granted.
pub fn reach(anatomy: &Anatomy, grants: &Grants) -> Vec<Reach> {
    let reach = |kind: &Kind| Reach {
        kind: kind.name,
        is_imported: anatomy.imports.iter().any(|import| import.name.starts_with(kind.imports)),
        granted: grants.iter().filter(|it| kind.grants.contains(&it.kind())).map(Grant::to_string).collect(),
        without: kind.without,
    };
    KINDS.iter().map(reach).filter(|it| it.is_imported || !it.granted.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_import_is_told_with_what_it_leads_to() {
        let text = r#"(component (import "wasi:filesystem/types@0.2.6" (instance)) (import "wasi:http/types@0.2.0" (instance))
            (import "wasi:cli/stdout@0.2.0" (instance)))"#;
        let anatomy = Anatomy::read(text.as_bytes(), true).unwrap();
        let grants: Grants = ["read=/srv/data", "clock"].map(|text| text.parse().unwrap()).into_iter().collect();
        let told: Vec<String> = reach(&anatomy, &grants).iter().map(Reach::to_string).collect();
        assert_eq!(
            told,
            [
                "files: read=/srv/data",
                "http: imported, not granted: every request is refused",
                "clock: clock, and nothing is imported that could use it"
            ]
        );
        assert!(reach(&anatomy, &grants).iter().all(Reach::is_remarkable));
        assert_eq!(reach(&anatomy, &Grants::default()).iter().filter(|it| it.is_remarkable()).count(), 1);
    }
}
