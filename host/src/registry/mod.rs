//! Components from OCI registries, in the layout that `wkg oci push` writes.
//!
//! Always holds: nothing that a registry sends is believed. Each answer has a bound in bytes and in time, content is what its digest
//! says or is refused, and credentials go to the registry they are for, over TLS. What was once pulled is found by its digest without
//! a registry. The pulling is ours since oci-client reads manifests, tokens and complaints without a bound.
//! Must not know: what a component is, or whether it is trusted.

mod cache;
mod challenge;
mod credentials;
mod exchange;
mod manifest;
mod pull;
mod reference;
#[cfg(test)]
mod tests;

pub use pull::{Pulled, Registry, RegistrySettings};
pub use reference::Reference;

use std::path::PathBuf;

/// What keeps a component from being had from a registry. The texts name the way out.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("`{text}` names no component of a registry: {reason}; write oci://ghcr.io/acme/plugin:1.0.0")]
    BadReference { text: String, reason: String },
    #[error("cannot reach {host}: {reason}; check its name and the network, or run again")]
    Unreachable { host: String, reason: String },
    /// `reason`: with what credentials it was tried.
    #[error("{reference}: the registry refuses ({reason}): log in with `docker login`, or set {variable}=HOST=USER:PASSWORD", variable = credentials::VARIABLE)]
    Refused { reference: String, reason: String },
    #[error("{reference}: the registry does not know it{reason}; check the name and the tag")]
    NotFound { reference: String, reason: String },
    #[error("{reference}: the registry fails with {status}{reason}; run again later")]
    Failed { reference: String, status: u16, reason: String },
    #[error(
        "{reference} was not pulled before, and no registry is asked here: pull it with `sandmill plugin inspect {reference}`"
    )]
    Offline { reference: String },
    #[error("{reference}: {reason}")]
    TooSlow { reference: String, reason: String },
    /// What came is not what it should be. It is never used.
    #[error("{reference}: {reason}")]
    Untrusted { reference: String, reason: String },
    #[error("the credentials for {host} cannot be read: {reason}")]
    Credentials { host: String, reason: String },
    #[error("cannot keep what was pulled in {path}: {reason}", path = .path.display())]
    Cache { path: PathBuf, reason: String },
    #[error("cannot set up HTTP: {0}")]
    Client(String),
}
