//! `[grants]`: in a plugin's folder what it asks for, in sandmill.toml what it is given, in a policy what may be given: the same
//! words in all.

use crate::domain::{Folder, Grant, GrantError, Grants, Needs};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `[grants]` of what is given, and `[grants.optional]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrantsTable {
    /// `HOST[=GUEST]`, read only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `[http://]HOST[:PORT][+private]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clock: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub random: bool,
}

/// `[grants.PLUGIN]` of sandmill.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenTable {
    pub read: Vec<String>,
    pub write: Vec<String>,
    pub env: Vec<String>,
    pub http: Vec<String>,
    pub clock: bool,
    pub random: bool,
    /// The routes that the plugin's roles may be bound to; any, where it does not say.
    pub routes: Option<Vec<String>>,
}

/// `[grants]` of `plugin.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeedsTable {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clock: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub random: bool,
    /// What the plugin gets by without.
    pub optional: GrantsTable,
}

impl GrantsTable {
    pub fn grants(&self) -> Result<Grants, GrantError> {
        let listed = [("read", &self.read), ("write", &self.write), ("env", &self.env), ("http", &self.http)];
        let of_lists = listed.into_iter().flat_map(|(kind, values)| values.iter().map(move |value| (kind, value)));
        let words = [("clock", self.clock), ("random", self.random)].into_iter().filter(|(_, is_set)| *is_set);
        of_lists
            .map(|(kind, value)| format!("{kind}={value}"))
            .chain(words.map(|(kind, _)| kind.to_owned()))
            .map(|text| text.parse::<Grant>())
            .collect()
    }
}

impl GivenTable {
    pub fn grants(&self) -> Result<Grants, GrantError> {
        let Self { read, write, env, http, clock, random, routes: _ } = self.clone();
        GrantsTable { read, write, env, http, clock, random }.grants()
    }

    /// Folders are relative to that of the file. What is no folder is told when it is read.
    pub(super) fn resolve(&mut self, file: &Path) {
        for text in self.read.iter_mut().chain(&mut self.write) {
            if let Ok(mut folder) = text.parse::<Folder>()
                && !folder.host.as_os_str().is_empty()
            {
                folder.host = file.join(&folder.host);
                *text = folder.to_string();
            }
        }
    }
}

impl NeedsTable {
    pub fn needs(&self) -> Result<Needs, GrantError> {
        let Self { read, write, env, http, clock, random, optional } = self.clone();
        let required = GrantsTable { read, write, env, http, clock, random }.grants()?;
        Ok(Needs { required, optional: optional.grants()? })
    }
}

impl From<&Grants> for GrantsTable {
    fn from(grants: &Grants) -> Self {
        let mut table = Self::default();
        for grant in grants.iter() {
            let value = grant.value().unwrap_or_default();
            match grant {
                Grant::Read(_) => table.read.push(value),
                Grant::Write(_) => table.write.push(value),
                Grant::Env(_) => table.env.push(value),
                Grant::Http(_) => table.http.push(value),
                Grant::Clock => table.clock = true,
                Grant::Random => table.random = true,
            }
        }
        table
    }
}

impl From<&Needs> for NeedsTable {
    fn from(needs: &Needs) -> Self {
        let GrantsTable { read, write, env, http, clock, random } = (&needs.required).into();
        Self { read, write, env, http, clock, random, optional: (&needs.optional).into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_written_the_same() {
        let text = "read = [\"data\"]\nhttp = [\"api.example.com\"]\nclock = true\n\n[optional]\nenv = [\"LANG\"]\n";
        let needs = toml::from_str::<NeedsTable>(text).unwrap().needs().unwrap();
        let told = |grants: &Grants| grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(told(&needs.required), "read=data http=api.example.com clock");
        assert_eq!(told(&needs.optional), "env=LANG");
        let again = toml::to_string(&NeedsTable::from(&needs)).unwrap();
        assert_eq!(again, text);
    }

    #[test]
    fn a_bad_entry_is_told() {
        let table: NeedsTable = toml::from_str("http = [\"ftp://x\"]").unwrap();
        assert!(table.needs().unwrap_err().to_string().contains("https://"));
        assert!(toml::from_str::<NeedsTable>("net = true").is_err());
    }
}
