//! Grants as a set, and what a plugin asks for.

use super::Grant;

/// Each once, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn covers(&self, asked: &Grant) -> bool {
        self.0.iter().any(|given| given.covers(asked))
    }

    /// What of these `other` does not cover: what a newer plugin asks for beyond an older one, or what was asked for and not given.
    pub fn beyond(&self, other: &Self) -> Self {
        self.0.iter().filter(|asked| !other.covers(asked)).cloned().collect()
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        let mut all: Vec<Grant> = grants.into_iter().collect();
        all.sort();
        all.dedup();
        Self(all)
    }
}

impl IntoIterator for Grants {
    type Item = Grant;
    type IntoIter = std::vec::IntoIter<Grant>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What the folder of a plugin says that the plugin asks for. Nothing of it is given by being asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Without these it does not run.
    pub required: Grants,
    /// It gets by without these.
    pub optional: Grants,
}

impl Needs {
    /// Both kinds together: what a plugin would use if it were given all.
    pub fn all(&self) -> Grants {
        self.required.iter().chain(self.optional.iter()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> Grants {
        texts.iter().map(|text| text.parse::<Grant>().unwrap()).collect()
    }

    #[test]
    fn what_is_asked_for_beyond_another_is_told() {
        let old = grants(&["read=data", "http=*.example.com", "clock"]);
        let new = grants(&["write=data", "http=api.example.com", "http=example.org", "clock", "clock"]);
        assert_eq!(new.beyond(&old), grants(&["http=example.org", "write=data"]));
        assert!(old.beyond(&old).is_empty());
    }
}
