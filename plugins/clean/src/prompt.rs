//! All that the model is told.

use crate::config::Config;
use sandmill_plugin::llm::{self, Chat};
use sandmill_plugin::text::{DATA_ONLY, fence};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Answer {
    /// Numbers of the paragraphs that are boilerplate; empty if none is.
    pub(crate) boilerplate: Vec<usize>,
}

/// About paragraphs, each by a number of its own, from 1.
pub(crate) fn question(config: &Config, paragraphs: &[&str]) -> Chat {
    let mut lines = vec![
        "You tell boilerplate from what a text says. Boilerplate is what would stand under any other text of the same sender or site, too: menus, notices about copyright, cookies, confidentiality or subscriptions, signatures of apps. A paragraph that says anything of its own is none, even if it speaks of such things.",
        DATA_ONLY,
    ];
    lines.extend(config.instructions.as_deref());
    let fenced =
        paragraphs.iter().enumerate().map(|(at, text)| format!("Paragraph {}:\n{}", at + 1, fence("paragraph", text)));
    let chat =
        llm::chat().system(lines.join("\n")).cache().user(fenced.collect::<Vec<_>>().join("\n\n")).answer::<Answer>();
    match config.temperature {
        Some(temperature) => chat.temperature(temperature),
        None => chat,
    }
}

/// Why an answer is not taken.
pub(crate) fn complaint(problem: &str) -> String {
    format!("That cannot be used: {problem}. Answer again, in the same form.")
}
