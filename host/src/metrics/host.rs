//! Which names a request may come under: a page in somebody's browser can have a name of its own lead to this machine, and must not read
//! what is served here.

use std::net::IpAddr;

/// `host`: as the request says it, perhaps with a port; `machine`: the name of this machine.
pub(super) fn is_ours(host: &str, machine: &str) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let machine = machine.to_ascii_lowercase();
    // Whoever asks by address was not led here by a name.
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let is_machine = !machine.is_empty()
        && name.strip_prefix(&machine).is_some_and(|domain| domain.is_empty() || domain.starts_with('.'));
    is_address || name == "localhost" || is_machine
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
}
