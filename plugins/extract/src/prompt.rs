//! All that the model is told.

use crate::config::{Config, Evidence};
use crate::schema::Shape;
use sandmill_plugin::llm::{self, Chat, Overflow};
use sandmill_plugin::text::{DATA_ONLY, fence};

/// The question about a document, or about one part of it.
pub(crate) fn question(config: &Config, shape: &Shape, text: &str, is_part: bool) -> Chat {
    let mut chat = llm::chat()
        .system(instructions(config, is_part))
        .user(fence("document", text))
        .answer_schema(&shape.asked(is_part))
        .on_overflow(Overflow::Error);
    if let Some(tokens) = config.max_output_tokens {
        chat = chat.max_output_tokens(tokens);
    }
    if let Some(temperature) = config.temperature {
        chat = chat.temperature(temperature);
    }
    chat
}

fn instructions(config: &Config, is_part: bool) -> String {
    let what = if config.many {
        "You take records out of a document: one for each thing that the schema describes, in the order in which they stand there, none twice, and none if there are none."
    } else {
        "You take one record out of a document."
    };
    let mut lines = vec![
        what,
        "Take what the document says, and nothing else: what it does not say is null, or an empty list. Do not guess, do not compute.",
        "Write dates as YYYY-MM-DD and numbers without separators of thousands where the schema wants a date or a number. Leave texts as they stand.",
    ];
    if is_part {
        lines.push("You see a part of a longer document; the rest is read elsewhere.");
    }
    if config.evidence != Evidence::Off {
        lines.push("For each value that is not null, `evidence` quotes the words of the document that say so: copied letter by letter, as few as will do.");
    }
    lines.push(DATA_ONLY);
    lines.extend(config.instructions.as_deref());
    lines.join("\n")
}

/// Why an answer is not taken.
pub(crate) fn complaint(problems: &[String]) -> String {
    format!("That cannot be used: {}. Answer again, in the same form, with all of the record.", problems.join("; "))
}
