//! What can be known of a plugin before it is trusted, for people and for programs.

use super::folder::Component;
use super::lock::Pin;
use super::reach::{Reach, reach};
use super::signature::SignatureState;
use super::source::Source;
use crate::domain::{Digest, Grants, Needs, sanitize_text};
use crate::sandbox::{Anatomy, Extern, Manifest, Release};
use serde_json::{Value, json};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Of these the first are taken by the names of what follows.
const LABEL: usize = 9;
/// The interface that every plugin exports, and the world that has it.
const HANDLER: &str = "sandmill:plugin/handler";
const WORLD: &str = "sandmill:plugin/processor";
/// Of what the component says of itself.
const TEXT_BYTES_MAX: usize = 2_000;
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Everything at once. `manifest`: what the plugin says of itself, or why it does not.
#[derive(Debug)]
pub struct Inspection {
    pub source: Source,
    pub digest: Digest,
    /// Of what a registry has.
    pub registry_manifest: Option<Digest>,
    pub anatomy: Anatomy,
    pub manifest: Described,
    /// What its folder says that it asks for.
    pub needs: Needs,
    /// What the operator's settings give it.
    pub granted: Grants,
    pub signature: SignatureState,
    pub pin: Option<Pin>,
}

/// What a plugin says of itself.
#[derive(Debug)]
pub enum Described {
    As(Manifest),
    /// It was asked, and failed.
    Fails(String),
    /// Nobody asked.
    NotAsked,
}

impl Described {
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::As(manifest) => Some(manifest),
            Self::Fails(_) | Self::NotAsked => None,
        }
    }
}

impl Inspection {
    pub fn new(source: Source, component: &Component, anatomy: Anatomy, manifest: Described) -> Self {
        Self {
            source,
            digest: component.digest(),
            registry_manifest: component.manifest,
            anatomy,
            manifest,
            needs: component.needs.clone(),
            granted: Grants::default(),
            signature: SignatureState::None,
            pin: None,
        }
    }

    /// The world of the plugins' interface, if it is of one.
    pub fn world(&self) -> Option<String> {
        let handler = self.anatomy.exports.iter().find(|export| export.name == HANDLER)?;
        let version = handler.version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        Some(format!("{WORLD}{version}"))
    }

    /// The released version of the contract that it was built for; the error says why it is none.
    pub fn contract(&self) -> Result<&'static Release, String> {
        let names = |all: &[Extern]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        Release::of(names(&self.anatomy.imports), names(&self.anatomy.exports))
    }

    /// Whether what is pinned is this.
    pub fn is_pinned(&self) -> Option<bool> {
        self.pin.as_ref().map(|pin| pin.digest == self.digest)
    }

    /// Lines of at most 80 columns.
    pub fn lines(&self) -> Vec<String> {
        let anatomy = &self.anatomy;
        let mut sheet = Sheet::default();
        sheet.row("plugin", [self.source.to_string()]);
        sheet.row("digest", [self.digest.to_string()]);
        sheet.row("registry", self.registry_manifest.iter().map(ToString::to_string));
        sheet.row("size", [size(anatomy.bytes)]);
        sheet.row("language", joined(anatomy.made_with("language")));
        sheet.row("tools", joined([anatomy.made_with("processed-by"), anatomy.made_with("sdk")].concat()));
        let contract = self.contract();
        sheet.row("world", [self.world().unwrap_or_else(|| format!("none: it does not export {HANDLER}"))]);
        sheet.row("contract", [contract.map_or_else(|why| text(&why), |release| release.version.to_string())]);
        sheet.row("imports", names(&anatomy.imports));
        sheet.row("exports", names(&anatomy.exports));
        if anatomy.unlisted > 0 {
            sheet.row("", [format!("and {} more imports and exports", anatomy.unlisted)]);
        }
        sheet.row("parts", [self.parts()]);
        sheet.row("memory", [self.memory()]);
        sheet.row("tables", [format!("{}, {} elements", anatomy.tables, anatomy.table_elements)]);
        sheet.row("debug", [self.debug()]);
        sheet.row("signed", [self.signed()]);
        sheet.row("pinned", [self.pinned()]);
        let grants = |grants: &Grants| joined(grants.iter().map(ToString::to_string).collect());
        sheet.row("needs", grants(&self.needs.required));
        sheet.row("can use", grants(&self.needs.optional));
        sheet.row("granted", grants(&self.granted));
        sheet.row("missing", grants(&self.needs.required.beyond(&self.granted)));
        sheet.row("reaches", reach(anatomy, &self.granted).iter().map(ToString::to_string));
        self.described(&mut sheet);
        sheet.lines
    }

    fn parts(&self) -> String {
        let Anatomy { modules, components, functions, .. } = &self.anatomy;
        format!("{modules} core modules, {components} components, {functions} functions")
    }

    fn memory(&self) -> String {
        let Anatomy { memories, memory_bytes, memory_bytes_max, .. } = &self.anatomy;
        let most = match memory_bytes_max {
            Some(most) => format!("at most {}", size(*most)),
            None => "without a bound of its own".to_owned(),
        };
        format!("{memories}, {} from the start, {most}", size(*memory_bytes))
    }

    fn debug(&self) -> String {
        match (self.anatomy.debug_bytes, self.anatomy.has_names) {
            (0, true) => "none: a backtrace has names, and no lines".to_owned(),
            (0, false) => "none: a backtrace has neither names nor lines".to_owned(),
            (bytes, _) => format!("DWARF, {}: a backtrace has lines", size(bytes)),
        }
    }

    fn signed(&self) -> String {
        match &self.signature {
            SignatureState::None => "no".to_owned(),
            SignatureState::Good { key, comment } => format!("by {key}, which is trusted: {comment}"),
            SignatureState::Unknown => "by a key that is not trusted".to_owned(),
            SignatureState::Bad(reason) => format!("BADLY: {reason}"),
        }
    }

    fn pinned(&self) -> String {
        match (&self.pin, self.is_pinned()) {
            (Some(_), Some(true)) => "yes".to_owned(),
            (Some(pin), _) => format!("NOT AS THIS: to {}", pin.digest),
            (None, _) => "no".to_owned(),
        }
    }

    fn described(&self, sheet: &mut Sheet) {
        let manifest = match &self.manifest {
            Described::As(manifest) => manifest,
            Described::Fails(reason) => return sheet.row("says", [format!("nothing: {}", text(reason))]),
            Described::NotAsked => return sheet.row("says", ["not asked".to_owned()]),
        };
        sheet.row("name", [text(&manifest.name)]);
        sheet.row("version", [text(&manifest.version)]);
        sheet.row("does", [text(&manifest.description)]);
        sheet.row("fields", joined(manifest.required_fields.iter().map(|field| text(field)).collect()));
        let roles = manifest.model_roles.iter().map(|role| {
            let optional = if role.optional { " (optional)" } else { "" };
            format!("{}{optional}: {}", text(&role.name), text(&role.description))
        });
        sheet.row("models", roles);
        sheet.row("config", manifest.config_schema.iter().map(|schema| keys(schema)));
        sheet.row("output", manifest.output_schema.iter().map(|schema| keys(schema)));
    }

    pub fn as_json(&self) -> Value {
        let anatomy = &self.anatomy;
        let externs = |all: &[Extern]| -> Vec<Value> {
            let one = |it: &Extern| json!({"name": it.name, "version": it.version, "kind": it.kind});
            all.iter().map(one).collect()
        };
        let (contract, contract_error) = match self.contract() {
            Ok(release) => (Some(release.version.to_string()), None),
            Err(why) => (None, Some(text(&why))),
        };
        let (error, manifest) = match &self.manifest {
            Described::As(manifest) => (None, Some(manifest_json(manifest))),
            Described::Fails(reason) => (Some(text(reason)), None),
            Described::NotAsked => (None, None),
        };
        let producers = anatomy.producers.iter();
        let reached = reach(anatomy, &self.granted);
        let grants = |grants: &Grants| -> Vec<String> { grants.iter().map(ToString::to_string).collect() };
        json!({
            "schema": 1,
            "plugin": self.source.to_string(),
            "digest": self.digest.to_string(),
            "registry_manifest": self.registry_manifest.as_ref().map(ToString::to_string),
            "bytes": anatomy.bytes,
            "world": self.world(),
            "contract": contract,
            "contract_error": contract_error,
            "imports": externs(&anatomy.imports),
            "exports": externs(&anatomy.exports),
            "unlisted": anatomy.unlisted,
            "producers": producers.map(|it| json!({"field": it.field, "name": it.name, "version": it.version})).collect::<Vec<_>>(),
            "modules": anatomy.modules,
            "components": anatomy.components,
            "functions": anatomy.functions,
            "memories": anatomy.memories,
            "memory_bytes": anatomy.memory_bytes,
            "memory_bytes_max": anatomy.memory_bytes_max,
            "tables": anatomy.tables,
            "table_elements": anatomy.table_elements,
            "debug_bytes": anatomy.debug_bytes,
            "has_names": anatomy.has_names,
            "needs": grants(&self.needs.required),
            "can_use": grants(&self.needs.optional),
            "granted": grants(&self.granted),
            "missing": grants(&self.needs.required.beyond(&self.granted)),
            "reaches": reached.iter().map(reach_json).collect::<Vec<_>>(),
            "manifest": manifest,
            "describe_error": error,
            "signature": self.signature_json(),
            "pin": self.pin.as_ref().map(|pin| json!({"digest": pin.digest.to_string(), "is_this": self.is_pinned()})),
        })
    }

    fn signature_json(&self) -> Value {
        match &self.signature {
            SignatureState::None => json!({"state": "none"}),
            SignatureState::Good { key, comment } => json!({"state": "good", "key": key, "comment": comment}),
            SignatureState::Unknown => json!({"state": "unknown_key"}),
            SignatureState::Bad(reason) => json!({"state": "bad", "reason": reason}),
        }
    }
}

fn reach_json(reach: &Reach) -> Value {
    json!({"kind": reach.kind, "imported": reach.is_imported, "granted": reach.granted, "otherwise": reach.without})
}

fn manifest_json(manifest: &Manifest) -> Value {
    let schema = |schema: &Option<String>| schema.as_ref().map(|text| parsed(text));
    let roles = manifest.model_roles.iter();
    let role = |name: &str, description: &str, optional: bool| json!({"name": text(name), "description": text(description), "optional": optional});
    json!({
        "name": text(&manifest.name),
        "version": text(&manifest.version),
        "description": text(&manifest.description),
        "required_fields": manifest.required_fields.iter().map(|field| text(field)).collect::<Vec<_>>(),
        "model_roles": roles.map(|it| role(&it.name, &it.description, it.optional)).collect::<Vec<_>>(),
        "config_schema": schema(&manifest.config_schema),
        "output_schema": schema(&manifest.output_schema),
    })
}

/// Escaped by whoever prints it, and null where it is too long to be looked at.
fn parsed(schema: &str) -> Value {
    if schema.len() > SCHEMA_BYTES_MAX { Value::Null } else { serde_json::from_str(schema).unwrap_or_default() }
}

/// The properties that a schema of an object has; those that must be there are marked.
fn keys(schema: &str) -> String {
    let schema = parsed(schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object() else { return "a schema".to_owned() };
    let mark = |name: &String| {
        if required.contains(&name.as_str()) { format!("{} (required)", text(name)) } else { text(name) }
    };
    properties.keys().map(mark).collect::<Vec<_>>().join(", ")
}

pub(super) fn text(text: &str) -> String {
    sanitize_text(text, TEXT_BYTES_MAX)
}

pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

fn joined(words: Vec<String>) -> Option<String> {
    (!words.is_empty()).then(|| words.join(", "))
}

fn names(externs: &[Extern]) -> impl Iterator<Item = String> {
    let name = |it: &Extern| if it.kind == "instance" { it.to_string() } else { format!("{it} ({})", it.kind) };
    externs.iter().map(name)
}

/// Rows of a name and what follows it, each piece of it on lines of its own.
#[derive(Default)]
struct Sheet {
    lines: Vec<String>,
}

impl Sheet {
    fn row(&mut self, label: &str, pieces: impl IntoIterator<Item = String>) {
        let mut label = label;
        for piece in pieces {
            for line in wrapped(&piece, WIDTH - LABEL) {
                self.lines.push(format!("{label:<LABEL$}{line}").trim_end().to_owned());
                label = "";
            }
        }
    }
}

/// Broken at blanks, and where there is none in mid-word. Columns are counted as characters.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let (mut line, mut used) = (String::new(), 0);
        for word in paragraph.split_whitespace() {
            let mut word: Vec<char> = word.chars().collect();
            if used > 0 && used + 1 + word.len() > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            while word.len() > width {
                lines.push(word.drain(..width).collect());
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            used += word.len();
            line.extend(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::ModelRole;
    use proptest::prelude::*;

    fn inspection(manifest: Described) -> Inspection {
        let text = r#"(component
            (import "sandmill:plugin/llm@1.0.0" (instance))
            (core module (@producers (language "Rust" "") (processed-by "rustc" "1.95.0")) (memory 17))
            (instance $i) (export "sandmill:plugin/handler@1.0.0" (instance $i)))"#;
        let bytes = text.as_bytes().to_vec();
        let anatomy = Anatomy::read(&bytes, true).unwrap();
        let component = Component {
            path: "p.wat".into(),
            bytes,
            is_text: true,
            signature: None,
            manifest: None,
            needs: Needs::default(),
            name: None,
            digest: std::sync::OnceLock::new(),
        };
        Inspection::new(Source::Path("p.wat".into()), &component, anatomy, manifest)
    }

    fn manifest() -> Manifest {
        Manifest {
            name: "p\u{1b}[2J".into(),
            version: "1.0".into(),
            description: "word ".repeat(40),
            config_schema: Some(r#"{"properties":{"a":{},"b":{}},"required":["b"]}"#.into()),
            output_schema: None,
            required_fields: vec!["text".into()],
            model_roles: vec![ModelRole { name: "default".into(), description: "answers".into(), optional: false }],
        }
    }

    #[test]
    fn what_is_known_fits_a_terminal_and_moves_no_cursor() {
        let text = inspection(Described::As(manifest())).lines().join("\n");
        for part in [
            "language Rust\n",
            "tools    rustc 1.95.0",
            "world    sandmill:plugin/processor@1.0.0",
            "models   default: answers",
            "config   a, b (required)",
            "name     p [2J",
            "imports  sandmill:plugin/llm@1.0.0",
            "pinned   no",
            "1.1 MiB from the start, without a bound",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH && !line.contains('\u{1b}')), "{text}");
    }

    #[test]
    fn a_plugin_that_does_not_describe_itself_is_shown_all_the_same() {
        let failed = inspection(Described::Fails("cpu_time: too long".into()));
        assert!(failed.lines().iter().any(|line| line == "says     nothing: cpu_time: too long"));
        let json = failed.as_json();
        assert_eq!((&json["manifest"], &json["describe_error"]), (&Value::Null, &json!("cpu_time: too long")));
        assert_eq!(json["world"], "sandmill:plugin/processor@1.0.0");
        assert_eq!(json["imports"][0], json!({"name": "sandmill:plugin/llm", "version": "1.0.0", "kind": "instance"}));
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_it_may_be_and_no_word_is_lost(text in "[a-zä ]{0,200}", width in 1_usize..40) {
            let lines = wrapped(&text, width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
