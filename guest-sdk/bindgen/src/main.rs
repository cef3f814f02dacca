//! Writes the bindings that the C and Go kits carry, from `wit/1.0.0`: `cargo run -p sandmill-bindgen`, whenever the contract has
//! changed. What is written is checked in, so that building a plugin needs no generator.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wit_bindgen_core::wit_parser::{Resolve, WorldId};
use wit_bindgen_core::{Files, WorldGenerator};

/// Where the runtime of the generator for Go would be fetched from, and where the kit has it.
const GO_RUNTIME: (&str, &str) = ("\"go.bytecodealliance.org/pkg/wit/", "\"sandmill/internal/wit/");
/// The kit's bindings, as they are imported, and their folder.
const GO_PACKAGE: &str = "sandmill/internal/bindings";
const GO_FOLDER: &str = "guest-sdk/go/internal/bindings";
const C_FOLDER: &str = "guest-sdk/c/bindings";

fn main() -> anyhow::Result<()> {
    for (path, text) in bindings()? {
        let path = root().join(path);
        let folder = path.parent().context("a file without a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files, by their path from the root of the repository.
fn bindings() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let mut files = c()?;
    files.extend(go()?);
    Ok(files)
}

fn c() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    // `plugin build` tells the component's type itself.
    let options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    let made = generated(options.build())?;
    Ok(made.into_iter().map(|(name, text)| (Path::new(C_FOLDER).join(name), text)).collect())
}

fn go() -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let options = wit_bindgen_go::Opts {
        // Whether there is a gofmt shall make no difference.
        format: wit_bindgen_go::Format::False,
        pkg_name: Some(GO_PACKAGE.into()),
        ..wit_bindgen_go::Opts::default()
    };
    let made = generated(options.build())?;
    let go = made.into_iter().filter(|(name, _)| Path::new(name).extension().is_some_and(|kind| kind == "go"));
    // Functions of the host exist in a component only; tests of plugins run without them.
    let inside = |text: String| format!("//go:build wasip1\n\n{}", text.replace(GO_RUNTIME.0, GO_RUNTIME.1));
    Ok(go.map(|(name, text)| (Path::new(GO_FOLDER).join(name), inside(text))).collect())
}

fn generated(mut generator: Box<dyn WorldGenerator>) -> anyhow::Result<Vec<(String, String)>> {
    let (mut resolve, world) = contract()?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    let text = |(name, bytes): (&str, &[u8])| Ok((name.to_owned(), String::from_utf8(bytes.to_vec())?));
    files.iter().map(text).collect()
}

fn contract() -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit/1.0.0"))?;
    let world = resolve.select_world(&[package], Some("processor"))?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_that_a_kit_carries_are_those_of_the_contract() {
        let bindings = bindings().unwrap();
        assert!(bindings.len() > 4, "{:?}", bindings.keys());
        for (path, text) in bindings {
            let carried = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
            assert!(carried == text, "{} is old: cargo run -p sandmill-bindgen", path.display());
        }
    }
}
