//! A run that is stopped while a plugin waits for a model: the plugin is stopped where it stands, and the item runs again.

use super::languages::Language;
use super::run::completion;
use crate::support::{Place, Saying, signal, until};
use serde_json::json;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn an_item_whose_run_was_stopped_ends_in_the_next_one() {
    for language in Language::ALL {
        let Some(plugin) = language.built_or_told() else { continue };
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // The first question is never answered.
        let server = Saying::start(move |_| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                std::thread::park();
            }
            completion("an answer")
        });
        let place = Place::new();
        place.write(
            "sandmill.toml",
            format!(
                "[provider.slow]\nbase_url = \"{}\"\n[route.slow]\nprovider = \"slow\"\nmodel = \"m\"\n",
                server.url
            ),
        );
        place.write("in.jsonl", json!({"id": "a", "do": "chat", "role": "slow", "text": "wait"}).to_string() + "\n");
        // With no grace the first signal ends what is under way.
        let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--route", "slow=slow"];
        let args = [&args[..], &["--grace", "0s", "--job", "j"]].concat();
        let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the question", || asked.load(Ordering::SeqCst) == 1);
        signal(child.id(), "INT");
        assert_eq!(child.wait().unwrap().code(), Some(130), "{language}");
        let status = place.run(&["status", "j", "--json"]).expect(0).stdout;
        assert!(status.contains("\"pending\":1"), "{language}: {status}");
        place.run(&args).expect(0);
        assert_eq!(place.rows("out.jsonl"), [("a".to_owned(), json!("an answer"))], "{language}");
    }
}
