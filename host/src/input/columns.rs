//! Columns of a table as fields of an item: what `--map` and `--id-field` make of their names.

use super::{InputError, Options, listing, shown};

/// The columns under the names that hold for items.
pub(super) struct Named {
    /// `None`: the column gave way to a mapped one.
    pub(super) names: Vec<Option<String>>,
    /// Which of them holds the id.
    pub(super) id: Option<usize>,
    /// The name under which the id is looked for.
    pub(super) id_name: String,
}

impl Named {
    /// Of columns that each have a name of their own.
    pub(super) fn new(names: &[&str], options: &Options) -> Result<Self, InputError> {
        for (_, from) in &options.map {
            if !names.contains(&from.as_str()) {
                let (from, listed) = (shown(from), listing(names.iter().copied()));
                return Err(InputError::BadHeader(format!(
                    "there is no column `{from}`, which --map names; there is {listed}"
                )));
            }
        }
        let renamed = |name: &str| match options.map.iter().find(|(_, from)| from == name) {
            Some((to, _)) => Some(to.clone()),
            None if options.map.iter().any(|(to, _)| to == name) => None,
            None => Some(name.to_owned()),
        };
        let names: Vec<Option<String>> = names.iter().copied().map(renamed).collect();
        let id_name = options.id_field.clone().unwrap_or_else(|| "id".into());
        let id = names.iter().position(|name| name.as_deref() == Some(id_name.as_str()));
        if id.is_none() && options.id_field.is_some() {
            let listed = listing(names.iter().flatten().map(String::as_str));
            let id_name = shown(&id_name);
            return Err(InputError::BadHeader(format!(
                "there is no column `{id_name}`, which --id-field names; there is {listed}"
            )));
        }
        Ok(Self { names, id, id_name })
    }
}

pub(super) fn json_string(text: impl Into<String>) -> String {
    serde_json::Value::String(text.into()).to_string()
}
