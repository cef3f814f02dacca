//! What a registry wants to see before it answers: RFC 9110's challenges, and the tokens of docker's registries.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

/// How to prove who one is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// With a token, which is asked for elsewhere.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// The best of those that are offered; `None` where there is none that is known.
pub(super) fn of(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<_> = texts.filter_map(|text| http_auth::parse_challenges(text).ok()).flatten().collect();
    let bearer = all.iter().filter(|one| one.scheme.eq_ignore_ascii_case("bearer")).find_map(|one| {
        let param = |name: &str| {
            let found = one.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        Some(Challenge::Bearer { realm: param("realm")?, service: param("service") })
    });
    let is_basic = all.iter().any(|one| one.scheme.eq_ignore_ascii_case("basic"));
    bearer.or(is_basic.then_some(Challenge::Basic))
}

/// The query of a question for a token that may read one repository.
pub(super) fn token_query(url: &mut Url, service: Option<&str>, repository: &str) {
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    query.append_pair("scope", &scope(repository));
}

/// The body of the same where an identity token is given for it.
pub(super) fn token_form(service: Option<&str>, repository: &str, identity: &str) -> Option<String> {
    let mut url = Url::parse("https://form/").ok()?;
    url.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "sandmill")
        .append_pair("service", service.unwrap_or_default())
        .append_pair("scope", &scope(repository))
        .append_pair("refresh_token", identity);
    url.query().map(str::to_owned)
}

fn scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

/// From the answer to such a question. `None`: it holds no token that could stand in a header.
pub(super) fn bearer(answer: &[u8]) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Token {
        token: Option<String>,
        access_token: Option<String>,
    }
    let Token { token, access_token } = serde_json::from_slice(answer).ok()?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.or(access_token)?)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, text.parse().unwrap());
        }
        of(&headers)
    }

    #[test]
    fn of_what_is_offered_a_token_is_taken_first() {
        let bearer = |service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: "https://auth.example.org/token".into(),
                service: service.map(str::to_owned),
            })
        };
        let realm = r#"Bearer realm="https://auth.example.org/token""#;
        assert_eq!(offered(&[realm]), bearer(None));
        assert_eq!(offered(&[&format!(r#"{realm},service="reg",scope="x:pull""#)]), bearer(Some("reg")));
        assert_eq!(offered(&[r#"Basic realm="x""#, realm]), bearer(None));
        assert_eq!(offered(&[r#"Basic realm="x""#]), Some(Challenge::Basic));
        for none in ["Negotiate", "Bearer", "Bearer realm", "\"", "Bearer service=\"x\""] {
            assert_eq!(offered(&[none]), None, "{none}");
        }
    }

    #[test]
    fn a_token_that_cannot_stand_in_a_header_is_none() {
        assert_eq!(bearer(br#"{"token":"abc"}"#).unwrap(), "Bearer abc");
        assert_eq!(bearer(br#"{"access_token":"abc","expires_in":60}"#).unwrap(), "Bearer abc");
        for bad in [&br#"{"token":"a\r\nHost: x"}"#[..], b"{}", b"[]", b"", br#"{"token":1}"#] {
            assert_eq!(bearer(bad), None);
        }
    }
}
