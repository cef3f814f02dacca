//! What guests were told of the size of their requests, so that a replay is told the same.
//!
//! Valid while the item has not ended: when a failed item is run again, the model and its settings may be others.

use super::types::AttemptId;
use super::{Reader, Store, StoreError};
use crate::domain::{ItemSeq, LlmError, LlmErrorKind, Pair, TokenCount};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// By request hash, and how often the attempt had asked for that before; counts and questions are numbered apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldEntry {
    pub hash: [u8; 32],
    pub occurrence: u32,
    pub fact: ToldFact,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToldFact {
    Count(TokenCount),
    /// An error of the kind `TooLarge`.
    TooLarge(LlmError),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    #[serde(flatten)]
    fact: StoredFact,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredFact {
    Count { tokens: u64, window: Option<u64>, exact: bool },
    TooLarge { code: String, message: String, extra: Vec<(String, String)> },
}

impl Store {
    /// Durable on return.
    pub async fn record_told(&self, item: ItemSeq, attempt: AttemptId, entry: ToldEntry) -> Result<(), StoreError> {
        let ToldEntry { hash, occurrence, fact } = entry;
        let fact = encode(fact)?;
        let bytes = fact.len();
        let insert = move |connection: &Connection| {
            connection
                .prepare_cached("INSERT INTO told (item, attempt, hash, occurrence, fact) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![item.0, attempt.0, hash, occurrence, fact])
                .map(|_| ())
        };
        self.writer().write(Box::new(insert), bytes).await
    }
}

impl Reader {
    /// To attempts of a number greater than `spent`, since the item last ended.
    pub(super) fn told(&self, item: ItemSeq, spent: i64) -> Result<Vec<ToldEntry>, StoreError> {
        let rows: Vec<([u8; 32], u32, String)> = self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT t.hash, t.occurrence, t.fact FROM told t JOIN attempt a ON a.id = t.attempt
                     WHERE t.item = ?1 AND a.number > ?2
                       AND a.id > coalesce((SELECT o.attempt FROM outcome o WHERE o.item = ?1), 0) ORDER BY t.id",
                )?
                .query_map(params![item.0, spent], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })?;
        rows.into_iter()
            .map(|(hash, occurrence, fact)| Ok(ToldEntry { hash, occurrence, fact: decode(&fact)? }))
            .collect()
    }
}

fn encode(fact: ToldFact) -> Result<String, StoreError> {
    let fact = match fact {
        ToldFact::Count(TokenCount { tokens, window, exact }) => StoredFact::Count { tokens, window, exact },
        ToldFact::TooLarge(LlmError { kind: _, code, message, extra }) => {
            let extra = extra.into_iter().map(|pair| (pair.name, pair.value)).collect();
            StoredFact::TooLarge { code, message, extra }
        }
    };
    serde_json::to_string(&Stored { v: VERSION, fact }).map_err(|error| StoreError::Format(format!("a size: {error}")))
}

pub(super) fn decode(text: &str) -> Result<ToldFact, StoreError> {
    let bad = |problem: String| StoreError::Format(format!("a size: {problem}"));
    let Stored { v, fact } = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    if v != VERSION {
        return Err(bad(format!("of version {v}")));
    }
    Ok(match fact {
        StoredFact::Count { tokens, window, exact } => ToldFact::Count(TokenCount { tokens, window, exact }),
        StoredFact::TooLarge { code, message, extra } => {
            let extra = extra.into_iter().map(|(name, value)| Pair { name, value }).collect();
            ToldFact::TooLarge(LlmError { kind: LlmErrorKind::TooLarge, code, message, extra })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_fact_comes_back_as_it_was(tokens: u64, window: Option<u64>, exact: bool, code: String, message: String, value in "[0-9]{1,9}") {
            let extra = vec![Pair { name: "limit".into(), value }];
            let error = LlmError { kind: LlmErrorKind::TooLarge, code, message, extra };
            for fact in [ToldFact::Count(TokenCount { tokens, window, exact }), ToldFact::TooLarge(error)] {
                prop_assert_eq!(decode(&encode(fact.clone()).unwrap()).unwrap(), fact);
            }
        }
    }

    #[test]
    fn a_later_form_is_refused_and_not_guessed_at() {
        assert!(matches!(
            decode(r#"{"v":2,"count":{"tokens":1,"window":null,"exact":true}}"#),
            Err(StoreError::Format(_))
        ));
    }
}
