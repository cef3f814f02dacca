//! `oci://HOST/NAME[:TAG][@sha256:…]`.

use super::RegistryError;
use crate::domain::{Digest, sanitize_text};
use oci_spec::distribution;
use std::fmt;

const SCHEME: &str = "oci://";
/// Docker Hub is asked elsewhere than its name says.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Where a component is. Without tag and digest, the tag is `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    inner: distribution::Reference,
    digest: Option<Digest>,
}

impl Reference {
    /// Whether a text is meant as one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let bad = |reason: &str| RegistryError::BadReference { text: sanitize_text(text, 300), reason: reason.into() };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| bad("it does not begin with oci://"))?;
        let (host, _) = rest.split_once('/').ok_or_else(|| bad("it has no name after the registry"))?;
        if host.contains('@') {
            return Err(bad("a name or password in it would be shown: log in with `docker login` instead"));
        }
        // Without this, `oci://acme/plugin` would be of Docker Hub.
        if !(host.contains(['.', ':']) || host == "localhost") {
            return Err(bad("it does not begin with the registry's host"));
        }
        let inner: distribution::Reference =
            rest.parse().map_err(|error: distribution::ParseError| bad(&error.to_string()))?;
        let digest = inner
            .digest()
            .map(str::parse)
            .transpose()
            .map_err(|_| bad("its digest is not sha256: and 64 lower case hexadecimal digits"))?;
        Ok(Self { inner, digest })
    }

    /// As it was named, and as credentials are kept for it.
    pub fn registry(&self) -> &str {
        self.inner.registry()
    }

    /// Where it is asked: host, and port if need be.
    pub(super) fn host(&self) -> &str {
        match self.registry() {
            DOCKER_HUB => DOCKER_HUB_API,
            host => host,
        }
    }

    pub(super) fn repository(&self) -> &str {
        self.inner.repository()
    }

    pub fn tag(&self) -> Option<&str> {
        self.inner.tag()
    }

    /// Of the manifest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same, fixed to one manifest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        let text = digest.to_string();
        let inner = match self.tag() {
            Some(tag) => distribution::Reference::with_tag_and_digest(registry, repository, tag.to_owned(), text),
            None => distribution::Reference::with_digest(registry, repository, text),
        };
        Self { inner, digest: Some(digest) }
    }

    /// The same without its digest: what a pin is kept by. A reference that has nothing but a digest keeps it.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        let Some(tag) = self.tag() else { return self.clone() };
        let (registry, repository) = (self.registry().to_owned(), self.repository().to_owned());
        Self { inner: distribution::Reference::with_tag(registry, repository, tag.to_owned()), digest: None }
    }

    /// The last word of its name.
    pub fn name(&self) -> &str {
        self.repository().rsplit('/').next().unwrap_or_default()
    }

    /// Registry and name, without what tells one version from another.
    pub fn versionless(&self) -> String {
        format!("{SCHEME}{}/{}", self.registry(), self.repository())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        Reference::parse(text).map(|reference| reference.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_reference_names_registry_repository_and_version() {
        let digest = Digest::of(b"");
        let text = format!("oci://127.0.0.1:5000/acme/plugins/p:1.0@{digest}");
        let reference = Reference::parse(&text).unwrap();
        assert_eq!((reference.registry(), reference.repository()), ("127.0.0.1:5000", "acme/plugins/p"));
        assert_eq!((reference.tag(), reference.digest(), reference.name()), (Some("1.0"), Some(digest), "p"));
        assert_eq!(reference.to_string(), text);
        assert_eq!(reference.without_digest().to_string(), "oci://127.0.0.1:5000/acme/plugins/p:1.0");
        assert_eq!(reference.without_digest().with_digest(digest), reference);
        assert_eq!(parsed("oci://ghcr.io/a/b").unwrap(), "oci://ghcr.io/a/b:latest");
        let only = format!("oci://ghcr.io/a/b@{digest}");
        assert_eq!(Reference::parse(&only).unwrap().without_digest().to_string(), only);
        assert_eq!(Reference::parse("oci://docker.io/a/b").unwrap().host(), DOCKER_HUB_API);
    }

    #[test]
    fn what_is_no_reference_is_told_with_one_that_is() {
        let check = |text: &str, part: &str| {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(part) && error.contains("oci://ghcr.io/acme/plugin:1.0.0"), "{error}");
        };
        check("oci://acme/plugin", "host");
        check("oci://ghcr.io", "no name");
        check("oci://user:secret@ghcr.io/a/b", "docker login");
        check("oci://ghcr.io/A/B", "invalid");
        check("oci://ghcr.io/../../etc/passwd", "invalid");
        check("oci://ghcr.io/a?x=y", "invalid");
        check(&format!("oci://ghcr.io/a/b@sha256:{}", "A".repeat(64)), "lower case");
        check(&format!("oci://ghcr.io/a/b@sha512:{}", "a".repeat(128)), "sha256");
        check("oci://ghcr.io/a/b\u{1b}[31m", "invalid");
    }
}
