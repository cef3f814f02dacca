//! What was paid once is not paid again: an input that gained a column, a plugin that was repaired.

use crate::support::{MockServer, Place, Ran, items, plugin};
use serde_json::{Value, json};

const ITEMS: usize = 20;

struct Job {
    place: Place,
    server: MockServer,
}

impl Job {
    fn new() -> Self {
        let place = Place::new();
        let server = MockServer::start(&place, "");
        Self { place, server }
    }

    #[track_caller]
    fn run(&self, item: impl Fn(usize) -> Value, more: &[&str]) -> Ran {
        self.place.write("in.jsonl", items(ITEMS, item));
        let plugin = plugin("misbehave");
        let args = [
            &["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--json"][..],
            &["--provider", "openai", "--base-url", &self.server.url, "--model", "m"],
            more,
        ];
        self.place.run(&args.concat())
    }
}

fn prompts(index: usize) -> Vec<String> {
    (0..5).map(|nth| format!("question {nth} of item {index}")).collect()
}

#[test]
fn a_column_added_to_every_row_costs_no_provider_call() {
    let job = Job::new();
    let item = |index: usize| match index % 3 {
        0 => json!({"id": index, "do": "ask", "prompt": prompts(index)[0]}),
        1 => json!({"id": index, "do": "ask-many", "prompts": prompts(index)}),
        _ => json!({"id": index, "do": "ask-then-retry", "prompts": prompts(index), "until": 1}),
    };
    job.run(item, &[]).expect(0);
    let (calls, output) = (job.server.requests(), job.place.read("out.jsonl"));
    let with_column = |index: usize| {
        let mut item = item(index);
        item["column"] = format!("new in row {index}").into();
        item
    };
    let ran = job.run(with_column, &[]).expect(0);
    assert!(ran.stderr.contains(&format!("{ITEMS} have new content and are done again")), "{}", ran.stderr);
    let summary = ran.summary();
    assert_eq!(summary["run"]["processed"], ITEMS, "{summary}");
    assert_eq!(summary["run"]["provider_calls"], 0, "{summary}");
    assert_eq!(summary["run"]["reused_calls"], calls, "{summary}");
    assert_eq!(job.server.requests(), calls);
    assert_eq!(job.place.read("out.jsonl"), output);
}

#[test]
fn a_plugin_that_traps_after_five_answers_for_half_of_the_items_pays_nothing_once_it_is_repaired() {
    let job = Job::new();
    let item = |index: usize| match index % 2 {
        0 => json!({"id": index, "do": "ask-then-trap", "prompts": prompts(index)}),
        _ => json!({"id": index, "do": "ask-then-retry", "prompts": prompts(index), "until": 1}),
    };
    let broken = job.run(item, &["--max-consecutive-errors", "0", "--max-traps", "0"]).expect(3).summary();
    assert_eq!(broken["job"]["failures"]["trap"], ITEMS / 2, "{broken}");
    assert_eq!(job.server.requests(), 5 * ITEMS);
    let repaired = job.run(item, &["--set", "repaired=true", "--on-change", "keep"]).expect(0).summary();
    assert_eq!(repaired["run"]["provider_calls"], 0, "{repaired}");
    assert_eq!(repaired["run"]["reused_calls"], 5 * ITEMS / 2, "{repaired}");
    assert_eq!(job.server.requests(), 5 * ITEMS);
    let rows = job.place.rows("out.jsonl");
    assert_eq!(rows.len(), ITEMS);
    for (index, (id, output)) in rows.iter().enumerate() {
        assert_eq!(*id, index.to_string());
        let answers = output["answers"].as_array().unwrap();
        assert!(answers.iter().zip(prompts(index)).all(|(answer, prompt)| answer.as_str().unwrap().contains(&prompt)));
    }
}
