//! Which names a request may come under: a page in somebody's browser can have a name of its own lead to this machine, and must not read
//! what is served here.

use axum::http::HeaderMap;
use axum::http::header::HOST;
use std::net::IpAddr;

/// The name of this machine; empty where it has none that is known.
pub fn machine() -> String {
    hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The name that a request comes under, perhaps with a port. `None`: it has none, or more than one, or none that can be read.
pub fn one_host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Whether this machine can be meant: an address, `localhost`, or its name, with or without a domain. `host`: as the request says it,
/// perhaps with a port; `machine`: the name of this machine.
pub fn is_ours(host: &str, machine: &str) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let machine = machine.to_ascii_lowercase();
    let is_machine = !machine.is_empty()
        && name.strip_prefix(&machine).is_some_and(|domain| domain.is_empty() || domain.starts_with('.'));
    // Whoever asks by address was not led here by a name.
    address(&name).is_some() || name == "localhost" || is_machine
}

/// Whether nobody but somebody on this machine can mean it: `localhost`, or an address of its loopback.
pub fn is_loopback(host: &str) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || address(&name).is_some_and(|address| address.is_loopback())
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn addresses_this_machine_and_localhost_are_ours_and_no_other_name_is() {
        for host in [
            "127.0.0.1:9464",
            "127.0.0.1",
            "[::1]:9464",
            "[::1]",
            "10.1.2.3:80",
            "localhost:1",
            "LOCALHOST",
            "batch7",
            "batch7.example.com:9464",
        ] {
            assert!(is_ours(host, "batch7"), "{host}");
        }
        for host in ["evil.example.com", "localhost.evil.example.com", "batch77", "127.0.0.1.nip.io:9464", "", "a:b"] {
            assert!(!is_ours(host, "batch7"), "{host}");
        }
        assert!(!is_ours("evil.example.com", ""));
    }

    #[test]
    fn the_loopback_is_asked_by_its_addresses_and_by_localhost_alone() {
        for host in ["127.0.0.1:9465", "127.9.9.9", "[::1]:1", "localhost", "localhost.:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.1.2.3:9465", "batch7", "127.0.0.1.nip.io", "localhost.evil.example.com", "0.0.0.0", "", ":1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_request_that_comes_under_two_names_comes_under_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(one_host(&headers), None);
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert_eq!(one_host(&headers), Some("localhost"));
        headers.append(HOST, HeaderValue::from_static("evil.example.com"));
        assert_eq!(one_host(&headers), None);
    }
}
