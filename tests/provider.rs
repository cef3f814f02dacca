//! What providers do to a batch: limits, outages, budgets, windows that are too small, and routes that step in.

use crate::support::{MockServer, Place, items, plugin};
use serde_json::{Value, json};

fn place(n: usize) -> Place {
    let place = Place::new();
    place.write("in.jsonl", items(n, |index| json!({"id": index, "text": format!("item number {index}")})));
    place
}

fn prompt(place: &Place, more: &[&str]) -> crate::support::Ran {
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--json"];
    place.run(&[&base[..], more].concat())
}

#[test]
fn an_outage_is_waited_out_and_fails_no_item() {
    let place = place(300);
    let server = MockServer::start(&place, "latency=20ms");
    let plugin = plugin("prompt");
    let url = server.url.clone();
    let args =
        ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--json", "--provider", "openai"];
    let more = [
        "--job",
        "j",
        "--base-url",
        &url,
        "--model",
        "m",
        "--breaker-pause",
        "300ms",
        "--retry-min",
        "10ms",
        "--retry-max",
        "50ms",
    ];
    let mut command = place.command(&[&args[..], &more].concat());
    let run = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    crate::support::until("some answers", || server.requests() >= 40);
    drop(server);
    crate::support::until("a probe that failed", || {
        place.run(&["log", "j"]).stdout.contains("there is still no connection")
    });
    let server = MockServer::start_at(&place, "", url.trim_start_matches("http://").trim_end_matches("/v1"));
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["failed"]), (&json!(300), &json!(0)));
    assert!(summary["run"]["breaker_openings"].as_u64().unwrap() >= 1, "{summary}");
    assert!(said.contains("circuit breaker open") && said.contains("circuit breaker closed"), "{said}");
    drop(server);
}

#[test]
fn a_limit_by_the_minute_is_kept_to() {
    let place = place(60);
    let server = MockServer::start(&place, "rpm=1200");
    let ran = prompt(&place, &["--provider", "openai", "--base-url", &server.url, "--model", "m"]).expect(0);
    let refused = ran.summary()["run"]["retries"]["rate_limited"].as_u64().unwrap_or(0);
    assert!(refused <= 2, "{}", ran.summary());
}

#[test]
fn a_quota_that_is_used_up_parks_the_job_within_a_call_for_each_worker() {
    let place = place(200);
    let args = ["--provider", "mock", "--concurrency", "8", "--faults", "quota_after=50"];
    let ran = prompt(&place, &args).expect(5);
    let summary = ran.summary();
    assert_eq!(summary["job"]["processed"], 50);
    assert!(summary["run"]["provider_calls"].as_u64().unwrap() <= 50 + 8, "{summary}");
    assert!(ran.stderr.contains("add credit"), "{}", ran.stderr);
    prompt(&place, &["--provider", "mock"]).expect(0);
}

#[test]
fn what_a_job_may_cost_is_never_exceeded_and_wants_prices() {
    let place = place(300);
    prompt(&place, &["--provider", "mock", "--max-cost", "0.05"]).expect_error(2, &["--prices input="]);
    let args = ["--provider", "mock", "--prices", "input=2,output=8", "--max-cost", "0.05", "--concurrency", "16"];
    let summary = prompt(&place, &args).expect(6).summary();
    let cost = summary["run"]["cost_dollars"].as_f64().unwrap();
    assert!(cost > 0.02 && cost <= 0.05, "{summary}");
    let again = prompt(&place, &args).expect(6).summary();
    assert_eq!(again["run"]["provider_calls"], 0, "what was spent before counts");
    let more = ["--provider", "mock", "--prices", "input=2,output=8", "--max-cost", "1"];
    prompt(&place, &more).expect(0);
}

#[test]
fn a_request_that_is_too_long_is_cut_or_told_as_the_operator_says() {
    let place = Place::new();
    place.write("in.jsonl", items(4, |index| json!({"id": index, "text": "a long story ".repeat(index * 3_000)})));
    let server = MockServer::start(&place, "context=4096");
    let provider = ["--provider", "openai", "--base-url", &server.url, "--model", "m", "--max-consecutive-errors", "0"];
    let summary = prompt(&place, &[&provider[..], &["--fresh"]].concat()).expect(0).summary();
    assert_eq!((&summary["run"]["truncated"], server.requests()), (&json!(3), 4));
    let args = [&provider[..], &["--fresh", "--on-overflow", "error"]].concat();
    let ran = prompt(&place, &args).expect(3);
    assert_eq!((&ran.summary()["job"]["failed"], server.requests()), (&json!(3), 5));
    assert!(ran.stderr.contains("2096 fit the context"), "{}", ran.stderr);
}

#[test]
fn a_server_of_ones_own_is_asked_what_it_takes_even_for_a_model_that_is_known() {
    let place = Place::new();
    place.write("in.jsonl", items(4, |index| json!({"id": index, "text": "a long story ".repeat(index * 3_000)})));
    let server = MockServer::start(&place, "context=4096");
    let provider = ["--provider", "openai", "--base-url", &server.url, "--max-consecutive-errors", "0", "--fresh"];
    let summary = prompt(&place, &[&provider[..], &["--model", "gpt-4o"]].concat()).expect(0).summary();
    assert_eq!((&summary["run"]["truncated"], server.requests()), (&json!(3), 4));
    place.write("sandmill.toml", "[model.m]\ncontext_tokens = 100000\nmax_input_tokens = 500\n");
    let ran = prompt(&place, &[&provider[..], &["--model", "m", "--on-overflow", "error"]].concat()).expect(3);
    assert!(ran.stderr.contains("500 fit the context of m"), "{}", ran.stderr);
}

#[test]
fn another_route_steps_in_by_class_and_roles_are_bound_by_name() {
    let place = place(40);
    place.write(
        "sandmill.toml",
        "[provider.small]\nprotocol = \"mock\"\nfaults = \"quota_after=10\"\n\
         [provider.big]\nprotocol = \"mock\"\n\
         [route.first]\nprovider = \"small\"\nmodel = \"a\"\nfallback = { quota = \"second\" }\n\
         [route.second]\nprovider = \"big\"\nmodel = \"b\"\n",
    );
    let ran = prompt(&place, &["--route", "first", "--output", "out.jsonl"]).expect(0);
    let summary = ran.summary();
    assert!(summary["run"]["fallbacks"].as_u64().unwrap() >= 30, "{summary}");
    prompt(&place, &["--route", "nowhere"]).expect_error(2, &["[route.nowhere]", "`first`, `second`"]);
    prompt(&place, &["--route", "judge=first"]).expect_error(2, &["no model role `judge`", "`default`"]);
}

#[test]
fn a_dry_run_asks_nobody_and_stores_nothing_and_the_books_tell_costs_by_tag() {
    let place = place(20);
    let prices = ["--provider", "mock", "--prices", "input=2,output=8"];
    let estimate = prompt(&place, &[&prices[..], &["--dry-run"]].concat()).expect(0).summary();
    assert_eq!((&estimate["items"], &estimate["calls"]), (&json!(20), &json!(20)));
    assert!(estimate["cost_dollars_at_most"].as_f64().unwrap() > 0.0);
    assert!(!place.path(".sandmill").exists());
    prompt(&place, &[&prices[..], &["--job", "j", "--tag", "team=x"]].concat()).expect(0);
    let books = place.run(&["cost", "j", "--by", "tag", "--json"]).expect(0).summary();
    assert_eq!((&books["rows"][0]["key"], &books["rows"][0]["calls"]), (&json!("team=x"), &json!(20)));
}

#[test]
fn settings_are_checked_and_shown_without_their_secrets() {
    let place = place(1);
    place.write(
        "sandmill.toml",
        "[provider.p]\nbase_url = \"http://127.0.0.1:9/v1\"\nheaders = { x-team = \"hush\" }\n\
         [route.r]\nprovider = \"p\"\nmodel = \"m\"\n[breaker]\npause = \"7s\"\n",
    );
    let shown = place.run(&["config", "show"]).expect(0).stdout;
    assert!(shown.contains("7s") && shown.contains("sandmill.toml") && shown.contains("default"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(place.run(&["config", "check"]).expect(0).stdout.contains("1 routes"));
    place.write("sandmill.toml", "[route.r]\nprovider = \"nobody\"\nmodel = \"m\"\n");
    place.run(&["config", "check"]).expect_error(2, &["unknown provider `nobody`", "[provider.nobody]"]);
}
