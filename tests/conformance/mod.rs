//! The conformance suite: one table of cases, run by the real program through a plugin in each language. Whatever the kit, an item
//! ends the same; where a language differs, the table says how, and holds it to that.
//!
//! `docs/conformance.md` is the table. A language whose tools this machine lacks is named and passed over; with
//! `SANDMILL_TEST_KITS=all` it fails.

mod cases;
mod document;
mod languages;
mod plugins;
mod run;
mod stopped;
