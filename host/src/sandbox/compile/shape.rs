//! How much of everything a component may have, before a compiler sees it: what it takes to compile grows with each of these, and with
//! some of them faster than the file does.
//!
//! The bounds lie twenty times and more above the largest components that are known to be of use (`CPython` with its standard library:
//! 18 MB, 13,000 functions; `StarlingMonkey`: 12 MB, 9 MB of code). They keep out what is absurd, with a message that says what; what
//! passes them and is still too much for the compiler meets the limits of its process.

mod body;

use std::ops::AddAssign;
use wasmparser::{
    ComponentType, ComponentTypeDeclaration, CompositeInnerType, CoreType, ElementItems, Instance,
    InstanceTypeDeclaration, Parser, Payload, TypeRef,
};

/// Bytes of a name: an import's, an export's.
const NAME_BYTES_MAX: usize = 8 << 10;
/// Components within components, the outermost included.
const DEPTH_MAX: usize = 16;
/// What a function or a block may yield. Each target of a `br_table` has that many arguments.
const RESULTS_MAX: usize = 64;

/// Something that is counted over the whole component.
struct Bound {
    what: &'static str,
    most: u64,
    way_out: &'static str,
}

const LESS: &str = "leave out what the plugin does not need, or split it into two plugins";
const OPTIMISE: &str = "build it optimised (--release, -O2), which takes most of them away";
const LINK: &str = "link its parts into one";

const fn bound(what: &'static str, most: u64, way_out: &'static str) -> Bound {
    Bound { what, most, way_out }
}

const MODULES: Bound = bound("core modules", 250, LINK);
const COMPONENTS: Bound = bound("components inside", 250, LINK);
const INSTANCES: Bound = bound("instances inside", 2_000, LINK);
const INSTANCE_ARGUMENTS: Bound = bound("arguments of instances", 100_000, LINK);
const TYPES: Bound = bound("types", 200_000, LESS);
const IMPORTS: Bound = bound("imports", 100_000, LESS);
const EXPORTS: Bound = bound("exports", 100_000, LESS);
const ALIASES: Bound = bound("aliases", 200_000, LESS);
const CANONICALS: Bound = bound("lifted and lowered functions", 20_000, LESS);
const FUNCTIONS: Bound = bound("functions", 300_000, LESS);
const CODE_BYTES: Bound = bound("bytes of code", 64 << 20, LESS);
const LOCALS: Bound = bound("local variables", 4_000_000, OPTIMISE);
/// Each local variable may be another at the head of each loop: a compiler looks at the product.
const LOCALS_BY_LOOPS: Bound =
    bound("versions of local variables (those of each function times its loops)", 200_000_000, OPTIMISE);
const BRANCH_TARGETS: Bound = bound("targets of br_table", 8_000_000, "let the largest `switch` be a look-up table");
const GLOBALS: Bound = bound("globals", 200_000, LESS);
const TABLES: Bound = bound("tables", 250, LINK);
const MEMORIES: Bound = bound("memories", 250, LINK);
const ELEMENT_SEGMENTS: Bound = bound("element segments", 50_000, LESS);
const ELEMENTS: Bound = bound("table elements", 4_000_000, LESS);
const DATA_SEGMENTS: Bound =
    bound("data segments", 200_000, "merge them (wasm-ld does), or load less of it into memory");
const CUSTOM_SECTIONS: Bound = bound("custom sections", 20_000, "strip it (`wasm-tools strip`)");

/// How much of it there is so far.
#[derive(Default)]
struct Count(u64);

impl Count {
    fn add(&mut self, more: u64, bound: &Bound) -> Result<(), String> {
        self.0 = self.0.saturating_add(more);
        if self.0 <= bound.most {
            return Ok(());
        }
        let Bound { what, most, way_out } = bound;
        Err(format!("the component has more than {most} {what}, which is the most that is compiled: {way_out}"))
    }
}

#[derive(Default)]
struct Counts {
    modules: Count,
    components: Count,
    instances: Count,
    instance_arguments: Count,
    types: Count,
    imports: Count,
    exports: Count,
    aliases: Count,
    canonicals: Count,
    functions: Count,
    code_bytes: Count,
    locals: Count,
    locals_by_loops: Count,
    branch_targets: Count,
    globals: Count,
    tables: Count,
    memories: Count,
    element_segments: Count,
    elements: Count,
    data_segments: Count,
    custom_sections: Count,
}

/// A module or a component that is open, and of a module what its bodies refer to.
#[derive(Default)]
struct Open {
    /// Parameters and results of each type; of one that is no function, none.
    types: Vec<Signature>,
    /// The type of each function that has a body.
    functions: Vec<u32>,
    bodies: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Signature {
    parameters: usize,
    results: usize,
}

/// Refuses what is beyond a bound, or cannot be read at all.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let mut counts = Counts::default();
    let mut open = Vec::<Open>::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(unreadable)?;
        match payload {
            Payload::Version { .. } => {
                open.push(Open::default());
                if open.len() > DEPTH_MAX {
                    return Err(format!("the component holds components more than {DEPTH_MAX} deep: {LINK}"));
                }
            }
            Payload::End(_) => {
                open.pop();
            }
            payload => {
                // The parser begins with a version; should it not, there is nothing that bodies could refer to.
                let mut nobody = Open::default();
                counts.payload(payload, open.last_mut().unwrap_or(&mut nobody))?;
            }
        }
    }
    Ok(())
}

fn unreadable(error: wasmparser::Error) -> String {
    format!("the component does not load (truncated or damaged?): {error}")
}

fn name(text: &str) -> Result<(), String> {
    if text.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "the component has a name of {} bytes: the most is {NAME_BYTES_MAX}; strip it (`wasm-tools strip`)",
        text.len()
    ))
}

impl Counts {
    fn payload(&mut self, payload: Payload<'_>, open: &mut Open) -> Result<(), String> {
        match payload {
            Payload::ModuleSection { .. } => self.modules.add(1, &MODULES),
            Payload::ComponentSection { .. } => self.components.add(1, &COMPONENTS),
            Payload::ComponentTypeSection(reader) => {
                reader.into_iter().try_for_each(|ty| self.component_type(&ty.map_err(unreadable)?))
            }
            Payload::CoreTypeSection(reader) => {
                reader.into_iter().try_for_each(|ty| self.core_type(&ty.map_err(unreadable)?))
            }
            Payload::InstanceSection(reader) => reader.into_iter().try_for_each(|instance| {
                self.instances.add(1, &INSTANCES)?;
                let arguments = match instance.map_err(unreadable)? {
                    Instance::Instantiate { args, .. } => args.len(),
                    Instance::FromExports(exports) => exports.len(),
                };
                self.instance_arguments.add(arguments as u64, &INSTANCE_ARGUMENTS)
            }),
            Payload::ComponentInstanceSection(reader) => self.instances.add(reader.count().into(), &INSTANCES),
            Payload::ComponentAliasSection(reader) => self.aliases.add(reader.count().into(), &ALIASES),
            Payload::ComponentCanonicalSection(reader) => self.canonicals.add(reader.count().into(), &CANONICALS),
            Payload::ComponentImportSection(reader) => reader.into_iter().try_for_each(|import| {
                self.imports.add(1, &IMPORTS)?;
                name(import.map_err(unreadable)?.name.name)
            }),
            Payload::ComponentExportSection(reader) => reader.into_iter().try_for_each(|export| {
                self.exports.add(1, &EXPORTS)?;
                name(export.map_err(unreadable)?.name.name)
            }),
            Payload::CustomSection(_) => self.custom_sections.add(1, &CUSTOM_SECTIONS),
            payload => self.module_payload(payload, open),
        }
    }

    /// What stands in core modules.
    fn module_payload(&mut self, payload: Payload<'_>, open: &mut Open) -> Result<(), String> {
        match payload {
            Payload::TypeSection(reader) => reader.into_iter().try_for_each(|group| {
                for ty in group.map_err(unreadable)?.into_types() {
                    self.types.add(1, &TYPES)?;
                    open.types.push(signature(&ty.composite_type.inner)?);
                }
                Ok(())
            }),
            Payload::ImportSection(reader) => reader.into_imports().try_for_each(|import| {
                let import = import.map_err(unreadable)?;
                self.imports.add(1, &IMPORTS)?;
                name(import.module)?;
                name(import.name)?;
                match import.ty {
                    TypeRef::Memory(_) => self.memories.add(1, &MEMORIES),
                    TypeRef::Table(_) => self.tables.add(1, &TABLES),
                    _ => Ok(()),
                }
            }),
            Payload::ExportSection(reader) => reader.into_iter().try_for_each(|export| {
                self.exports.add(1, &EXPORTS)?;
                name(export.map_err(unreadable)?.name)
            }),
            Payload::FunctionSection(reader) => {
                self.functions.add(reader.count().into(), &FUNCTIONS)?;
                open.functions = reader.into_iter().collect::<Result<_, _>>().map_err(unreadable)?;
                Ok(())
            }
            Payload::CodeSectionEntry(body) => {
                let signature = open.functions.get(open.bodies).and_then(|ty| open.types.get(*ty as usize));
                open.bodies.add_assign(1);
                let read = body::read(&body, signature.copied().unwrap_or_default(), &open.types)?;
                self.code_bytes.add(body.range().len() as u64, &CODE_BYTES)?;
                self.locals.add(read.locals, &LOCALS)?;
                self.locals_by_loops.add(read.locals.saturating_mul(read.loops), &LOCALS_BY_LOOPS)?;
                self.branch_targets.add(read.branch_targets, &BRANCH_TARGETS)
            }
            Payload::GlobalSection(reader) => self.globals.add(reader.count().into(), &GLOBALS),
            Payload::TableSection(reader) => self.tables.add(reader.count().into(), &TABLES),
            Payload::MemorySection(reader) => self.memories.add(reader.count().into(), &MEMORIES),
            Payload::DataSection(reader) => self.data_segments.add(reader.count().into(), &DATA_SEGMENTS),
            Payload::ElementSection(reader) => reader.into_iter().try_for_each(|segment| {
                self.element_segments.add(1, &ELEMENT_SEGMENTS)?;
                let elements = match segment.map_err(unreadable)?.items {
                    ElementItems::Functions(items) => items.count(),
                    ElementItems::Expressions(_, items) => items.count(),
                };
                self.elements.add(elements.into(), &ELEMENTS)
            }),
            // What is of a proposal that is switched off is refused right after.
            _ => Ok(()),
        }
    }

    /// With what is declared inside it.
    fn component_type(&mut self, ty: &ComponentType<'_>) -> Result<(), String> {
        self.types.add(1, &TYPES)?;
        match ty {
            ComponentType::Component(declarations) => {
                declarations.iter().try_for_each(|declaration| match declaration {
                    ComponentTypeDeclaration::Type(ty) => self.component_type(ty),
                    ComponentTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    ComponentTypeDeclaration::Import(import) => name(import.name.name),
                    ComponentTypeDeclaration::Export { name: export, .. } => name(export.name),
                    ComponentTypeDeclaration::Alias(_) => self.aliases.add(1, &ALIASES),
                })
            }
            ComponentType::Instance(declarations) => {
                declarations.iter().try_for_each(|declaration| match declaration {
                    InstanceTypeDeclaration::Type(ty) => self.component_type(ty),
                    InstanceTypeDeclaration::CoreType(ty) => self.core_type(ty),
                    InstanceTypeDeclaration::Export { name: export, .. } => name(export.name),
                    InstanceTypeDeclaration::Alias(_) => self.aliases.add(1, &ALIASES),
                })
            }
            ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => Ok(()),
        }
    }

    fn core_type(&mut self, ty: &CoreType<'_>) -> Result<(), String> {
        let inside = match ty {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => declarations.len(),
        };
        self.types.add(inside as u64, &TYPES)
    }
}

fn signature(ty: &CompositeInnerType) -> Result<Signature, String> {
    let CompositeInnerType::Func(function) = ty else { return Ok(Signature::default()) };
    let signature = Signature { parameters: function.params().len(), results: function.results().len() };
    if signature.results > RESULTS_MAX {
        return Err(format!(
            "the component has a function or a block that yields {} values: the most is {RESULTS_MAX}; return a pointer instead",
            signature.results
        ));
    }
    Ok(signature)
}
