//! The outputs of one job as the input of another.

use crate::domain::{Emission, ItemId};
use crate::input::{self, BadRecord, Entry, InputError, Record};
use crate::store::{Cursor, Reader, StoreError};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Items that are read from the store at once.
const PAGE: usize = 1_000;

/// What is done so far, in the order of that job's input: one record an emitted value. `name` is the job's, for messages.
pub fn chain(
    reader: Reader,
    name: &str,
    map: Vec<(String, String)>,
) -> impl Iterator<Item = Result<Record, InputError>> + Send + use<> {
    let name = format!("the job {name}");
    let (mut line, mut ended) = (0, false);
    let mut after: Option<Cursor> = None;
    let mut queue: VecDeque<Result<Entry, BadRecord>> = VecDeque::new();
    std::iter::from_fn(move || {
        while queue.is_empty() && !ended {
            match reader.done_after(after, PAGE) {
                Ok(rows) => {
                    ended = rows.is_empty();
                    after = rows.last().map(|row| row.at).or(after);
                    queue.extend(rows.iter().flat_map(|row| entries(&row.id, &row.emissions, &map)));
                }
                Err(error) => {
                    ended = true;
                    return Some(Err(InputError::Unreadable { name: name.clone(), reason: error.to_string() }));
                }
            }
        }
        let entry = queue.pop_front()?;
        line += 1;
        Some(Ok(Record { line, entry }))
    })
}

/// Changes with every item that is done, and done again.
pub fn chain_digest(reader: &Reader) -> Result<String, StoreError> {
    let mut hasher = Sha256::new();
    reader.for_each_done_mark(|id, attempt, ended_ms| {
        hasher.update((id.len() as u64).to_le_bytes());
        hasher.update(id);
        hasher.update(attempt.to_le_bytes());
        hasher.update(ended_ms.to_le_bytes());
    })?;
    Ok(hex::encode(hasher.finalize()))
}

fn entries(id: &str, emissions: &[Emission], map: &[(String, String)]) -> Vec<Result<Entry, BadRecord>> {
    let several = emissions.len() > 1;
    let entry = |(index, emission): (usize, &Emission)| {
        let id = match &emission.name {
            _ if !several => id.to_owned(),
            Some(part) => format!("{id}/{part}"),
            None => format!("{id}/{index}"),
        };
        let json = if emission.value.trim_start().starts_with('{') {
            emission.value.clone()
        } else {
            format!("{{\"value\":{}}}", emission.value)
        };
        let json = if map.is_empty() { json } else { input::with_map(&json, map)? };
        match ItemId::new(&id) {
            Ok(id) => Ok(Entry::new(Some(id), json)),
            Err(error) => {
                let message =
                    format!("the output of `{id}` cannot be an item: {error}; shorten the names of its parts");
                Err(BadRecord { raw: json, message })
            }
        }
    };
    emissions.iter().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emission(value: &str, name: Option<&str>) -> Emission {
        Emission { value: value.into(), name: name.map(Into::into), extra: Vec::new() }
    }

    fn items(emissions: &[Emission], map: &[(&str, &str)]) -> Vec<(String, String)> {
        let map: Vec<_> = map.iter().map(|(to, from)| ((*to).to_owned(), (*from).to_owned())).collect();
        let entries = entries("a", emissions, &map).into_iter().map(Result::unwrap);
        entries.map(|entry| (entry.id.unwrap().to_string(), entry.json)).collect()
    }

    #[test]
    fn one_value_keeps_the_id_and_several_get_their_parts() {
        let pair = |id: &str, json: &str| (id.to_owned(), json.to_owned());
        assert_eq!(items(&[emission("{\"x\":1}", Some("n"))], &[]), [pair("a", "{\"x\":1}")]);
        assert_eq!(
            items(&[emission("1", None), emission("[2]", Some("n"))], &[]),
            [pair("a/0", "{\"value\":1}"), pair("a/n", "{\"value\":[2]}")]
        );
        assert!(items(&[], &[]).is_empty());
    }

    #[test]
    fn fields_are_renamed_and_one_that_is_not_there_is_told() {
        let got = items(&[emission("{\"summary\":\"s\"}", None)], &[("text", "summary")]);
        assert_eq!(got[0].1, "{\"text\":\"s\"}");
        let map = [("text".to_owned(), "none".to_owned())];
        let bad = entries("a", &[emission("1", None)], &map).remove(0).unwrap_err();
        assert!(bad.message.contains("no field `none`"), "{}", bad.message);
    }
}
