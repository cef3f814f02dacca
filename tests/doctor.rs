//! Before the first run: `init` and `doctor`.

use crate::support::{MockServer, Place, plugin, root};
use serde_json::Value;

/// What `doctor` finds of one thing: how it stands, and what is said of it.
fn found<'a>(report: &'a Value, check: &str) -> Vec<(&'a str, &'a str)> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    all.map(|finding| (finding["state"].as_str().unwrap(), finding["text"].as_str().unwrap())).collect()
}

/// With a key in the environment.
fn doctor(place: &Place, code: i32, args: &[&str]) -> Value {
    let ran = place.run_with(&[&["doctor", "--json"], args].concat(), &[("OPENAI_API_KEY", "sk-good-and-long".into())]);
    let ran = ran.expect(code);
    assert!(!ran.stdout.contains("sk-good-and-long"), "{}", ran.stdout);
    ran.summary()
}

#[test]
fn a_file_of_settings_is_begun_and_not_replaced_unasked() {
    let place = Place::new();
    std::fs::create_dir(place.path(".git")).unwrap();
    let said = place.run(&["init"]).expect(0).stdout;
    assert!(said.contains("made sandmill.toml") && said.contains("sandmill doctor"), "{said}");
    assert_eq!(place.read(".gitignore"), ".sandmill/\n");
    place.run(&["config", "check"]).expect(0);
    place.write("sandmill.toml", "[run]\nconcurrency = 3\n");
    place.run(&["init"]).expect_error(2, &["sandmill.toml is there already", "--force"]);
    assert_eq!(place.read("sandmill.toml"), "[run]\nconcurrency = 3\n");
    place.run(&["init", "--force"]).expect(0);
    assert!(place.read("sandmill.toml").contains("#concurrency = 32"));
}

#[test]
fn a_provider_that_is_well_is_found_well_and_nothing_is_paid() {
    let place = Place::new();
    let server = MockServer::start(&place, "models=gpt-4o-mini;other,key=sk-good-and-long");
    let asked = ["--provider", "openai", "--base-url", &server.url, "--model", "gpt-4o-mini"];
    let summarize = plugin("summarize");
    let report = doctor(&place, 0, &[&[summarize.as_str()], &asked[..]].concat());
    assert_eq!(report["is_ok"], true);
    assert!(found(&report, "plugin")[0].1.contains("summarize"), "{report}");
    assert_eq!(found(&report, "key"), [("ok", "openai: the one of $OPENAI_API_KEY is accepted")]);
    assert!(found(&report, "provider")[0].1.contains("answers in"), "{report}");
    let (state, model) = found(&report, "model")[0];
    assert!(state == "ok" && model.contains("openai has it") && model.contains("catalogue of 20"), "{report}");
    assert_eq!(found(&report, "clock"), [("ok", "as the provider's")]);
    for check in ["settings", "routes", "store", "cache", "files", "memory", "terminal"] {
        assert!(!found(&report, check).is_empty(), "{check}: {report}");
    }
    assert_eq!(server.requests(), 0, "no model was asked");
    assert!(!place.path(".sandmill").exists(), "nothing is left behind");
    let offline = doctor(&place, 0, &[&asked[..], &["--offline"]].concat());
    assert_eq!(found(&offline, "provider")[0].0, "skipped");
}

#[test]
fn a_key_that_is_refused_a_model_that_is_not_there_and_a_server_that_is_down_are_wrong() {
    let place = Place::new();
    let server = MockServer::start(&place, "models=gpt-4o-mini;other,key=sk-another");
    let at = |url: &str, model: &str, code: i32| {
        doctor(&place, code, &["--provider", "openai", "--base-url", url, "--model", model])
    };
    let report = at(&server.url, "gpt-4o-mini", 3);
    let (state, said) = found(&report, "key")[0];
    assert!(state == "wrong" && said.contains("$OPENAI_API_KEY is refused"), "{report}");
    let url = server.url.clone();
    drop(server);
    let report = at(&url, "gpt-4o-mini", 3);
    let (state, said) = found(&report, "provider")[0];
    assert!(state == "wrong" && said.contains("not reached") && said.contains("--base-url"), "{report}");
    let server = MockServer::start(&place, "models=gpt-4o-mini;other");
    let report = at(&server.url, "gpt-4o-mimi", 3);
    let (state, said) = found(&report, "model")[0];
    assert!(state == "wrong" && said.contains("did you mean `gpt-4o-mini`?"), "{report}");
}

#[test]
fn every_provider_of_the_file_is_looked_at_and_what_cannot_be_used_is_told() {
    let place = Place::new();
    let server = MockServer::start(&place, "");
    let file = |more: &str| {
        let text = format!(
            "[provider.here]\nbase_url = \"{}\"\n[route.r]\nprovider = \"here\"\nmodel = \"mock\"\n{more}",
            server.url
        );
        place.write("sandmill.toml", text);
    };
    file("prices = { input = 0.0, output = 0.0 }\ncontext = 8000\n");
    let report = doctor(&place, 0, &[]);
    assert!(found(&report, "routes")[0].1.contains("r (mock at here)"), "{report}");
    file("[provider.there]\nkey_env = \"NO_SUCH_KEY\"\n");
    let report = doctor(&place, 3, &[]);
    assert!(found(&report, "provider")[0].1.contains("`NO_SUCH_KEY` is not set"), "{report}");
    place.write("sandmill.toml", "[run]\nconcurency = 3\n");
    let report = doctor(&place, 3, &[]);
    assert!(found(&report, "settings")[0].1.contains("did you mean `concurrency`?"), "{report}");
    assert!(!found(&report, "store").is_empty(), "what is wrong with the settings says nothing of the disk");
}

#[test]
fn a_plugin_without_its_grants_and_a_folder_that_cannot_be_written_are_wrong() {
    let place = Place::new();
    std::fs::create_dir(place.path("asking")).unwrap();
    let manifest =
        "name = \"asking\"\ncomponent = \"it.wasm\"\n[grants]\nclock = true\n[build]\ncommand = [\"true\"]\n";
    place.write("asking/plugin.toml", manifest);
    plugin("redact");
    std::fs::copy(root().join("plugins/target/wasm32-wasip2/plugin/redact.wasm"), place.path("asking/it.wasm"))
        .unwrap();
    place.run(&["plugin", "build", "asking"]).expect(0);
    let given = doctor(&place, 0, &["asking", "--provider", "mock", "--grant", "clock"]);
    assert!(found(&given, "grants")[0].1.contains("clock"), "{given}");
    let report = doctor(&place, 3, &["asking", "--provider", "mock"]);
    let (state, said) = found(&report, "plugin")[0];
    assert!(state == "wrong" && said.contains("--grant"), "{report}");
    place.write("file", "");
    let report = doctor(&place, 3, &["--store", "file/jobs"]);
    assert_eq!(found(&report, "store")[0].0, "wrong", "{report}");
    let lines = place.run(&["doctor", "--store", "file/jobs"]).expect(3).stdout;
    assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
    assert!(lines.lines().last().unwrap().starts_with("1 wrong"), "{lines}");
    let script = "mkdir jobs; mount -t tmpfs -o ro none jobs; \"$S\" doctor --store jobs";
    if let Some(ran) = place.run_with_mounts(script) {
        assert!(ran.expect(3).stdout.contains("make it writable, or"));
    }
}
