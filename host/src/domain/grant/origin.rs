//! A host that may be asked over HTTP: scheme, name or address, port.
//!
//! What was given and what a request names are read by the same rules, so that no spelling of a host passes for another.

use super::GrantError;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Ends a grant of a host whose addresses may be private.
const PRIVATE: &str = "+private";
/// RFC 1035: bytes of a name, and of a label.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Https,
    Http,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// A name, in lower case, without a dot at its end.
    Name(String),
    /// `*.NAME`: every name below it, and not itself.
    Below(String),
    /// An address; one of IPv4 that is written as IPv6 is that of IPv4.
    Address(IpAddr),
}

/// `[http://]HOST[:PORT][+private]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: HostPattern,
    pub port: u16,
    is_private: bool,
}

impl Origin {
    /// Where a request goes: `authority` as in its address, so that the scheme's own port may be missing.
    ///
    /// # Errors
    /// It is no host that could have been granted: a name and password before it, a pattern, letters beyond ASCII.
    pub fn of_request(scheme: Scheme, authority: &str) -> Result<Self, GrantError> {
        let origin = Self::of_authority(scheme, authority)?;
        match origin.host {
            HostPattern::Below(_) => Err(GrantError(format!("`{authority}` is no host"))),
            HostPattern::Name(_) | HostPattern::Address(_) => Ok(origin),
        }
    }

    /// As the begin of an address, with the port: of an origin of requests, which is no pattern.
    pub fn base(&self) -> String {
        let bare = Self { is_private: false, ..self.clone() }.to_string();
        let bare = bare.split_once("://").map_or(bare.as_str(), |(_, rest)| rest);
        let port = if self.port == self.scheme.port() { format!(":{}", self.port) } else { String::new() };
        format!("{}://{bare}{port}", self.scheme.name())
    }

    /// Whether every request that `other` admits is admitted here.
    pub fn covers(&self, other: &Self) -> bool {
        let is_below = |name: &str, top: &str| name.strip_suffix(top).is_some_and(|rest| rest.ends_with('.'));
        let host = match (&self.host, &other.host) {
            (HostPattern::Below(top), HostPattern::Name(name)) => is_below(name, top),
            (HostPattern::Below(top), HostPattern::Below(other)) => top == other || is_below(other, top),
            (given, asked) => given == asked,
        };
        host && self.scheme == other.scheme
            && self.port == other.port
            && (self.may_be_private() || !other.may_be_private())
    }

    /// Whether the addresses behind its name may be private ones or this machine's: it says so, or its name can mean nothing else.
    pub fn may_be_private(&self) -> bool {
        let is_here = |name: &str| name == "localhost" || name.ends_with(".localhost");
        match &self.host {
            HostPattern::Name(name) | HostPattern::Below(name) => self.is_private || is_here(name),
            HostPattern::Address(_) => true,
        }
    }

    fn of_authority(scheme: Scheme, authority: &str) -> Result<Self, GrantError> {
        let bad = |reason: &str| {
            GrantError(format!(
                "`{}` is no host: {reason}; write api.example.com, http://10.0.0.5:8080 or *.example.com",
                crate::domain::sanitize_text(authority, NAME_BYTES_MAX)
            ))
        };
        if let Some(c) = authority.chars().find(|c| "/?#\\".contains(*c)) {
            return Err(bad(&format!("it is given as a whole, with no path (`{c}`)")));
        }
        if authority.contains('@') {
            return Err(bad("a name and password have no place before it"));
        }
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
            _ => (authority, None),
        };
        let port = match port {
            None => scheme.port(),
            // `parse` takes a plus sign too.
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok().filter(|port| *port != 0).ok_or_else(|| bad("its port lies between 1 and 65535"))?
            }
            Some(_) => return Err(bad("its port is a number, and an IPv6 address stands in brackets")),
        };
        Ok(Self { scheme, host: host_pattern(host).map_err(bad)?, port, is_private: false })
    }
}

fn host_pattern(text: &str) -> Result<HostPattern, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address
            .map(|address| HostPattern::Address(IpAddr::V6(address).to_canonical()))
            .ok_or("what stands in its brackets is no IPv6 address");
    }
    let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !text.is_ascii() {
        return Err("write its ASCII form, which begins with xn--");
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(HostPattern::Address(address.into()));
    }
    let (is_pattern, name) = text.strip_prefix("*.").map_or((false, text.as_str()), |name| (true, name));
    if name.contains('*') {
        return Err("a star stands for whole names only, at its start");
    }
    let good = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(good) {
        return Err("its name is not made of letters, digits and dashes");
    }
    // `127.1`, `2130706433`, `0x7f000001`: resolvers take these for addresses.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        return Err("an address is written in full, as 10.0.0.5");
    }
    if is_pattern && !name.contains('.') {
        return Err("a star for a whole top-level domain is too much");
    }
    Ok(if is_pattern { HostPattern::Below(name.to_owned()) } else { HostPattern::Name(name.to_owned()) })
}

impl FromStr for Origin {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (rest, is_private) = text.strip_suffix(PRIVATE).map_or((text, false), |rest| (rest, true));
        let (scheme, authority) = match rest.split_once("://") {
            None => (Scheme::Https, rest),
            Some((scheme, authority)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, authority),
            Some((scheme, authority)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, authority),
            Some(_) => return Err(GrantError(format!("`{text}` is no host: it begins with https:// or http://"))),
        };
        // An address is granted by its being named; there is nothing more to say of it.
        let origin = Self::of_authority(scheme, authority)?;
        let is_private = is_private && !matches!(origin.host, HostPattern::Address(_));
        Ok(Self { is_private, ..origin })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Http {
            write!(f, "{}://", self.scheme.name())?;
        }
        match &self.host {
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Below(name) => write!(f, "*.{name}")?,
            HostPattern::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            HostPattern::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        if self.is_private { f.write_str(PRIVATE) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Whether a request to `authority` is admitted.
    fn admits(grant: &str, scheme: Scheme, authority: &str) -> bool {
        Origin::of_request(scheme, authority).is_ok_and(|request| origin(grant).covers(&request))
    }

    #[test]
    fn a_host_is_asked_over_tls_at_its_own_port_unless_it_says_otherwise() {
        for (grant, scheme, authority, expected) in [
            ("api.example.com", Scheme::Https, "api.example.com", true),
            ("api.example.com", Scheme::Https, "API.Example.com.", true),
            ("api.example.com", Scheme::Https, "api.example.com:443", true),
            ("api.example.com", Scheme::Https, "api.example.com:8443", false),
            ("api.example.com", Scheme::Http, "api.example.com", false),
            ("api.example.com", Scheme::Http, "api.example.com:443", false),
            ("http://api.example.com", Scheme::Http, "api.example.com:80", true),
            ("http://api.example.com", Scheme::Https, "api.example.com", false),
            ("api.example.com:8443", Scheme::Https, "api.example.com", false),
            ("api.example.com", Scheme::Https, "evil.api.example.com", false),
            ("api.example.com", Scheme::Https, "api.example.com.evil.org", false),
            ("api.example.com", Scheme::Https, "notapi.example.com", false),
        ] {
            assert_eq!(admits(grant, scheme, authority), expected, "{grant} {authority}");
        }
    }

    #[test]
    fn no_spelling_of_a_host_passes_for_another() {
        for authority in [
            "api.example.com@evil.org",
            "evil.org#api.example.com",
            "evil.org\\.api.example.com",
            "evil.org/api.example.com",
            "api.example.com:443@evil.org",
            "аpi.example.com",
            "api.example.com\0",
            " api.example.com",
            "api.example.com:+443",
            "api.example.com:",
            "api.example.com..",
            "api%2eexample.com",
            "*.example.com",
            "",
        ] {
            for grant in ["api.example.com", "*.example.com"] {
                assert!(!admits(grant, Scheme::Https, authority), "{grant} {authority}");
            }
        }
    }

    #[test]
    fn the_base_of_an_address_names_scheme_and_port() {
        for (text, base) in [
            ("a.example.com", "https://a.example.com:443"),
            ("http://a.example.com", "http://a.example.com:80"),
            ("a.example.com:80+private", "https://a.example.com:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(origin(text).base(), base);
        }
    }

    #[test]
    fn a_star_stands_for_what_is_below_a_name_and_not_for_itself() {
        let check = |name: &str, expected| assert_eq!(admits("*.example.com", Scheme::Https, name), expected, "{name}");
        check("a.example.com", true);
        check("b.a.example.com", true);
        check("example.com", false);
        check("notexample.com", false);
        assert!(origin("*.example.com").covers(&origin("*.a.example.com")));
        assert!(!origin("*.a.example.com").covers(&origin("*.example.com")));
        assert!(!origin("a.example.com").covers(&origin("*.example.com")));
        for text in ["*", "*.com", "a*.example.com", "*.*.example.com", "example.*"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        assert!(admits("http://127.0.0.1:80", Scheme::Http, "[::ffff:127.0.0.1]"));
        assert!(admits("[2001:DB8:0::1]", Scheme::Https, "[2001:db8::1]:443"));
        for text in ["127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "1.2.3.4.5", "[127.0.0.1]", "::1"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_may_be_private_says_so() {
        assert!(!origin("intranet.corp").may_be_private());
        assert!(origin("intranet.corp+private").may_be_private());
        assert!(origin("http://localhost:8080").may_be_private());
        assert!(origin("http://10.0.0.5").may_be_private());
        assert!(!origin("notlocalhost").may_be_private());
        assert!(origin("intranet.corp+private").covers(&origin("intranet.corp")));
        assert!(!origin("intranet.corp").covers(&origin("intranet.corp+private")));
    }

    proptest! {
        #[test]
        fn what_is_said_of_an_origin_is_read_as_the_same_origin(
            text in "(https?://)?(\\*\\.)?[a-zA-Z0-9.\\-\\[\\]:]{1,20}(:[0-9]{1,6})?(\\+private)?"
        ) {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin));
            }
        }

        #[test]
        fn only_the_very_host_port_and_scheme_are_admitted(
            name in "[a-z]{1,8}\\.[a-z]{2,4}", other in "\\PC{0,24}", port in 1_u16.., scheme in any::<bool>()
        ) {
            let scheme = if scheme { Scheme::Http } else { Scheme::Https };
            let grant = format!("{}://{name}:{port}", scheme.name());
            let very = format!("{name}:{port}");
            prop_assert!(admits(&grant, scheme, &very));
            if admits(&grant, scheme, &other) {
                let bare = other.to_lowercase();
                let bare = bare.strip_suffix(&format!(":{port}")).unwrap_or(&bare);
                prop_assert_eq!(bare.strip_suffix('.').unwrap_or(bare), name.as_str());
            }
            for spelling in [format!("{other}.{name}:{port}"), format!("{name}@{other}:{port}"), format!("{name}:{port}@{other}")] {
                prop_assert!(!admits(&grant, scheme, &spelling), "{}", spelling);
            }
        }
    }
}
