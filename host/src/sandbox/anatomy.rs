//! What a component is made of, read without compiling or running it.
//!
//! Whatever the bytes say is data of whoever built them: names are cleaned and cut, lists end where they have become too long to be
//! read, and what they claim of their tools proves nothing.

use super::SandboxError;
use crate::domain::sanitize_text;
use std::borrow::Cow;
use std::collections::BTreeSet;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentExternalKind, CustomSectionReader, MemoryType, Parser, Payload,
    ProducersSectionReader, TableType,
};

/// A name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Imports, exports and producers that are listed; more are counted.
const LISTED_MAX: usize = 1_000;
const PAGE_BYTES: u64 = 64 << 10;

/// A component's structure, with all that is nested in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anatomy {
    /// Of the component in binary form.
    pub bytes: u64,
    pub imports: Vec<Extern>,
    pub exports: Vec<Extern>,
    /// Imports and exports that are too many to be listed.
    pub unlisted: usize,
    pub producers: BTreeSet<Producer>,
    /// Core modules and components inside.
    pub modules: u32,
    pub components: u32,
    pub functions: u32,
    pub memories: u32,
    /// What its memories have from the start, and at most if each of them has a bound.
    pub memory_bytes: u64,
    pub memory_bytes_max: Option<u64>,
    pub tables: u32,
    pub table_elements: u64,
    /// Bytes of DWARF: without it a backtrace has no lines.
    pub debug_bytes: u64,
    /// It names its functions.
    pub has_names: bool,
}

/// Something that a component imports or exports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extern {
    /// Such as `wasi:io/streams`.
    pub name: String,
    /// Such as `0.2.6`.
    pub version: Option<String>,
    /// `instance`, `func`, `type` and so on.
    pub kind: &'static str,
}

impl std::fmt::Display for Extern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

/// What a component, or a module inside it, says it was made with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub field: String,
    pub name: String,
    /// May be empty.
    pub version: String,
}

impl Anatomy {
    /// `is_text`: the bytes come from a `.wat` file.
    pub fn read(bytes: &[u8], is_text: bool) -> Result<Self, SandboxError> {
        super::compile::check_kind(bytes, is_text)?;
        let damaged = |reason: String| {
            SandboxError::NotAPlugin(format!(
                "the component cannot be read (truncated or damaged?): {}",
                sanitize_text(&reason, 300)
            ))
        };
        let bytes = if is_text {
            wat::parse_bytes(bytes).map_err(|error| damaged(error.to_string()))?
        } else {
            Cow::Borrowed(bytes)
        };
        let mut anatomy = Self { bytes: bytes.len() as u64, memory_bytes_max: Some(0), ..Self::default() };
        anatomy.take(&bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(anatomy)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BinaryReaderError> {
        // The component itself is 1 deep; what is nested has imports and exports of its own, which lead nowhere.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ModuleSection { .. } => self.modules += 1,
                Payload::ComponentSection { .. } => self.components += 1,
                Payload::FunctionSection(functions) => {
                    self.functions = self.functions.saturating_add(functions.count());
                }
                Payload::MemorySection(memories) => {
                    memories.into_iter().try_for_each(|memory| memory.map(|it| self.memory(&it)))?;
                }
                Payload::TableSection(tables) => {
                    tables.into_iter().try_for_each(|table| table.map(|it| self.table(&it.ty)))?;
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        let import = import?;
                        list(&mut self.imports, &mut self.unlisted, import.name.name, import.ty.kind());
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        let export = export?;
                        list(&mut self.exports, &mut self.unlisted, export.name.name, export.kind);
                    }
                }
                Payload::CustomSection(section) => self.custom(&section),
                _ => {}
            }
        }
        Ok(())
    }

    fn memory(&mut self, memory: &MemoryType) {
        let page = memory.page_size_log2.map_or(PAGE_BYTES, |log2| 1_u64.checked_shl(log2).unwrap_or(u64::MAX));
        self.memories = self.memories.saturating_add(1);
        self.memory_bytes = self.memory_bytes.saturating_add(memory.initial.saturating_mul(page));
        let most = memory.maximum.map(|pages| pages.saturating_mul(page));
        self.memory_bytes_max = self.memory_bytes_max.zip(most).map(|(sum, most)| sum.saturating_add(most));
    }

    fn table(&mut self, table: &TableType) {
        self.tables = self.tables.saturating_add(1);
        self.table_elements = self.table_elements.saturating_add(table.initial);
    }

    fn custom(&mut self, section: &CustomSectionReader<'_>) {
        match section.name() {
            "producers" => {
                let reader = BinaryReader::new(section.data(), section.data_offset());
                // What is no such section tells nothing, and harms nothing.
                if let Ok(producers) = ProducersSectionReader::new(reader) {
                    self.produced(producers);
                }
            }
            "name" | "component-name" => self.has_names = true,
            name if name.starts_with(".debug_") => self.debug_bytes += section.data().len() as u64,
            _ => {}
        }
    }

    /// As far as it can be read: it is there for people, and what is wrong in it harms nothing.
    fn produced(&mut self, producers: ProducersSectionReader<'_>) {
        for field in producers.into_iter().map_while(Result::ok) {
            for value in field.values.into_iter().map_while(Result::ok) {
                if self.producers.len() >= LISTED_MAX {
                    return;
                }
                let clean = |text: &str| one_line(text);
                self.producers.insert(Producer {
                    field: clean(field.name),
                    name: clean(value.name),
                    version: clean(value.version),
                });
            }
        }
    }

    /// Of the same field, `name version` each.
    pub fn made_with(&self, field: &str) -> Vec<String> {
        let of_field = self.producers.iter().filter(|producer| producer.field == field);
        of_field.map(|Producer { name, version, .. }| format!("{name} {version}").trim_end().to_owned()).collect()
    }
}

fn list(listed: &mut Vec<Extern>, unlisted: &mut usize, name: &str, kind: ComponentExternalKind) {
    if listed.len() >= LISTED_MAX {
        *unlisted += 1;
        return;
    }
    let name = one_line(name);
    let (name, version) = match name.split_once('@') {
        Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
        None => (name, None),
    };
    let kind = match kind {
        ComponentExternalKind::Module => "module",
        ComponentExternalKind::Func => "func",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Instance => "instance",
        ComponentExternalKind::Component => "component",
    };
    listed.push(Extern { name, version, kind });
}

fn one_line(text: &str) -> String {
    sanitize_text(text, NAME_BYTES_MAX).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Anatomy {
        Anatomy::read(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn imports_and_exports_are_those_of_the_component_and_not_of_what_is_nested() {
        let anatomy = read(
            r#"(component
                (import "wasi:io/streams@0.2.6" (instance))
                (import "f" (func))
                (component (import "inner" (func)))
                (core module $m (func (export "f")) (memory 2 4) (table 10 funcref))
                (core module (memory 1))
                (core instance $i (instantiate $m))
                (func (export "f") (canon lift (core func $i "f"))))"#,
        );
        let names: Vec<String> = anatomy.imports.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["wasi:io/streams@0.2.6", "f"]);
        assert_eq!((anatomy.imports[0].version.as_deref(), anatomy.imports[1].kind), (Some("0.2.6"), "func"));
        assert_eq!(anatomy.exports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["f"]);
        assert_eq!((anatomy.modules, anatomy.components, anatomy.functions), (2, 1, 1));
        assert_eq!((anatomy.memories, anatomy.memory_bytes, anatomy.memory_bytes_max), (2, 3 * PAGE_BYTES, None));
        assert_eq!((anatomy.tables, anatomy.table_elements), (1, 10));
        assert_eq!((anatomy.debug_bytes, anatomy.has_names), (0, true));
        assert_eq!(read("(component (core module (memory 1 3)))").memory_bytes_max, Some(3 * PAGE_BYTES));
    }

    #[test]
    fn producers_and_debug_info_of_nested_modules_are_found_and_cleaned() {
        let anatomy = read(
            r#"(component
                (core module
                    (@producers (language "Rust\1b[31m" "2021") (processed-by "rustc" "1.95.0"))
                    (@custom ".debug_info" "12345"))
                (core module (@producers (processed-by "rustc" "1.95.0") (sdk "x" ""))))"#,
        );
        assert_eq!(anatomy.made_with("language"), ["Rust [31m 2021"]);
        assert_eq!(anatomy.made_with("processed-by"), ["rustc 1.95.0"]);
        assert_eq!(anatomy.made_with("sdk"), ["x"]);
        assert_eq!(anatomy.debug_bytes, 5);
    }

    #[test]
    fn a_list_without_end_is_counted() {
        let imports: Vec<String> = (0..LISTED_MAX + 5).map(|nth| format!("(import \"i{nth}\" (func))")).collect();
        let anatomy = read(&format!("(component {})", imports.concat()));
        assert_eq!((anatomy.imports.len(), anatomy.unlisted), (LISTED_MAX, 5));
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_are_read_or_refused(cut in 0_usize..400, place in 0_usize..400, byte: u8) {
            let text = r#"(component (import "a" (func)) (core module (memory 1) (@producers (language "x" "1"))) (component))"#;
            let mut bytes = wat::parse_str(text).unwrap();
            if let Some(hit) = bytes.get_mut(place) {
                *hit = byte;
            }
            bytes.truncate(cut.max(1));
            let _ = Anatomy::read(&bytes, false);
        }
    }
}
