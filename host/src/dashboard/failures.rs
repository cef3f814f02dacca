//! The failed items, a page at a time, and what is known of one of them: read from the store when somebody asks.

use super::board::{Board, Running, show};
use crate::domain::{FailureClass, ItemSeq, shortened};
use crate::report::figures::failure;
use crate::store::{FailedRow, StoreError};
use serde_json::{Value, json};

/// Rows of a page.
pub(super) const ROWS: u32 = 50;
/// How a text is bounded, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 300;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The page begins behind this item; 0: with the first.
    pub(super) after: ItemSeq,
    pub(super) class: Option<FailureClass>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { after: ItemSeq(0), class: None }
    }
}

impl Wanted {
    /// From `after=NUMBER&class=NAME`, of which each may be left out. The error: what is wrong with it.
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        let mut wanted = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("after", number)) => wanted.after = ItemSeq(number.parse().map_err(|_| "after= is no number")?),
                Some(("class", name)) => {
                    wanted.class = Some(FailureClass::from_name(name).ok_or("class= is none that failures have")?);
                }
                Some(_) | None => return Err("only after=NUMBER and class=NAME are known"),
            }
        }
        Ok(wanted)
    }
}

/// Blocks. Without a run there are none.
pub(super) fn page(board: &Board, wanted: Wanted) -> Result<Value, StoreError> {
    let Some(running) = board.running() else { return Ok(json!({"failures": [], "has_more": false})) };
    let page = (running.open)()?.failed_page(wanted.after, wanted.class, ROWS)?;
    let rows: Vec<Value> = page.rows.iter().map(|row| listed(row, running)).collect();
    let mut page = json!({"failures": rows, "has_more": page.has_more});
    show(&mut page);
    Ok(page)
}

fn listed(row: &FailedRow, running: &Running) -> Value {
    json!({
        "item": row.item.0,
        "id": shortened(&row.id, NAME_BYTES_MAX),
        "line": row.line,
        "class": shortened(&row.class, NAME_BYTES_MAX),
        "code": shortened(&row.code, NAME_BYTES_MAX),
        "message": shortened(&row.message, MESSAGE_BYTES_MAX),
        "attempts": row.attempts,
        "ended_ms": row.ended_ms,
        "crashed": row.has_card,
        "show": running.command.of_item("failed show", &row.id),
    })
}

/// Blocks. `None`: there is no such item, or it is done by now.
pub(super) fn card(board: &Board, item: ItemSeq) -> Result<Option<Value>, StoreError> {
    let Some(running) = board.running() else { return Ok(None) };
    let Some(row) = (running.open)()?.item_at(item)?.filter(|row| row.class.is_some()) else {
        return Ok(None);
    };
    let mut card = json!(failure(&row, &running.command));
    card["item"] = item.0.into();
    card["class"] = row.class.as_deref().map(|class| shortened(class, NAME_BYTES_MAX)).into();
    card["code"] = row.code.as_deref().map(|code| shortened(code, NAME_BYTES_MAX)).into();
    // Only what crashes crashes again.
    card["debug"] = row.card.is_some().then(|| running.command.of_item("debug", &row.id)).into();
    show(&mut card);
    Ok(Some(card))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_asked_for() {
        assert_eq!(Wanted::parse(""), Ok(Wanted::default()));
        let wanted = Wanted { after: ItemSeq(17), class: Some(FailureClass::Trap) };
        assert_eq!(Wanted::parse("after=17&class=trap"), Ok(wanted));
        for query in ["after=x", "class=<script>", "id=1", "after"] {
            assert!(Wanted::parse(query).is_err(), "{query}");
        }
    }
}
