//! Limits on money and tokens: what is set aside is what is sent, and what got lost on the way is not forgotten.

use crate::support::{Place, Ran, items, plugin};
use serde_json::json;

fn place(n: usize) -> Place {
    let place = Place::new();
    place.write("in.jsonl", items(n, |index| json!({"id": index, "text": format!("item number {index}")})));
    place
}

fn prompt(place: &Place, more: &[&str]) -> Ran {
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--json", "--job", "j"];
    place.run(&[&base[..], more].concat())
}

#[test]
fn the_output_that_the_operator_allows_is_what_is_set_aside() {
    let place = place(5);
    let route = |max_tokens: u32| {
        format!(
            "[route.r]\nprovider = \"mock\"\nmodel = \"m\"\nparameters = {{ max_tokens = {max_tokens} }}\n\
             prices = {{ input = 2.0, output = 8.0 }}\n"
        )
    };
    // 4,000 tokens at $8 a million are more than all that may be spent.
    place.write("sandmill.toml", route(4_000));
    let ran = prompt(&place, &["--route", "r", "--max-cost", "0.03"]).expect(6);
    assert_eq!(ran.summary()["run"]["provider_calls"], 0, "{}", ran.summary());
    place.write("sandmill.toml", route(400));
    prompt(&place, &["--route", "r", "--max-cost", "0.03"]).expect(0);
}

#[test]
fn calls_without_an_answer_count_for_the_item_and_for_the_next_run() {
    let place = place(1);
    let args = ["--provider", "mock", "--timeout", "100ms", "--retry-min", "1ms", "--retry-max", "2ms"];
    let lost = ["--faults", "timeout=100%,in_a_row=1000", "--max-item-tokens", "6000"];
    let ran = prompt(&place, &[&args[..], &lost].concat()).expect(3);
    assert_eq!(ran.summary()["run"]["provider_calls"], 2, "{}", ran.summary());
    let log = place.run(&["log", "j"]).expect(0).stdout;
    assert!(log.contains("item_tokens") && log.contains("--max-item-tokens"), "{log}");
    let ran = prompt(&place, &[&args[..], &["--max-tokens", "6000"]].concat()).expect(6);
    assert_eq!(ran.summary()["run"]["provider_calls"], 0, "{}", ran.summary());
    prompt(&place, &[&args[..], &["--max-tokens", "9000"]].concat()).expect(0);
}
