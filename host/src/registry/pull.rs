//! From a reference to a component's bytes: tag, manifest, layer, each checked before it is used.

use super::cache::Cache;
use super::challenge::{self, Challenge};
use super::credentials::{self, Credentials};
use super::exchange::{Question, Wire, body, complaint, untrusted};
use super::manifest::{self, Layer};
use super::{Reference, RegistryError};
use crate::domain::{Digest, base64};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use std::path::PathBuf;
use std::time::Duration;

/// What the distribution specification has registries accept at least, and they hardly accept more.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
const TOKEN_BYTES_MAX: u64 = 64 << 10;

/// How a registry is asked.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Where what was pulled is kept.
    pub cache: PathBuf,
    /// Hosts, with their ports if need be, that are asked without TLS.
    pub insecure: Vec<String>,
    /// Nobody is asked: what was not pulled before is not there.
    pub is_offline: bool,
    /// The largest component, in bytes.
    pub component_bytes_max: u64,
    /// How long nothing may come.
    pub idle_max: Duration,
    /// How long one component may take.
    pub time_max: Duration,
}

/// A component, as its registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Of its manifest: what fixes a reference.
    pub manifest: Digest,
    /// Of its bytes.
    pub component: Digest,
    pub bytes: Vec<u8>,
    /// A minisign signature, unchecked.
    pub signature: Option<String>,
}

/// Pulls, and keeps what it pulled.
pub struct Registry {
    settings: RegistrySettings,
    cache: Cache,
    wire: Wire,
}

impl Registry {
    pub fn new(settings: RegistrySettings) -> Result<Self, RegistryError> {
        let wire = Wire::new(settings.idle_max, settings.insecure.clone())?;
        Ok(Self { cache: Cache::new(&settings.cache), wire, settings })
    }

    /// Which manifest a reference stands for: asks the registry, unless the reference says so.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        match reference.digest() {
            Some(digest) => Ok(digest),
            None => self.in_time(reference, Session::new(self, reference).resolve()).await,
        }
    }

    /// The component. One that is named by digest and kept is found without a registry.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, RegistryError> {
        self.in_time(reference, Session::new(self, reference).pull()).await
    }

    async fn in_time<T>(
        &self,
        reference: &Reference,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let most = self.settings.time_max;
        tokio::time::timeout(most, work).await.unwrap_or_else(|_| {
            let reason = format!("it takes longer than {}", humantime::format_duration(most));
            Err(RegistryError::TooSlow { reference: reference.to_string(), reason })
        })
    }
}

/// One component on its way.
struct Session<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    credentials: Option<Credentials>,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    fn new(registry: &'a Registry, reference: &'a Reference) -> Self {
        Self { registry, reference, credentials: None, authorization: None }
    }

    async fn resolve(mut self) -> Result<Digest, RegistryError> {
        Ok(Digest::of(&self.manifest().await?))
    }

    async fn pull(mut self) -> Result<Pulled, RegistryError> {
        let manifest = self.manifest().await?;
        let layer = manifest::layer(&manifest).map_err(|reason| untrusted(self.reference, reason))?;
        let most = self.registry.settings.component_bytes_max;
        if layer.size > most {
            return Err(untrusted(self.reference, format!("the component is larger than {} MiB", most >> 20)));
        }
        let bytes = match self.registry.cache.get(&layer.digest, most)? {
            Some(bytes) => bytes,
            None => self.component(&layer).await?,
        };
        let Layer { digest: component, signature, .. } = layer;
        Ok(Pulled { manifest: Digest::of(&manifest), component, bytes, signature })
    }

    /// Kept on return, whether it came from the cache or not.
    async fn manifest(&mut self) -> Result<Vec<u8>, RegistryError> {
        let fixed = self.reference.digest();
        if let Some(digest) = &fixed
            && let Some(bytes) = self.registry.cache.get(digest, MANIFEST_BYTES_MAX)?
        {
            return Ok(bytes);
        }
        let version =
            fixed.map_or_else(|| self.reference.tag().unwrap_or("latest").to_owned(), |digest| digest.to_string());
        let response = self.get(&format!("manifests/{version}"), manifest::ACCEPT).await?;
        let claimed =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = body(self.reference, response, MANIFEST_BYTES_MAX, "the manifest").await?;
        let found = Digest::of(&bytes);
        if let Some(wanted) = fixed.or(claimed)
            && wanted != found
        {
            return Err(untrusted(
                self.reference,
                format!("the registry sent a manifest that is {found}, and not {wanted}"),
            ));
        }
        self.registry.cache.put(&bytes)?;
        Ok(bytes)
    }

    async fn component(&mut self, layer: &Layer) -> Result<Vec<u8>, RegistryError> {
        let response = self.get(&format!("blobs/{}", layer.digest), "*/*").await?;
        let bytes = body(self.reference, response, layer.size, "the component").await?;
        let found = Digest::of(&bytes);
        if found != layer.digest {
            return Err(untrusted(
                self.reference,
                format!("the registry sent a component that is {found}, and not {} as its manifest says", layer.digest),
            ));
        }
        self.registry.cache.put(&bytes)?;
        Ok(bytes)
    }

    /// An answer that is one. Proves who we are if the registry wants to know.
    async fn get(&mut self, path: &str, accept: &'static str) -> Result<Response, RegistryError> {
        if self.registry.settings.is_offline {
            return Err(RegistryError::Offline { reference: self.reference.to_string() });
        }
        let url = self.registry.wire.address(self.reference, path)?;
        let question =
            |authorization: Option<HeaderValue>| Question { url: url.clone(), accept, form: None, authorization };
        let mut response = self.registry.wire.ask(self.reference, question(self.authorization.clone())).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = Some(self.authorize(&url, response.headers()).await?);
            response = self.registry.wire.ask(self.reference, question(self.authorization.clone())).await?;
        }
        self.check(response).await
    }

    async fn check(&self, response: Response) -> Result<Response, RegistryError> {
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let reference = self.reference.to_string();
        let reason = complaint(response, &self.secrets()).await;
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.refused(&reason),
            StatusCode::NOT_FOUND => RegistryError::NotFound { reference, reason },
            _ => RegistryError::Failed { reference, status: status.as_u16(), reason },
        })
    }

    /// The header that a registry asks for.
    async fn authorize(&mut self, asked: &Url, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        self.credentials = self.find_credentials().await?;
        match (challenge::of(headers), &self.credentials) {
            (Some(Challenge::Bearer { realm, service }), _) => self.token(asked, &realm, service.as_deref()).await,
            (Some(Challenge::Basic), Some(Credentials::Password { user, password })) => {
                basic(user, password).ok_or_else(|| self.refused(""))
            }
            (Some(Challenge::Basic), None | Some(Credentials::Identity(_))) => Err(self.refused("")),
            (None, _) => Err(self.refused(": it does not say how to log in")),
        }
    }

    async fn find_credentials(&self) -> Result<Option<Credentials>, RegistryError> {
        let registry = self.reference.registry().to_owned();
        let failed = |reason: String| RegistryError::Credentials { host: self.reference.registry().to_owned(), reason };
        let found = tokio::task::spawn_blocking(move || credentials::find(&registry)).await;
        found.map_err(|error| failed(error.to_string()))?
    }

    async fn token(&self, asked: &Url, realm: &str, service: Option<&str>) -> Result<HeaderValue, RegistryError> {
        let nowhere = |_| untrusted(self.reference, "the registry wants a token from an address that is none".into());
        let mut url = Url::parse(realm).map_err(nowhere)?;
        self.registry.wire.check_way(self.reference, asked, &url)?;
        let repository = self.reference.repository();
        let (form, authorization) = match &self.credentials {
            Some(Credentials::Identity(identity)) => (challenge::token_form(service, repository, identity), None),
            Some(Credentials::Password { user, password }) => (None, basic(user, password)),
            None => (None, None),
        };
        if form.is_none() {
            challenge::token_query(&mut url, service, repository);
        }
        let question = Question { url, accept: "application/json", form, authorization };
        let response = self.check(self.registry.wire.ask(self.reference, question).await?).await?;
        let answer = body(self.reference, response, TOKEN_BYTES_MAX, "the token").await?;
        challenge::bearer(&answer)
            .ok_or_else(|| untrusted(self.reference, "the registry sent no token that can be used".into()))
    }

    fn refused(&self, complaint: &str) -> RegistryError {
        let how = match self.credentials {
            Some(_) => "with the credentials that are kept for it",
            None => "without credentials",
        };
        RegistryError::Refused { reference: self.reference.to_string(), reason: format!("{how}{complaint}") }
    }

    /// What a complaint must not repeat.
    fn secrets(&self) -> Vec<&str> {
        let of_credentials = match &self.credentials {
            Some(Credentials::Password { password, .. }) => Some(password.as_str()),
            Some(Credentials::Identity(token)) => Some(token.as_str()),
            None => None,
        };
        let header = self.authorization.as_ref().and_then(|value| value.to_str().ok()?.split_once(' '));
        of_credentials.into_iter().chain(header.map(|(_, secret)| secret)).filter(|secret| !secret.is_empty()).collect()
    }
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
