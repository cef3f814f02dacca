//! Functions that are called for every item, line or request, each beside the library that does the same work with nothing around it:
//! `cargo bench -p sandmill-bench`. What a batch takes as a whole is measured by the program of this package.

#![expect(clippy::unwrap_used, reason = "what is measured must work, and there is nobody to tell")]

use divan::{Bencher, black_box};
use sandmill::domain::{Message, Part, Request, ResponseFormat, Speaker};
use std::fmt::Write;

fn main() {
    divan::main();
}

/// About a kilobyte.
fn text(words: usize) -> String {
    let mut text = String::new();
    for number in 0..words {
        let _ = write!(text, "order {number} came late, and the invoice was wrong. ");
    }
    text
}

fn request(text: &str) -> Request {
    let parts = vec![Part::Text(text.into())];
    Request {
        role: "default".into(),
        messages: vec![Message { speaker: Speaker::User, parts, cache: false, extra: Vec::new() }],
        tools: Vec::new(),
        tool_choice: None,
        format: ResponseFormat::Text,
        max_output_tokens: Some(64),
        temperature: Some(0.0),
        top_p: None,
        stop: Vec::new(),
        seed: None,
        on_overflow: None,
        extra: Vec::new(),
    }
}

/// A line of the input becomes an item.
#[divan::bench_group]
mod line {
    use super::{Bencher, black_box, text};

    fn line() -> String {
        serde_json::json!({ "id": "i1", "text": text(20) }).to_string()
    }

    #[divan::bench]
    fn sandmill(bencher: Bencher<'_, '_>) {
        bencher.with_inputs(line).bench_refs(|line| sandmill::input::from_line(black_box(line), 1).is_ok());
    }

    #[divan::bench]
    fn serde_json(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(line)
            .bench_refs(|line| serde_json::from_str::<serde_json::Value>(black_box(line)).unwrap());
    }
}

/// What a request weighs on the wire: its body is made for that.
#[divan::bench_group]
mod body {
    use super::{Bencher, black_box, request, text};
    use sandmill::provider::{self, Call, HttpSettings, KeySource, Protocol, Settings};
    use std::sync::Arc;
    use std::time::Duration;

    #[divan::bench]
    fn sandmill(bencher: Bencher<'_, '_>) {
        let settings = HttpSettings {
            name: "bench".into(),
            protocol: Protocol::OpenAi,
            base_url: "http://127.0.0.1:1/v1".into(),
            key: KeySource::None,
            headers: Vec::new(),
            proxy: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(1),
            idempotency_header: None,
        };
        let provider = provider::build(Settings::Http(settings)).unwrap();
        let request = Arc::new(request(&text(20)));
        let call = Call { model: "m".into(), request, parameters: Arc::default(), identity: [0; 32] };
        bencher.bench_local(|| provider.measure(black_box(&call)).unwrap());
    }

    #[divan::bench]
    fn serde_json(bencher: Bencher<'_, '_>) {
        let text = text(20);
        bencher.bench_local(|| {
            let body = serde_json::json!({
                "model": "m", "messages": [{ "role": "user", "content": black_box(&text) }],
                "max_completion_tokens": 64, "temperature": 0.0,
            });
            serde_json::to_vec(&body).unwrap()
        });
    }
}

/// Tokens of some kilobytes.
#[divan::bench_group]
mod tokens {
    use super::{Bencher, black_box, request, text};
    use sandmill::resilience::{count_alone, cut_alone};

    /// Whose encoding is `o200k_base`.
    const MODEL: &str = "gpt-4o";
    const SENTENCES: usize = 200;
    const KEPT: u64 = 512;

    #[divan::bench]
    fn counted_by_sandmill(bencher: Bencher<'_, '_>) {
        let request = request(&text(SENTENCES));
        bencher.bench_local(|| count_alone(MODEL, black_box(&request)));
    }

    #[divan::bench]
    fn counted_by_tiktoken(bencher: Bencher<'_, '_>) {
        let (text, ranks) = (text(SENTENCES), tiktoken_rs::o200k_base_singleton());
        bencher.bench_local(|| ranks.encode_ordinary(black_box(&text)).len());
    }

    #[divan::bench]
    fn cut_by_sandmill(bencher: Bencher<'_, '_>) {
        let request = request(&text(SENTENCES));
        bencher.bench_local(|| cut_alone(MODEL, black_box(&request), KEPT).unwrap());
    }

    #[divan::bench]
    fn cut_by_tiktoken(bencher: Bencher<'_, '_>) {
        let (text, ranks) = (text(SENTENCES), tiktoken_rs::o200k_base_singleton());
        let kept = usize::try_from(KEPT).unwrap();
        bencher.bench_local(|| {
            let tokens = ranks.encode_ordinary(black_box(&text));
            ranks.decode(tokens.get(..kept).unwrap_or(&tokens)).unwrap()
        });
    }
}
