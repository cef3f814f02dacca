//! Who we are to a registry: from the environment, else as `docker login` or `podman login` left it.

use super::RegistryError;
use crate::domain::sanitize_text;
use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};
use std::path::{Path, PathBuf};

/// `HOST=USER:PASSWORD`, for that registry and no other.
pub(super) const VARIABLE: &str = "SANDMILL_REGISTRY_AUTH";
/// Under what Docker Hub's are kept.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// To be given for an access token.
    Identity(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// May run the credential helper that docker's settings name: blocks.
pub(super) fn find(registry: &str) -> Result<Option<Credentials>, RegistryError> {
    if let Ok(text) = std::env::var(VARIABLE)
        && let Some(found) = of_variable(&text, registry)?
    {
        return Ok(Some(found));
    }
    let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
    // The crate says the same of a file that is missing and of one that cannot be read.
    if docker_file().is_some_and(|path| path.exists())
        && let Some(found) = of_file(docker_credential::get_credential(server), registry)?
    {
        return Ok(Some(found));
    }
    if podman_file().is_some_and(|path| path.exists()) {
        return of_file(docker_credential::get_podman_credential(server), registry);
    }
    Ok(None)
}

fn docker_file() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".docker"));
    Some(std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(home)?.join("config.json"))
}

fn podman_file() -> Option<PathBuf> {
    let runtime = || std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("containers/auth.json"));
    std::env::var_os("REGISTRY_AUTH_FILE").map(PathBuf::from).or_else(runtime)
}

fn of_variable(text: &str, registry: &str) -> Result<Option<Credentials>, RegistryError> {
    let parts = text.split_once('=').and_then(|(host, rest)| Some((host, rest.split_once(':')?)));
    let Some((host, (user, password))) = parts.filter(|(host, _)| !host.is_empty()) else {
        // The value is a secret, whatever it is.
        return Err(bad(registry, format!("{VARIABLE} is not of the form HOST=USER:PASSWORD")));
    };
    let found = Credentials::Password { user: user.to_owned(), password: password.to_owned() };
    Ok((host == registry).then_some(found))
}

fn of_file(found: Result<DockerCredential, Problem>, registry: &str) -> Result<Option<Credentials>, RegistryError> {
    match found {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some(Credentials::Password { user, password })),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::Identity(token))),
        Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound) => Ok(None),
        // What docker's helpers say where they know nothing of a registry.
        Err(Problem::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|text| text.contains("credentials not found")) =>
        {
            Ok(None)
        }
        // What a helper printed may hold a secret.
        Err(Problem::HelperFailure { helper, .. }) => {
            Err(bad(registry, format!("{} failed", sanitize_text(&helper, 100))))
        }
        Err(
            problem @ (Problem::HelperCommunicationError
            | Problem::MalformedHelperResponse
            | Problem::CredentialDecodingError
            | Problem::CredentialMismatchError
            | Problem::ConfigReadError),
        ) => Err(bad(registry, problem.to_string())),
    }
}

fn bad(registry: &str, reason: String) -> RegistryError {
    RegistryError::Credentials { host: registry.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_the_environment_are_for_one_registry() {
        let found = of_variable("127.0.0.1:5000=jo:a:b=c", "127.0.0.1:5000").unwrap();
        assert_eq!(found, Some(Credentials::Password { user: "jo".into(), password: "a:b=c".into() }));
        assert_eq!(of_variable("127.0.0.1:5000=jo:x", "ghcr.io").unwrap(), None);
        let error = of_variable("hush", "ghcr.io").unwrap_err().to_string();
        assert!(error.contains("HOST=USER:PASSWORD") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn a_helper_that_knows_nothing_is_no_error_and_what_it_prints_is_not_told() {
        let failure = |stdout: &str| {
            Err(Problem::HelperFailure {
                helper: "docker-credential-x".into(),
                stdout: stdout.into(),
                stderr: String::new(),
            })
        };
        assert_eq!(of_file(failure("credentials not found in native keychain\n"), "h").unwrap(), None);
        let error = of_file(failure("hush"), "h").unwrap_err().to_string();
        assert!(error.contains("docker-credential-x") && !error.contains("hush"), "{error}");
    }
}
