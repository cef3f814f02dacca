//! What a manifest must say to be that of a component: the CNCF's layout for Wasm, which `wkg` writes.
//!
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>

use crate::domain::{Digest, sanitize_text};
use oci_spec::image::{ImageManifest, MediaType};

pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT: &str = "application/wasm";
/// A minisign signature of the component, as an annotation of the manifest.
pub(super) const SIGNATURE: &str = "sandmill.minisig";

/// The layer that is the component.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// As it stands in the manifest.
    pub(super) signature: Option<String>,
}

/// What is wrong, and what would be right.
pub(super) fn layer(manifest: &[u8]) -> Result<Layer, String> {
    let manifest: ImageManifest = serde_json::from_slice(manifest).map_err(|error| {
        // An index lists manifests, and has neither config nor layers.
        if serde_json::from_slice::<Index>(manifest).is_ok() {
            return "it is an index of several images, not a component: name one of them by its digest".to_owned();
        }
        format!("its manifest cannot be read: {}", sanitize_text(&error.to_string(), 200))
    })?;
    let not = |what: &str, found: &MediaType, wanted: &str| {
        format!(
            "it is no WebAssembly component: its {what} is of the type {}, and not {wanted}; publish it with `wkg oci push`",
            sanitize_text(found.as_ref(), 100)
        )
    };
    if manifest.config().media_type().to_string() != CONFIG {
        return Err(not("config", manifest.config().media_type(), CONFIG));
    }
    let [layer] = manifest.layers().as_slice() else {
        return Err(format!("it has {} layers, and a component has one", manifest.layers().len()));
    };
    if layer.media_type().to_string() != COMPONENT {
        return Err(not("layer", layer.media_type(), COMPONENT));
    }
    let digest = layer.digest().to_string().parse().map_err(|error| format!("the digest of its layer: {error}"))?;
    let signature = manifest.annotations().as_ref().and_then(|all| all.get(SIGNATURE)).cloned();
    Ok(Layer { digest, size: layer.size(), signature })
}

#[derive(serde::Deserialize)]
struct Index {
    #[expect(dead_code, reason = "that it is there tells an index from a manifest")]
    manifests: Vec<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn manifest() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": ACCEPT,
            "config": {"mediaType": CONFIG, "digest": Digest::of(b"{}").to_string(), "size": 2},
            "layers": [{"mediaType": COMPONENT, "digest": Digest::of(b"x").to_string(), "size": 1}],
            "annotations": {SIGNATURE: "s"},
        })
    }

    fn check(change: impl Fn(&mut Value), part: &str) {
        let mut changed = manifest();
        change(&mut changed);
        let error = layer(changed.to_string().as_bytes()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_manifest_of_the_layout_names_the_component() {
        let found = layer(manifest().to_string().as_bytes()).unwrap();
        assert_eq!(found, Layer { digest: Digest::of(b"x"), size: 1, signature: Some("s".into()) });
    }

    #[test]
    fn what_is_no_component_is_told_with_what_it_is() {
        let image = "application/vnd.oci.image.config.v1+json";
        check(|it| it["config"]["mediaType"] = image.into(), image);
        check(|it| it["layers"][0]["mediaType"] = "application/x-tar".into(), "application/x-tar");
        check(|it| it["layers"] = json!([]), "0 layers");
        check(|it| it["layers"][0]["digest"] = format!("sha512:{}", "0".repeat(128)).into(), "sha256");
        check(|it| it["layers"][0]["size"] = json!(-1), "cannot be read");
        check(|it| *it = json!({"schemaVersion": 2, "manifests": []}), "index of several images");
        check(|it| *it = json!("x"), "cannot be read");
    }
}
