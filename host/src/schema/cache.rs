//! Schemas that were used last, compiled: answers are held to the same few, thousands of times, and compiling takes longer than checking.

use super::Schema;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A plugin has one or two.
const KEPT_MAX: usize = 8;
/// Longer ones are compiled anew: what is kept shall be little beside what one guest may have.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The newest first.
#[derive(Default)]
pub struct SchemaCache(Mutex<VecDeque<(String, Arc<Schema>)>>);

impl SchemaCache {
    /// The error is that of [`Schema::compile`].
    pub fn compile(&self, text: &str) -> Result<Arc<Schema>, String> {
        if let Some(schema) = self.find(text) {
            return Ok(schema);
        }
        let schema = Arc::new(Schema::compile(text)?);
        if is_kept(text) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_front((text.to_owned(), Arc::clone(&schema)));
            kept.truncate(KEPT_MAX);
        }
        Ok(schema)
    }

    fn find(&self, text: &str) -> Option<Arc<Schema>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(known, _)| known == text)?;
        let found = kept.remove(found)?;
        let schema = Arc::clone(&found.1);
        kept.push_front(found);
        Some(schema)
    }
}

/// A compiled pattern takes up to a mebibyte, and schemas are a plugin's: those with patterns are compiled anew, rather than kept by the dozen.
fn is_kept(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.contains("pattern") && !text.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(number: usize) -> String {
        json!({ "const": number }).to_string()
    }

    #[test]
    fn a_schema_that_was_used_before_is_the_same_one() {
        let kept = SchemaCache::default();
        let first = kept.compile(&of(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &kept.compile(&of(1)).unwrap()));
        assert_eq!(first.violations(&json!(1)).unwrap(), []);
        assert_ne!(kept.compile(&of(2)).unwrap().violations(&json!(1)).unwrap(), []);
    }

    #[test]
    fn those_that_were_used_last_are_kept_and_no_more() {
        let kept = SchemaCache::default();
        let (first, second) = (kept.compile(&of(0)).unwrap(), kept.compile(&of(1)).unwrap());
        for number in 2..=KEPT_MAX {
            kept.compile(&of(0)).unwrap();
            kept.compile(&of(number)).unwrap();
        }
        assert!(Arc::ptr_eq(&first, &kept.compile(&of(0)).unwrap()));
        assert!(!Arc::ptr_eq(&second, &kept.compile(&of(1)).unwrap()));
        assert_eq!(kept.0.lock().unwrap().len(), KEPT_MAX);
    }

    #[test]
    fn what_takes_much_room_compiled_is_not_kept_however_it_is_spelt() {
        let kept = SchemaCache::default();
        for schema in [r#"{"pattern":"a{1,100}"}"#, r#"{"\u0070attern":"a"}"#, r#"{"patternProperties":{"a":true}}"#] {
            kept.compile(schema).unwrap();
        }
        assert!(kept.0.lock().unwrap().is_empty());
        assert!(kept.compile("{").is_err());
    }
}
