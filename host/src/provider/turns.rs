//! Conversations whose speakers take turns: what one says in several messages becomes one.
//!
//! It has to: the results of calls that were made together must stand together.

use super::json::{Json, NotJson, Object};
use crate::domain::Pair;

pub(super) struct Turns<'a> {
    /// What the list of a turn's parts is called.
    parts: &'static str,
    done: Vec<Json<'a>>,
    /// The turn that is being put together.
    open: Option<Turn<'a>>,
}

struct Turn<'a> {
    role: &'static str,
    parts: Vec<Json<'a>>,
    extra: Object<'a>,
}

impl<'a> Turns<'a> {
    pub(super) const fn new(parts: &'static str) -> Self {
        Self { parts, done: Vec::new(), open: None }
    }

    pub(super) fn push(&mut self, role: &'static str, parts: Vec<Json<'a>>, extra: &'a [Pair]) -> Result<(), NotJson> {
        if self.open.as_ref().is_none_or(|turn| turn.role != role) {
            self.close();
        }
        let turn = self.open.get_or_insert_with(|| Turn { role, parts: Vec::new(), extra: Object::new() });
        turn.parts.extend(parts);
        turn.extra.merge(extra)
    }

    /// A turn in which nothing was said is none.
    fn close(&mut self) {
        if let Some(Turn { role, parts, extra }) = self.open.take()
            && !parts.is_empty()
        {
            self.done.push(Object::new().with("role", role).with(self.parts, parts).and(extra).into());
        }
    }

    pub(super) fn finish(mut self) -> Vec<Json<'a>> {
        self.close();
        self.done
    }
}
