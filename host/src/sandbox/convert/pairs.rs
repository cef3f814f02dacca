//! Open-ended properties. Those whose names this contract keeps to itself go no further, from either side.

use super::{NAME_BYTES_MAX, json, wt};
use crate::domain::{Pair, sanitize_line};

/// Names of later versions of the contract begin so. None is known yet, so each is ignored: neither the digest of a request nor the
/// leave that a provider's field needs nor the provider sees one. And in an answer they are no provider's to give.
const OURS: &str = "sandmill:";

/// All are checked, those that are ignored too: a later host reads them.
pub(super) fn pairs_from_wit(pairs: Vec<wt::Pair>) -> Result<Vec<Pair>, String> {
    let mut taken = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let shown = sanitize_line(&pair.name, 60);
        if !is_name(&pair.name) {
            return Err(format!(
                "the property `{shown}` is no name: it has more than {NAME_BYTES_MAX} bytes, or control characters"
            ));
        }
        json::check(&pair.value, &format!("the property `{shown}`"))?;
        if !pair.name.starts_with(OURS) {
            taken.push(Pair { name: pair.name, value: pair.value });
        }
    }
    Ok(taken)
}

/// Can be shown as it is.
pub(super) fn is_name(text: &str) -> bool {
    sanitize_line(text, NAME_BYTES_MAX) == text
}

/// What a provider said, told to a plugin.
pub(super) fn pairs_to_wit(pairs: Vec<Pair>) -> Vec<wt::Pair> {
    let told = pairs.into_iter().filter(|pair| !pair.name.starts_with(OURS));
    told.map(|pair| wt::Pair { name: pair.name, value: pair.value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Vec<wt::Pair> {
        let pair = |name: &str, value: &str| wt::Pair { name: name.into(), value: value.into() };
        vec![pair("top_k", "3"), pair(name, value)]
    }

    #[test]
    fn a_property_of_a_later_contract_is_checked_and_goes_no_further() {
        let names = |name| {
            let taken = pairs_from_wit(given(name, "[1]")).unwrap();
            taken.into_iter().map(|pair| pair.name).collect::<Vec<_>>()
        };
        assert_eq!(names("sandmill:deadline"), ["top_k"]);
        assert_eq!(names("sandmill:"), ["top_k"]);
        for others in ["sandmill", "acme:tier", "x-sandmill:y"] {
            assert_eq!(names(others), ["top_k", others]);
        }
        assert!(
            pairs_from_wit(given("sandmill:deadline", "[1")).unwrap_err().contains("`sandmill:deadline` is not JSON")
        );
    }

    #[test]
    fn a_provider_cannot_speak_for_the_contract() {
        let pair = |name: &str| Pair { name: name.into(), value: "1".into() };
        let told = pairs_to_wit(vec![pair("sandmill:budget"), pair("citations")]);
        assert_eq!(told.into_iter().map(|pair| pair.name).collect::<Vec<_>>(), ["citations"]);
    }
}
