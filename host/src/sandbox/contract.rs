//! The contract's released versions, and which of them a component was built for.
//!
//! All of them are spoken, side by side: a component is linked as what it says that it is. wasmtime's linker would go by semantic
//! versions itself, and so take a component of a version that is newer than any known here, as long as it calls nothing new; what it
//! returns could then mean something that this host has never heard of. Such a one is refused here, before it is linked.

use crate::domain::sanitize_line;
use semver::Version;
use std::collections::BTreeSet;

/// The package whose worlds are spoken, and the interface that makes a component a plugin.
const PACKAGE: &str = "sandmill:plugin";
const HANDLER: &str = "sandmill:plugin/handler";
/// Of what a component says, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Exports of another world that are told.
const TOLD_MAX: usize = 5;

/// A version of the contract. What stands under `wit/` for it never changes, but for what is said in words.
#[derive(Debug)]
pub struct Release {
    pub version: Version,
    /// The WIT, by file.
    pub wit: [(&'static str, &'static str); 4],
    pub(super) speaks: Speaks,
}

/// Which module of the bindings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speaks {
    V1_0,
}

macro_rules! wit {
    ($version:literal) => {
        [
            ("types.wit", include_str!(concat!("../../../wit/", $version, "/types.wit"))),
            ("llm.wit", include_str!(concat!("../../../wit/", $version, "/llm.wit"))),
            ("host.wit", include_str!(concat!("../../../wit/", $version, "/host.wit"))),
            ("world.wit", include_str!(concat!("../../../wit/", $version, "/world.wit"))),
        ]
    };
}

/// Every released version, the oldest first.
pub static RELEASES: [Release; 1] =
    [Release { version: Version::new(1, 0, 0), wit: wit!("1.0.0"), speaks: Speaks::V1_0 }];

impl Release {
    /// What plugins are built for today.
    pub fn latest() -> &'static Self {
        let [.., latest] = &RELEASES;
        latest
    }

    /// The one that a component was built for, by the names of its imports and exports. The error says why it is none, and the
    /// way out.
    pub fn of<S: AsRef<str>>(
        imports: impl IntoIterator<Item = S>,
        exports: impl IntoIterator<Item = S>,
    ) -> Result<&'static Self, String> {
        let exports: Vec<S> = exports.into_iter().collect();
        if !exports.iter().any(|name| split(name.as_ref()).0 == HANDLER) {
            return Err(another_world(&exports));
        }
        let imports: Vec<S> = imports.into_iter().collect();
        let named: BTreeSet<&str> =
            imports.iter().chain(&exports).filter_map(|name| version_in(name.as_ref())).collect();
        let mut versions = named.iter();
        let (Some(version), None) = (versions.next(), versions.next()) else {
            let all: Vec<String> = named.iter().map(|version| shown(version)).collect();
            return Err(format!(
                "the component is of several versions of {PACKAGE} at once ({}): build all of it again with one version of the kit",
                all.join(", ")
            ));
        };
        RELEASES
            .iter()
            .find(|release| Version::parse(version).is_ok_and(|version| version == release.version))
            .ok_or_else(|| unknown(version))
    }
}

/// The name of an import or export, and its version.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

/// The version of the contract that a name is of; empty if it says none.
fn version_in(name: &str) -> Option<&str> {
    let (name, version) = split(name);
    name.strip_prefix(PACKAGE)?.starts_with('/').then_some(version)
}

fn shown(version: &str) -> String {
    if version.is_empty() { "none".to_owned() } else { sanitize_line(version, NAME_BYTES_MAX) }
}

/// Why a version is none of the released ones.
fn unknown(text: &str) -> String {
    let latest = &Release::latest().version;
    let newest_of = |major| RELEASES.iter().map(|release| &release.version).rfind(|known| known.major == major);
    let built_for = format!("the component was built for {PACKAGE}@{}", sanitize_line(text, NAME_BYTES_MAX));
    let Ok(version) = Version::parse(text) else {
        return format!(
            "the component says of itself that it is for {PACKAGE} `{}`, which is no version: build it again with the kit of {latest}",
            shown(text)
        );
    };
    let known = newest_of(version.major).unwrap_or(latest);
    if version > *known {
        return format!(
            "{built_for}, and this sandmill knows up to {known}: update sandmill, or build the plugin with the kit of {latest}"
        );
    }
    let known: Vec<String> = RELEASES.iter().map(|release| release.version.to_string()).collect();
    format!(
        "{built_for}, which was never released (known: {}): build the plugin again with the kit of {latest}",
        known.join(", ")
    )
}

/// Says which world a component is of when it is not ours: the linker's own words name a missing function at best.
fn another_world<S: AsRef<str>>(exports: &[S]) -> String {
    let wanted = format!("`{HANDLER}@{}`", Release::latest().version);
    if exports.is_empty() {
        return format!("the component exports nothing: a plugin exports {wanted}");
    }
    let told = exports.iter().take(TOLD_MAX).map(|name| format!("`{}`", sanitize_line(name.as_ref(), NAME_BYTES_MAX)));
    format!(
        "the component is of another world: it exports {}, and a plugin exports {wanted}",
        told.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [&str; 0] = [];

    fn check(imports: &[&str], exports: &[&str], parts: &[&str]) {
        let why = Release::of(imports.iter().copied(), exports.iter().copied()).unwrap_err();
        for part in parts {
            assert!(why.contains(part), "`{part}` is not said in: {why}");
        }
    }

    #[test]
    fn each_released_version_is_known_by_the_components_names() {
        for release in &RELEASES {
            let handler = format!("{HANDLER}@{}", release.version);
            let llm = format!("sandmill:plugin/llm@{}", release.version);
            assert_eq!(Release::of(NOTHING, [handler.as_str()]).unwrap().version, release.version);
            let others = ["wasi:io/streams@0.2.6", llm.as_str(), "acme:tools/sandmill:plugin@9.0.0"];
            assert_eq!(Release::of(others, [handler.as_str(), "run"]).unwrap().version, release.version);
        }
    }

    #[test]
    fn the_table_goes_from_the_oldest_to_the_latest_and_holds_what_its_files_say() {
        assert!(RELEASES.windows(2).all(|pair| pair[0].version < pair[1].version));
        for release in &RELEASES {
            for (name, text) in release.wit {
                let package = format!("package {PACKAGE}@{};", release.version);
                assert!(text.contains(&package), "{name} does not say `{package}`");
            }
        }
    }

    #[test]
    fn what_no_released_version_is_says_the_way_out() {
        let handler = |version: &str| format!("{HANDLER}@{version}");
        check(&[], &[&handler("1.3.0")], &["built for sandmill:plugin@1.3.0", "knows up to 1.0.0", "update sandmill"]);
        check(&[], &[&handler("1.0.1")], &["built for sandmill:plugin@1.0.1", "knows up to 1.0.0", "update sandmill"]);
        check(&[], &[&handler("9.0.0")], &["built for sandmill:plugin@9.0.0", "update sandmill"]);
        check(
            &[],
            &[&handler("0.1.0")],
            &["sandmill:plugin@0.1.0, which was never released", "build the plugin again"],
        );
        check(&[], &[&handler("1.0.0-rc.1")], &["1.0.0-rc.1, which was never released (known: 1.0.0)"]);
        check(&[], &[HANDLER], &["sandmill:plugin `none`, which is no version", "build it again"]);
        check(&[], &[&handler("one\u{1b}[2J")], &["`one [2J`, which is no version"]);
        check(&[], &[], &["exports nothing", "`sandmill:plugin/handler@1.0.0`"]);
        check(&["sandmill:plugin/llm@1.0.0"], &["wasi:http/incoming-handler@0.2.6"], &["another world", "wasi:http"]);
        check(
            &["sandmill:plugin/llm@1.1.0", "sandmill:plugin/log@1.0.0"],
            &[&handler("1.0.0")],
            &["several versions", "1.0.0, 1.1.0", "build all of it again"],
        );
        check(&["sandmill:plugin/llm"], &[&handler("1.0.0")], &["several versions", "none, 1.0.0"]);
    }
}
