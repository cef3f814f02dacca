//! Base URLs: which can work, and what may be shown of them.

use super::ProviderSettingsError;
use reqwest::Url;

/// What ends an address of a request rather than a base URL.
const ENDPOINTS: [&str; 3] = ["/chat/completions", "/messages", ":generateContent"];

/// Up to and including the version. A query is kept, but not shown.
pub(super) fn base(text: &str) -> Result<Url, ProviderSettingsError> {
    let bad = |reason: &str| bad(text, reason);
    let mut url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a name or password in it would be shown: give the API key instead"));
    }
    if let Some(end) = ENDPOINTS.iter().find(|end| url.path().trim_end_matches('/').ends_with(**end)) {
        return Err(bad(&format!("leave out {end}")));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Hosts at which a model is what its vendor says it is. `OpenAI` has others for its regions, Azure one for each customer.
const VENDORS: [&str; 4] =
    ["api.openai.com", "openai.azure.com", "api.anthropic.com", "generativelanguage.googleapis.com"];

pub(super) fn is_vendors_own(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    VENDORS.iter().any(|vendor| host.strip_suffix(vendor).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The error of a base URL, without the password that stands before its last @.
pub(super) fn bad(text: &str, reason: &str) -> ProviderSettingsError {
    ProviderSettingsError::BadBaseUrl {
        url: text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, rest)| format!("…@{rest}")),
        reason: reason.to_owned(),
    }
}

/// What may be shown.
pub(super) fn shown(base: &Url) -> String {
    let mut shown = base.clone();
    shown.set_query(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

/// An address as somebody wrote it, without what may be secret in it: whoever stands before the @, and the values of the query.
pub fn masked(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "***".into() };
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    if !names.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(names.iter().map(|name| (name, "***")));
    }
    // What can have no name before its host has none.
    let _ = url.set_password(None);
    if !url.username().is_empty() {
        let _ = url.set_username("***");
    }
    url.set_fragment(None);
    url.to_string()
}

/// What runs on this machine is never asked for through the environment's proxy.
pub(crate) fn is_loopback(url: &Url) -> bool {
    is_loopback_host(url.host_str().unwrap_or_default())
}

pub(crate) fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left_of_an_address() {
        let check = |text: &str, expected: &str| assert_eq!(masked(text), expected);
        check("https://api.openai.com/v1", "https://api.openai.com/v1");
        check("https://jo:hush@example.org/v1?key=hush&v=2", "https://***@example.org/v1?key=***&v=***");
        check("http://hush@127.0.0.1:3128", "http://***@127.0.0.1:3128/");
        check("hush", "***");
    }

    #[test]
    fn a_vendors_own_service_is_told_from_those_that_speak_its_protocol() {
        for (url, expected) in [
            ("https://api.openai.com/v1", true),
            ("https://eu.api.openai.com/v1", true),
            ("https://name.openai.azure.com/openai/v1", true),
            ("https://api.anthropic.com/v1", true),
            ("https://notapi.openai.com/v1", false),
            ("https://api.openai.com.example.org/v1", false),
            ("http://127.0.0.1:8000/v1", false),
        ] {
            assert_eq!(is_vendors_own(&base(url).unwrap()), expected, "{url}");
        }
    }
}
