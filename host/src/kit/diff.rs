//! What a newer plugin has that an older one had not: first what it may do, then the rest.

use super::inspect::{Described, Inspection, size, text, wrapped};
use crate::sandbox::{Extern, Manifest};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Interfaces that lead nowhere unless something is granted, which is told by itself: most languages import them whatever they do.
const PLAIN_WASI: [&str; 6] =
    ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
/// Of the plugins' own interfaces, those that give nothing: the shared types, and words to the log.
const HARMLESS: [&str; 2] = ["sandmill:plugin/types", "sandmill:plugin/log"];
const WIDTH: usize = 80;

/// From an older plugin to a newer one.
#[derive(Debug)]
pub struct Difference {
    is_same: bool,
    /// What it may do more.
    pub rights: Vec<String>,
    pub changes: Vec<Change>,
}

/// Something that was one thing and is another.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub what: &'static str,
    /// `None`: there was, or is, none.
    pub old: Option<String>,
    pub new: Option<String>,
}

impl Difference {
    pub fn between(old: &Inspection, new: &Inspection) -> Self {
        let mut difference = Self { is_same: old.digest == new.digest, rights: Vec::new(), changes: Vec::new() };
        difference.rights(old, new);
        difference.one("world", old.world(), new.world());
        difference.externs("import", &old.anatomy.imports, &new.anatomy.imports);
        difference.externs("export", &old.anatomy.exports, &new.anatomy.exports);
        difference.needs(old, new);
        difference.described(&old.manifest, &new.manifest);
        for (what, field) in [("language", "language"), ("tool", "processed-by"), ("sdk", "sdk")] {
            difference.sets(what, old.anatomy.made_with(field), new.anatomy.made_with(field));
        }
        let (old, new) = (&old.anatomy, &new.anatomy);
        let memory = |bytes: u64, most: Option<u64>| {
            format!(
                "{} from the start, {}",
                size(bytes),
                most.map_or("without a bound".into(), |most| format!("at most {}", size(most)))
            )
        };
        difference.one("size", Some(size(old.bytes)), Some(size(new.bytes)));
        let both = [old, new].map(|it| Some(memory(it.memory_bytes, it.memory_bytes_max)));
        let [of_old, of_new] = both;
        difference.one("memory", of_old, of_new);
        let lines = |bytes: u64| Some(if bytes > 0 { "with lines (DWARF)" } else { "without lines" }.to_owned());
        difference.one("backtraces", lines(old.debug_bytes), lines(new.debug_bytes));
        difference
    }

    /// It may do something that the older one may not.
    pub fn rights_grew(&self) -> bool {
        !self.rights.is_empty()
    }

    fn rights(&mut self, old: &Inspection, new: &Inspection) {
        let known: BTreeSet<&str> = old.anatomy.imports.iter().map(|import| import.name.as_str()).collect();
        let more = new.anatomy.imports.iter().filter(|import| !known.contains(import.name.as_str()));
        self.rights.extend(more.filter(|import| reaches_out(&import.name)).map(meaning));
        if new.anatomy.unlisted > old.anatomy.unlisted {
            self.rights.push("it imports more than can be looked at".into());
        }
        for grant in new.needs.all().beyond(&old.needs.all()).iter() {
            self.rights.push(format!("it asks to be granted {grant}"));
        }
        let roles =
            |manifest: &Manifest| -> Vec<String> { manifest.model_roles.iter().map(|role| text(&role.name)).collect() };
        match (&old.manifest, &new.manifest) {
            (_, Described::NotAsked) => {}
            (_, Described::Fails(_)) => {
                self.rights.push("it does not describe itself: which models it asks cannot be told".into());
            }
            (old, Described::As(manifest)) => {
                let known = old.manifest().map(roles).unwrap_or_default();
                let more = roles(manifest).into_iter().filter(|role| !known.contains(role));
                self.rights.extend(more.map(|role| format!("it asks a model in a role of its own: {role}")));
            }
        }
    }

    /// Imports or exports, by name; a version that has moved is one change.
    fn externs(&mut self, what: &'static str, old: &[Extern], new: &[Extern]) {
        let shown = |it: &Extern| if it.kind == "instance" { it.to_string() } else { format!("{it} ({})", it.kind) };
        for was in old {
            let now = new.iter().find(|now| now.name == was.name);
            self.one(what, Some(shown(was)), now.map(shown));
        }
        for now in new.iter().filter(|now| old.iter().all(|was| was.name != now.name)) {
            self.one(what, None, Some(shown(now)));
        }
    }

    fn needs(&mut self, old: &Inspection, new: &Inspection) {
        let words = |it: &Inspection| it.needs.all().iter().map(ToString::to_string).collect();
        self.sets("grant", words(old), words(new));
        let required = |it: &Inspection| it.needs.required.iter().map(ToString::to_string).collect();
        self.sets("grant it needs", required(old), required(new));
    }

    fn described(&mut self, old: &Described, new: &Described) {
        let fails = |it: &Described| match it {
            Described::Fails(reason) => Some(text(reason)),
            Described::As(_) | Described::NotAsked => None,
        };
        self.one("describe fails", fails(old), fails(new));
        let (Some(old), Some(new)) = (old.manifest(), new.manifest()) else { return };
        for (what, old, new) in [
            ("name", &old.name, &new.name),
            ("version", &old.version, &new.version),
            ("description", &old.description, &new.description),
        ] {
            self.one(what, Some(text(old)), Some(text(new)));
        }
        let clean = |names: &[String]| names.iter().map(|name| text(name)).collect();
        self.sets("required field", clean(&old.required_fields), clean(&new.required_fields));
        let roles = |it: &Manifest| {
            let shown = it
                .model_roles
                .iter()
                .map(|role| format!("{}{}", text(&role.name), if role.optional { " (optional)" } else { "" }));
            shown.collect()
        };
        self.sets("model role", roles(old), roles(new));
        self.schema("config", old.config_schema.as_deref(), new.config_schema.as_deref());
        self.schema("output", old.output_schema.as_deref(), new.output_schema.as_deref());
    }

    /// A schema that has changed, by its properties.
    fn schema(&mut self, what: &'static str, old: Option<&str>, new: Option<&str>) {
        let parsed = |schema: Option<&str>| schema.and_then(|schema| serde_json::from_str::<Value>(schema).ok());
        let (old, new) = (parsed(old), parsed(new));
        if old == new {
            return;
        }
        let before = self.changes.len();
        let properties = |schema: &Option<Value>| -> Vec<String> {
            let found = schema.as_ref().and_then(|schema| schema["properties"].as_object());
            found.into_iter().flatten().map(|(name, schema)| text(&format!("{name}: {schema}"))).collect()
        };
        self.sets(what, properties(&old), properties(&new));
        if self.changes.len() == before {
            let shown = |schema: &Option<Value>| schema.as_ref().map(|schema| text(&schema.to_string()));
            self.one(what, shown(&old), shown(&new));
        }
    }

    fn sets(&mut self, what: &'static str, old: Vec<String>, new: Vec<String>) {
        for gone in old.iter().filter(|word| !new.contains(word)) {
            self.one(what, Some(gone.clone()), None);
        }
        for come in new.iter().filter(|word| !old.contains(word)) {
            self.one(what, None, Some(come.clone()));
        }
    }

    fn one(&mut self, what: &'static str, old: Option<String>, new: Option<String>) {
        if old != new {
            self.changes.push(Change { what, old, new });
        }
    }

    /// Lines of at most 80 columns.
    pub fn lines(&self) -> Vec<String> {
        if self.is_same && self.changes.is_empty() && self.rights.is_empty() {
            return vec!["They are the same component".into()];
        }
        let mut lines = Vec::new();
        let mut put = |first: &str, rest: &str, text: &str| {
            for (nth, line) in wrapped(text, WIDTH - first.len()).into_iter().enumerate() {
                lines.push(format!("{}{line}", if nth == 0 { first } else { rest }));
            }
        };
        if self.rights_grew() {
            put("", "", "The new plugin may do more than the old one:");
            self.rights.iter().for_each(|right| put("  ! ", "    ", right));
        } else {
            put("", "", "The new plugin may do no more than the old one");
        }
        if self.changes.is_empty() {
            put("", "", "Its bytes differ, and nothing of what it says of itself");
        }
        for Change { what, old, new } in &self.changes {
            match (old, new) {
                (Some(old), Some(new)) => {
                    put("  ", "    ", &format!("{what}: {old}"));
                    put("    -> ", "       ", new);
                }
                (Some(old), None) => put("  - ", "    ", &format!("{what}: {old}")),
                (None, Some(new)) => put("  + ", "    ", &format!("{what}: {new}")),
                (None, None) => {}
            }
        }
        lines
    }

    pub fn as_json(&self) -> Value {
        let changes = self.changes.iter().map(|it| json!({"what": it.what, "old": it.old, "new": it.new}));
        json!({
            "schema": 1,
            "is_same": self.is_same,
            "rights_grew": self.rights_grew(),
            "rights": self.rights,
            "changes": changes.collect::<Vec<_>>(),
        })
    }
}

fn reaches_out(import: &str) -> bool {
    !HARMLESS.contains(&import) && !PLAIN_WASI.iter().any(|plain| import.starts_with(plain))
}

/// For somebody who does not know the interfaces.
fn meaning(import: &Extern) -> String {
    let what = match import.name.as_str() {
        "sandmill:plugin/llm" => "it can ask models",
        "sandmill:plugin/blobs" => "it can read the files that come with items",
        name if name.starts_with("wasi:http/") => "it can make requests over HTTP, to whom it is granted",
        _ => "it imports an interface that the old one does not",
    };
    format!("{what} ({import})")
}

#[cfg(test)]
mod tests {
    use super::super::folder::Component;
    use super::super::source::Source;
    use super::*;
    use crate::domain::{Grants, Needs};
    use crate::sandbox::{Anatomy, ModelRole};

    fn manifest(roles: &[&str], version: &str) -> Manifest {
        let role = |name: &&str| ModelRole { name: (*name).into(), description: String::new(), optional: false };
        Manifest {
            name: "p".into(),
            version: version.into(),
            description: String::new(),
            config_schema: None,
            output_schema: Some(format!(r#"{{"properties":{{"a":{{}},"v{version}":{{}}}}}}"#)),
            required_fields: vec!["text".into()],
            model_roles: roles.iter().map(role).collect(),
        }
    }

    fn inspected(imports: &[&str], manifest: Described, grants: &[&str]) -> Inspection {
        let imports: Vec<String> = imports.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
        let bytes = format!("(component {})", imports.concat()).into_bytes();
        let anatomy = Anatomy::read(&bytes, true).unwrap();
        let required: Grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let needs = Needs { required, ..Needs::default() };
        let component = Component {
            path: "p".into(),
            bytes,
            is_text: true,
            signature: None,
            manifest: None,
            needs,
            name: None,
            digest: std::sync::OnceLock::new(),
        };
        Inspection::new(Source::Path("p".into()), &component, anatomy, manifest)
    }

    fn between(old: (&[&str], &[&str], &[&str]), new: (&[&str], &[&str], &[&str])) -> Difference {
        let one = |(imports, roles, grants): (&[&str], &[&str], &[&str])| {
            inspected(imports, Described::As(manifest(roles, "1")), grants)
        };
        Difference::between(&one(old), &one(new))
    }

    #[test]
    fn rights_grow_by_imports_that_lead_somewhere_grants_and_models() {
        let none: (&[&str], &[&str], &[&str]) = (&[], &[], &[]);
        let check = |new: (&[&str], &[&str], &[&str]), part: &str| {
            let difference = between(none, new);
            assert_eq!(difference.rights.len(), 1, "{:?}", difference.rights);
            assert!(difference.rights[0].contains(part), "{:?}", difference.rights);
            assert!(!between(new, none).rights_grew(), "what goes is no right that grows");
            assert!(!between(new, new).rights_grew());
        };
        check((&["sandmill:plugin/llm@1.0.0"], &[], &[]), "ask models");
        check((&["sandmill:plugin/blobs@1.0.0"], &[], &[]), "files that come with items");
        check((&["wasi:http/outgoing-handler@0.2.0"], &[], &[]), "HTTP");
        check((&["acme:x/y@1.0.0"], &[], &[]), "acme:x/y@1.0.0");
        check((&[], &["judge"], &[]), "judge");
        check((&[], &[], &["env=LANG"]), "env=LANG");
    }

    #[test]
    fn what_every_language_imports_is_a_change_and_no_right() {
        let old: (&[&str], &[&str], &[&str]) = (&["wasi:io/streams@0.2.0"], &["default"], &["read=data"]);
        let new: (&[&str], &[&str], &[&str]) = (
            &["wasi:io/streams@0.2.6", "wasi:cli/stdout@0.2.6", "wasi:sockets/tcp@0.2.6", "sandmill:plugin/log@1.0.0"],
            &["default"],
            &["read=data=/data/old"],
        );
        let difference = between(old, new);
        assert!(!difference.rights_grew(), "{:?}", difference.rights);
        let moved = Change {
            what: "import",
            old: Some("wasi:io/streams@0.2.0".into()),
            new: Some("wasi:io/streams@0.2.6".into()),
        };
        assert!(difference.changes.contains(&moved), "{:?}", difference.changes);
    }

    #[test]
    fn what_a_plugin_says_of_itself_is_compared_by_its_parts() {
        let old = inspected(&[], Described::As(manifest(&[], "1")), &[]);
        let new = inspected(&[], Described::As(manifest(&[], "2")), &[]);
        let text = Difference::between(&old, &new).lines().join("\n");
        assert!(
            text.contains("  version: 1\n    -> 2")
                && text.contains("  - output: v1: {}")
                && text.contains("  + output: v2: {}"),
            "{text}"
        );
        assert!(!text.contains("output: a"), "{text}");
        let fails = inspected(&[], Described::Fails("trap\u{1b}[1m ".repeat(30)), &[]);
        let difference = Difference::between(&old, &fails);
        assert!(difference.rights_grew());
        assert!(difference.lines().iter().all(|line| line.chars().count() <= WIDTH && !line.contains('\u{1b}')));
        let same = Difference::between(&old, &inspected(&[], Described::As(manifest(&[], "1")), &[]));
        assert_eq!(same.lines(), ["They are the same component"]);
    }
}
