//! Where traces and figures go, and how much of them.

use crate::domain::sanitize_line;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// In place of an address: as OpenTelemetry's own variables say.
pub(super) const ENV: &str = "env";
/// In place of an address: nowhere, whatever else is set.
const OFF: &str = "off";
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS_VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// Where a collector of this machine listens.
const ENDPOINT_DEFAULT: &str = "http://localhost:4318";

/// What cannot be used, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadSettings(String);

impl BadSettings {
    pub(super) fn of(why: String) -> Self {
        Self(why)
    }
}

/// Checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without what is sent.
    pub(super) base: Url,
    /// Beside the protocol's own; values may be secret.
    pub(super) headers: HeaderMap,
    /// The share of items whose spans are sent.
    pub(super) sample: f64,
    is_of_environment: bool,
}

impl Settings {
    /// `otlp`: an address, `env` or `off`. `headers`: of the file; with `env` those of the variable go before them. `variable`: reads the
    /// environment. `None`: it is off.
    pub fn new<'a>(
        otlp: &str,
        headers: impl Iterator<Item = (&'a String, &'a String)>,
        sample: f64,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadSettings> {
        if otlp == OFF {
            return Ok(None);
        }
        if !(0.0..=1.0).contains(&sample) {
            return Err(BadSettings(format!("sample {sample} is no share: write 0.1 for a tenth of the items")));
        }
        let of_env = |name: &str| variable(name).filter(|_| otlp == ENV && !name.is_empty());
        let text = of_env(ENDPOINT_VARIABLE)
            .unwrap_or_else(|| if otlp == ENV { ENDPOINT_DEFAULT.to_owned() } else { otlp.to_owned() });
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            insert(&mut all, name, value)?;
        }
        for pair in of_env(HEADERS_VARIABLE).unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| BadSettings(format!("{HEADERS_VARIABLE} is not of the form NAME=VALUE,NAME=VALUE")))?;
            insert(&mut all, name.trim(), &decoded(value.trim()))?;
        }
        Ok(Some(Self { base: address(&text)?, headers: all, sample, is_of_environment: otlp == ENV }))
    }

    /// Where one kind of what is told goes.
    pub(super) fn address(&self, signal: &str) -> String {
        let path = self.base.path().trim_end_matches('/');
        let mut url = self.base.clone();
        url.set_path(&format!("{path}/v1/{signal}"));
        url.to_string()
    }

    /// OpenTelemetry's variables are asked for.
    pub fn is_of_environment(&self) -> bool {
        self.is_of_environment
    }

    /// For a person.
    pub fn describe(&self) -> String {
        crate::provider::masked(self.base.as_str()).trim_end_matches('/').to_owned()
    }
}

/// Whether a flag may hold it; told again, and better, when it is used.
pub(super) fn address(text: &str) -> Result<Url, BadSettings> {
    let bad = |why: &str| {
        let shown = sanitize_line(&crate::provider::masked(text), 200);
        BadSettings(format!("`{shown}` is no address of a collector ({why}): write http://localhost:4318, env or off"))
    };
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "grpc" => Err(bad("OTLP is spoken over HTTP here, on a collector's port 4318")),
        _ => Err(bad("it must begin with http:// or https://")),
    }
}

/// The error does not show the value.
fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), BadSettings> {
    let bad =
        || BadSettings(format!("the header `{}` cannot be sent: mend its name or its value", sanitize_line(name, 100)));
    let name: HeaderName = name.parse().map_err(|_| bad())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Values of the variable are percent-encoded, as in W3C's baggage.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more
            .get(..2)
            .and_then(|two| std::str::from_utf8(two).ok())
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, code) {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn made(otlp: &str, sample: f64) -> Result<Option<Settings>, String> {
        let headers = BTreeMap::from([("x-team".to_owned(), "mine".to_owned())]);
        let variable = |name: &str| match name {
            ENDPOINT_VARIABLE => Some("https://collector.example/otlp/".to_owned()),
            HEADERS_VARIABLE => Some("authorization=Bearer%20abc, x-team=theirs".to_owned()),
            _ => None,
        };
        Settings::new(otlp, headers.iter(), sample, variable).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_that_is_given_is_used_with_nothing_of_the_environment() {
        let settings = made("http://127.0.0.1:4318", 1.0).unwrap().unwrap();
        assert_eq!(settings.address("traces"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(settings.headers.get("x-team").unwrap(), "mine");
        assert!(!settings.headers.contains_key("authorization"));
        assert!(made("off", 1.0).unwrap().is_none());
    }

    #[test]
    fn the_environment_is_read_where_that_is_asked_for() {
        let settings = made("env", 1.0).unwrap().unwrap();
        assert_eq!(settings.address("metrics"), "https://collector.example/otlp/v1/metrics");
        assert_eq!(settings.headers.get("authorization").unwrap(), "Bearer abc");
        assert_eq!(settings.headers.get("x-team").unwrap(), "theirs");
        let nothing = Settings::new("env", std::iter::empty(), 1.0, |_| None).unwrap().unwrap();
        assert_eq!(nothing.describe(), "http://localhost:4318");
    }

    #[test]
    fn what_cannot_be_used_is_told_with_what_can() {
        assert!(made("grpc://127.0.0.1:4317", 1.0).unwrap_err().contains("4318"));
        assert!(made("plugins/summarize", 1.0).unwrap_err().contains("write http://localhost:4318, env or off"));
        assert!(made("http://x:1", 1.5).unwrap_err().contains("no share"));
        let secret = BTreeMap::from([("a b".to_owned(), "hush".to_owned())]);
        let error = Settings::new("http://x:1", secret.iter(), 1.0, |_| None).unwrap_err().to_string();
        assert!(error.contains("`a b`") && !error.contains("hush"), "{error}");
    }
}
