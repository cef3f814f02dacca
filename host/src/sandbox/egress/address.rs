//! Which addresses are public: what a granted name may lead to, unless the grant says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses: its first, and how many of its bits all share.
type Block4 = (Ipv4Addr, u32);
type Block6 = (Ipv6Addr, u32);

/// Not for everybody, by the IANA IPv4 Special-Purpose Address Registry (RFC 6890 and those that add to it), and multicast.
const SPECIAL_4: [Block4; 16] = [
    // "This network": RFC 791.
    (Ipv4Addr::UNSPECIFIED, 8),
    // Private use: RFC 1918.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared between a carrier and its customers: RFC 6598.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback: RFC 1122.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, metadata services of clouds among them: RFC 3927.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // The platform of Azure answers every virtual machine there (Microsoft, "What is IP address 168.63.129.16?").
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Protocol assignments: RFC 6890.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation: RFC 5737.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Relays of 6to4, given up: RFC 7526.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks: RFC 2544.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast: RFC 5771.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, broadcast among it: RFC 1112, RFC 919.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The one block that is given out as global unicast: RFC 4291, and the IANA IPv6 Global Unicast Address Assignments. All else is
/// loopback, unspecified, unique local (RFC 4193), link-local, site-local, multicast, or not given out.
const GLOBAL_6: Block6 = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of it is not for everybody, by the IANA IPv6 Special-Purpose Address Registry.
const SPECIAL_6: [Block6; 4] = [
    // Protocol assignments, Teredo and ORCHID among them: RFC 2928.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation: RFC 3849, RFC 9637.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which leads to an IPv4 address: RFC 3056.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// IPv4 behind a translator, the address in the last four bytes: RFC 6052.
const TRANSLATED: Block6 = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Whether anybody on the internet could be meant by it. One of IPv4 that is written as IPv6 is taken for what it leads to.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_4.iter().any(|block| is_in_4(address, *block)),
        IpAddr::V6(address) if is_in_6(address, TRANSLATED) => {
            let [.., a, b, c, d] = address.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => is_in_6(address, GLOBAL_6) && !SPECIAL_6.iter().any(|block| is_in_6(address, *block)),
    }
}

fn is_in_4(address: Ipv4Addr, (first, shared): Block4) -> bool {
    (address.to_bits() ^ first.to_bits()).leading_zeros() >= shared
}

fn is_in_6(address: Ipv6Addr, (first, shared): Block6) -> bool {
    (address.to_bits() ^ first.to_bits()).leading_zeros() >= shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_for_nobody_outside_is_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_anybody_can_reach_is_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_public_that_the_standard_library_knows_to_be_special(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
            prop_assert!(!(special && is_public(address.into())));
        }

        #[test]
        fn an_address_is_the_same_in_every_form_that_leads_to_it(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let translated = Ipv6Addr::from_bits(TRANSLATED.0.to_bits() | u128::from(bits));
            prop_assert_eq!(is_public(address.into()), is_public(address.to_ipv6_mapped().into()));
            prop_assert_eq!(is_public(address.into()), is_public(translated.into()));
            prop_assert!(!is_public(address.to_ipv6_compatible().into()));
        }

        #[test]
        fn no_address_of_version_6_is_public_that_is_local_or_for_many(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let special = address.is_loopback() || address.is_unspecified() || address.is_multicast()
                || address.is_unique_local() || address.is_unicast_link_local();
            prop_assert!(!(special && is_public(address.into())));
        }
    }
}
