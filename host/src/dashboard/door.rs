//! Who may come in: decided for every request, before anything is done for it.
//!
//! In this order: the name it comes under (421), the secret (401), and for what changes something where it comes from (403). A browser has the
//! secret as a cookie that no other site's page can use (`SameSite=Strict`) and no script can read (`HttpOnly`); a program as a bearer token.

use super::token::Token;
use crate::web::{is_loopback, is_ours, one_host};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use cookie::{Cookie, SameSite};

/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>: said by browsers alone, and by no page's script.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which names a request may come under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    /// What only somebody on this machine can mean.
    Loopback,
    /// Any address, `localhost`, and this machine's name.
    Machine(String),
}

pub(super) struct Door {
    token: Token,
    /// Of its own for each port, since browsers keep one jar for all ports of a machine.
    cookie_name: String,
    names: Names,
}

/// A request that is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    In,
    /// It brought the token in its address: with the cookie it is sent to the address without.
    Redirect {
        set_cookie: String,
    },
}

/// One that is not, and what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
}

const WRONG_NAME: Refusal = Refusal {
    status: StatusCode::MISDIRECTED_REQUEST,
    text: "ask by the address that the run printed, by localhost, or by this machine's name if it may be asked from elsewhere",
};
const NO_SECRET: Refusal = Refusal {
    status: StatusCode::UNAUTHORIZED,
    text: "this is the dashboard of a run: open the address with ?token=… that the run printed when it began (after following a link, reload)",
};
const ELSEWHERE: Refusal =
    Refusal { status: StatusCode::FORBIDDEN, text: "only the dashboard's own page may ask for this" };

/// What came with the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    Cookie,
    Bearer,
}

impl Door {
    pub(super) fn new(token: Token, port: u16, names: Names) -> Self {
        Self { token, cookie_name: format!("sandmill-{port}"), names }
    }

    pub(super) fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Entry, Refusal> {
        let host = one_host(headers).filter(|host| self.is_named(host)).ok_or(WRONG_NAME)?;
        if uri.path() == "/" && matches!(*method, Method::GET | Method::HEAD) {
            let given =
                uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("token="));
            if let Some(given) = given {
                let set_cookie = || Entry::Redirect { set_cookie: self.cookie() };
                return self.token.is(given).then(set_cookie).ok_or(NO_SECRET);
            }
        }
        let secret = self.secret(headers).ok_or(NO_SECRET)?;
        let is_safe = matches!(*method, Method::GET | Method::HEAD);
        if is_safe || is_of_own_page(headers, host, secret) { Ok(Entry::In) } else { Err(ELSEWHERE) }
    }

    fn is_named(&self, host: &str) -> bool {
        match &self.names {
            Names::Loopback => is_loopback(host),
            Names::Machine(machine) => is_ours(host, machine),
        }
    }

    fn secret(&self, headers: &HeaderMap) -> Option<Secret> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        if bearer.is_some_and(|given| self.token.is(given)) {
            return Some(Secret::Bearer);
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(Cookie::split_parse).flatten();
        cookies
            .any(|cookie| cookie.name() == self.cookie_name && self.token.is(cookie.value()))
            .then_some(Secret::Cookie)
    }

    /// For as long as the browser is open; the token is worth nothing when the run has ended.
    fn cookie(&self) -> String {
        let cookie = Cookie::build((self.cookie_name.as_str(), self.token.reveal()));
        cookie.http_only(true).same_site(SameSite::Strict).path("/").build().to_string()
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, given) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
}

/// Whether a request that changes something comes from the page itself, or from a program, which no page can make send the token.
fn is_of_own_page(headers: &HeaderMap, host: &str, secret: Secret) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(SEC_FETCH_SITE), text(ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            name.is_some_and(|name| name.eq_ignore_ascii_case(host))
        }
        (None, None) => secret == Secret::Bearer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, Request};

    fn door(names: Names) -> Door {
        Door::new(Token::random().unwrap(), 9465, names)
    }

    fn checked(door: &Door, method: Method, path: &str, headers: &[(&str, &str)]) -> Result<Entry, u16> {
        let mut request = Request::builder().method(method).uri(path).body(()).unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        door.check(request.method(), request.uri(), request.headers()).map_err(|refusal| refusal.status.as_u16())
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:9465");

    #[test]
    fn a_name_that_is_not_ours_is_refused_before_the_secret_is_looked_at() {
        let door = door(Names::Loopback);
        let bearer = format!("Bearer {}", door.token.reveal());
        for host in ["evil.example.com", "127.0.0.1.nip.io:9465", "10.0.0.1:9465", "batch7"] {
            let headers = [("host", host), ("authorization", bearer.as_str())];
            assert_eq!(checked(&door, Method::GET, "/data", &headers), Err(421), "{host}");
            let token = format!("/?token={}", door.token.reveal());
            assert_eq!(checked(&door, Method::GET, &token, &headers[..1]), Err(421), "{host}");
        }
        assert_eq!(checked(&door, Method::GET, "/data", &[("authorization", &bearer)]), Err(421));
        for host in ["localhost:8080", "127.0.0.1:9465", "[::1]:9465"] {
            let headers = [("host", host), ("authorization", bearer.as_str())];
            assert_eq!(checked(&door, Method::GET, "/data", &headers), Ok(Entry::In), "{host}");
        }
        let remote = Door::new(door.token.clone(), 9465, Names::Machine("batch7".into()));
        for (host, expected) in [("batch7:9465", Ok(Entry::In)), ("10.0.0.1", Ok(Entry::In)), ("evil.com", Err(421))] {
            let headers = [("host", host), ("authorization", bearer.as_str())];
            assert_eq!(checked(&remote, Method::GET, "/data", &headers), expected, "{host}");
        }
    }

    #[test]
    fn every_path_needs_the_secret() {
        let door = door(Names::Loopback);
        let other = Token::random().unwrap();
        let forged = [
            format!("Bearer {}", other.reveal()),
            format!("Basic {}", door.token.reveal()),
            "Bearer ".to_owned(),
            door.token.reveal().to_owned(),
        ];
        for path in ["/", "/app.js", "/style.css", "/events", "/data", "/failures", "/failures/1", "/pause", "/nothing"]
        {
            assert_eq!(checked(&door, Method::GET, path, &[HOST]), Err(401), "{path}");
            for value in &forged {
                assert_eq!(checked(&door, Method::GET, path, &[HOST, ("authorization", value)]), Err(401), "{value}");
            }
            let cookie = format!("sandmill-9466={0}; sandmill-9465={1}", door.token.reveal(), other.reveal());
            assert_eq!(checked(&door, Method::GET, path, &[HOST, ("cookie", &cookie)]), Err(401), "{path}");
        }
    }

    #[test]
    fn the_token_in_the_address_becomes_a_cookie_that_opens_everything() {
        let door = door(Names::Loopback);
        let path = format!("/?x=1&token={}", door.token.reveal());
        let Ok(Entry::Redirect { set_cookie }) = checked(&door, Method::GET, &path, &[HOST]) else { panic!() };
        assert!(set_cookie.starts_with("sandmill-9465="), "{set_cookie}");
        for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
            assert!(set_cookie.contains(part), "{set_cookie}");
        }
        assert!(!set_cookie.contains("Domain") && !set_cookie.contains("Max-Age"), "{set_cookie}");
        let cookie = format!("other=1; {}", set_cookie.split(';').next().unwrap());
        assert_eq!(checked(&door, Method::GET, "/events", &[HOST, ("cookie", &cookie)]), Ok(Entry::In));
        assert_eq!(checked(&door, Method::GET, "/?token=guess", &[HOST, ("cookie", &cookie)]), Err(401));
        let elsewhere = format!("/data?token={}", door.token.reveal());
        assert_eq!(checked(&door, Method::GET, &elsewhere, &[HOST]), Err(401), "only the page is opened so");
        assert_eq!(checked(&door, Method::POST, &path, &[HOST]), Err(401));
    }

    #[test]
    fn what_changes_something_comes_from_the_page_or_from_a_program() {
        let door = door(Names::Loopback);
        let cookie = format!("sandmill-9465={}", door.token.reveal());
        let bearer = format!("bearer {}", door.token.reveal());
        let check = |secret: (&str, &str), headers: &[(&str, &str)], expected: Result<Entry, u16>| {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let all = [&[HOST, secret], headers].concat();
                assert_eq!(checked(&door, method, "/pause", &all), expected, "{all:?}");
            }
        };
        let (cookie, bearer) = (("cookie", cookie.as_str()), ("authorization", bearer.as_str()));
        check(cookie, &[("sec-fetch-site", "same-origin")], Ok(Entry::In));
        check(cookie, &[("origin", "http://127.0.0.1:9465")], Ok(Entry::In));
        check(cookie, &[("origin", "https://127.0.0.1:9465"), ("sec-fetch-site", "same-origin")], Ok(Entry::In));
        for origin in ["http://127.0.0.1:9464", "http://evil.example.com", "null", "http://127.0.0.1:9465.evil.com", ""]
        {
            check(cookie, &[("origin", origin)], Err(403));
            check(bearer, &[("origin", origin)], Err(403));
        }
        for site in ["cross-site", "same-site", "none", ""] {
            check(cookie, &[("sec-fetch-site", site), ("origin", "http://127.0.0.1:9465")], Err(403));
        }
        check(cookie, &[], Err(403));
        check(bearer, &[], Ok(Entry::In));
    }
}
