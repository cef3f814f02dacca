//! What an operator sets, by flags, sandmill.toml and policy: what is in force, what is refused, and what it costs.

use crate::support::{Place, items, plugin};
use serde_json::{Value, json};

fn place(n: usize) -> Place {
    let place = Place::new();
    place.write("in.jsonl", items(n, |index| json!({"id": format!("i{index}"), "text": format!("item {index}")})));
    place
}

fn prompt(place: &Place, more: &[&str]) -> crate::support::Ran {
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--job", "j", "--json"];
    place.run(&[&base[..], more].concat())
}

/// Under a policy: exit code, stdout, stderr.
fn under(place: &Place, policy: &str, args: &[&str]) -> (i32, String, String) {
    let path = place.write("policy.toml", policy);
    let output = place.command(args).env("SANDMILL_POLICY", path).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn other_parameters_of_a_route_are_another_generation_and_another_question() {
    let place = place(3);
    let route = |parameters: &str| {
        let text = format!("[run]\nroute = \"r\"\n[route.r]\nprovider = \"mock\"\nmodel = \"m\"\n{parameters}");
        place.write("sandmill.toml", text);
    };
    route("parameters = { temperature = 0.0 }");
    prompt(&place, &[]).expect(0);
    route("limits = { rpm = 60000 }\nparameters = { temperature = 0.0 }");
    prompt(&place, &[]).expect(0);
    route("parameters = { temperature = 1.0 }");
    prompt(&place, &[]).expect_error(2, &["the model or its parameters have changed since 3 items"]);
}

#[test]
fn flags_go_before_the_route_of_the_file_or_are_refused() {
    let place = place(2);
    place.write(
        "sandmill.toml",
        "[provider.p]\nprotocol = \"mock\"\n[route.r]\nprovider = \"p\"\nmodel = \"m\"\n\
         [route.two]\nmembers = [\"r\"]\n[run]\nroute = \"r\"\n",
    );
    prompt(&place, &["--model", "another", "--prices", "input=2,output=8", "--max-cost", "1"]).expect(0);
    let books = place.run(&["cost", "j", "--by", "model", "--json"]).expect(0).summary();
    assert_eq!(books["rows"][0]["key"], "another");
    assert!(books["rows"][0]["cost_dollars"].as_f64().unwrap() > 0.0, "{books}");
    for flag in [["--base-url", "http://127.0.0.1:9/v1"], ["--api-key-env", "X"], ["--faults", "latency=1ms"]] {
        prompt(&place, &flag).expect_error(2, &[flag[0], "[provider.p]"]);
    }
    prompt(&place, &["--route", "two", "--model", "x"])
        .expect_error(2, &["--model", "[route.two] has several members"]);
    place.write("sandmill.toml", "");
    prompt(&place, &["--context", "4096"]).expect_error(2, &["--context says how to ask", "--provider NAME"]);
}

#[test]
fn a_policy_bounds_every_route_and_is_not_stored_with_the_job() {
    let place = place(4);
    place.write(
        "sandmill.toml",
        "[route.r]\nprovider = \"mock\"\nmodel = \"m\"\nfallback = { quota = \"s\" }\n\
         [route.s]\nprovider = \"openai\"\nmodel = \"large\"\n",
    );
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--job", "j"];
    let of_file = [&base[..], &["--route", "r"]].concat();
    let (code, _, said) = under(&place, "providers = [\"mock\"]", &of_file);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("provider openai of route `s`: the policy") && said.contains("allows mock"), "{said}");
    let (code, _, said) = under(&place, "models = [\"m\"]", &of_file);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("model large of route `s`"), "{said}");
    let of_flags = [&base[..], &["--provider", "mock"]].concat();
    let (code, _, said) = under(&place, "max_calls = 2\nmax_concurrency = 1", &of_flags);
    assert_eq!(code, 6, "{said}");
    place.run(&["resume", "j"]).expect(0);
    let (code, _, said) = under(&place, "max_concurrency = 1", &["resume", "j"]);
    assert_eq!(code, 0, "{said}");
    let beyond = [&of_flags[..], &["--call-concurrency", "2"]].concat();
    let (code, _, said) = under(&place, "max_concurrency = 1", &beyond);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--call-concurrency 2: the policy"), "{said}");
}

#[test]
fn everything_in_force_is_shown_with_where_it_comes_from_and_without_secrets() {
    let place = place(1);
    place.write(
        "sandmill.toml",
        "[run]\nroute = \"r\"\nmax_attempts = 7\n[limits]\ncpu = \"3s\"\n[model.m]\ncontext_tokens = 9000\n\
         [provider.p]\nbase_url = \"https://example.org/v1?token=hush\"\nproxy = \"http://jo:hush@127.0.0.1:3128\"\n\
         headers = { x-team = \"hush\" }\nkey_command = [\"pass\", \"hush\"]\n\
         [route.r]\nprovider = \"p\"\nmodel = \"m\"\ntimeout = \"9s\"\nparameters = { top_k = 5 }\n\
         limits = { rpm = 77 }\nprices = { input = 1.5, output = 2.5 }\nfallback = { open = \"s\" }\n\
         [route.s]\nprovider = \"mock\"\n",
    );
    let args = ["config", "show", "--max-consecutive-errors", "4"];
    let (code, shown, said) = under(&place, "max_concurrency = 5\nmax_cost = 2.5", &args);
    assert_eq!(code, 0, "{said}");
    let check = |name: &str, value: &str, from: &str| {
        let line = shown.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{shown}"));
        assert!(line.contains(value) && line.ends_with(from), "{line}");
    };
    check("run.route", "r", "# sandmill.toml");
    check("run.max_attempts", "7", "# sandmill.toml");
    check("run.concurrency", "5", "# policy");
    check("run.max_consecutive_errors", "4", "# flag");
    check("max-cost", "$2.50", "# policy");
    check("policy.max_cost", "$2.5", "policy.toml");
    check("limits.cpu", "3s", "# sandmill.toml");
    check("limits.memory", "128", "# default");
    check("retry.attempts", "5", "# default");
    check("model.m.context_tokens", "9000", "# sandmill.toml");
    check("provider.p.base_url", "https://example.org/v1?token=***", "# sandmill.toml");
    check("provider.p.proxy", "http://***@127.0.0.1:3128/", "# sandmill.toml");
    check("provider.p.headers.x-team", "***", "# sandmill.toml");
    check("provider.p.key", "*** from `pass`", "# sandmill.toml");
    check("route.r.parameters.top_k", "5", "# sandmill.toml");
    check("route.r.limits.rpm", "77", "# sandmill.toml");
    check("route.r.limits.concurrency", "256", "# default");
    check("route.r.prices.input", "$1.5", "# sandmill.toml");
    check("route.r.context", "9000", "# catalogue");
    check("route.r.timeout", "9s", "# sandmill.toml");
    check("route.r.fallback.open", "s", "# sandmill.toml");
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn a_check_finds_what_a_run_would_find_and_what_no_run_uses() {
    let place = place(1);
    let check = |text: &str, parts: &[&str]| {
        place.write("sandmill.toml", text);
        place.run(&["config", "check"]).expect_error(2, parts);
    };
    check("[provider.p]\nkey_env = \"NOWHERE_SET\"\n", &["`NOWHERE_SET` is not set"]);
    check("[run]\nroute = \"rout\"\n[route.route]\nprovider = \"mock\"\n", &["[run] route", "did you mean `route`?"]);
    check("[context]\non_overflow = \"cut\"\n", &["`cut` is not known: truncate"]);
    check("[retry]\nwait_min = \"2m\"\nwait_max = \"1m\"\n", &["longer than the most"]);
    let groups = "[route.a]\nmembers = [\"b\"]\n[route.b]\nmembers = [\"c\"]\n[route.c]\nprovider = \"mock\"\n";
    check(groups, &["`b` has members itself"]);
    check(
        "[route.a]\nprovider = \"gemini\"\nmodel = \"m\"\nparameters = { candidateCount = 2 }\n",
        &["`candidateCount`"],
    );
    check("[retry]\nattemps = 3\n", &["did you mean `attempts`?"]);
    check("[model.m]\ncontext = 3\n", &["[model.m]", "did you mean `context_tokens`?"]);
    place.write("sandmill.toml", "[route.a]\nprovider = \"mock\"\nmodel = \"large\"\n");
    let (code, _, said) = under(&place, "models = [\"small\"]", &["config", "check"]);
    assert!(code == 2 && said.contains("model large of route `a`"), "{said}");
    let (code, _, said) = under(&place, "max_costs = 3.0", &["config", "check"]);
    assert!(code == 2 && said.contains("did you mean `max_cost`?"), "{said}");
}

#[test]
fn a_dry_run_counts_everything_and_says_which_limits_the_job_would_reach() {
    let place = place(20);
    let flags = ["--provider", "mock", "--prices", "input=2,output=8", "--output", "out.jsonl", "--dry-run"];
    let limits = ["--max-calls", "5", "--max-cost", "0.0001", "--max-tokens", "1000000"];
    let estimate = prompt(&place, &[&flags[..], &limits].concat()).expect(0).summary();
    assert_eq!((&estimate["calls"], &estimate["is_whole"]), (&json!(20), &json!(true)));
    assert_eq!(estimate["beyond"], json!(["--max-cost", "--max-calls"]));
    assert!(["out.jsonl", "out.jsonl.partial"].iter().all(|name| !place.path(name).exists()));
    // Nobody is asked what it takes: what is assumed is 16,000 tokens, and not what the mock would tell.
    place.write("in.jsonl", items(1, |_| json!({"id": "a", "text": "a long story ".repeat(15_000)})));
    let real = ["--provider", "openai", "--model", "unheard-of", "--base-url", "http://127.0.0.1:9/v1", "--dry-run"];
    let estimate = prompt(&place, &real).expect(0).summary();
    assert!(estimate["input_tokens"].as_u64().unwrap() < 16_000, "{estimate}");
}

#[test]
fn what_an_item_and_a_job_cost_is_told() {
    let place = place(3);
    let args = ["--provider", "mock", "--prices", "input=2,output=8"];
    let summary = prompt(&place, &args).expect(0).summary();
    let cost = &summary["job"]["cost_dollars"];
    assert!(cost.as_f64().unwrap() > 0.0 && *cost == summary["run"]["cost_dollars"], "{summary}");
    let books = place.run(&["cost", "j", "--by", "item", "--json"]).expect(0).summary();
    let rows = books["rows"].as_array().unwrap();
    let sum: f64 = rows.iter().map(|row| row["cost_dollars"].as_f64().unwrap()).sum();
    assert!(rows.len() == 3 && (sum - cost.as_f64().unwrap()).abs() < 1e-9, "{books}");
    let log = place.run(&["log", "j", "--item", "i1"]).expect(0).stdout;
    assert!(log.contains(" out, $0.00"), "{log}");
    assert!(place.run(&["status", "j"]).expect(0).stdout.contains("cost    $0.00"));
    assert_eq!(&place.run(&["status", "j", "--json"]).expect(0).summary()["cost_dollars"], cost);
}

#[test]
fn a_job_is_resumed_from_elsewhere_with_the_settings_that_it_was_started_with() {
    let place = place(5);
    place.write(
        "sandmill.toml",
        "[run]\nroute = \"r\"\nstore = \"jobs\"\n[provider.p]\nprotocol = \"mock\"\nfaults = \"quota_after=2\"\n\
         [route.r]\nprovider = \"p\"\nmodel = \"m\"\n",
    );
    prompt(&place, &["--concurrency", "1"]).expect(5);
    let text = place.read("sandmill.toml").replace("quota_after=2", "latency=1ms");
    place.write("sandmill.toml", text);
    let elsewhere = Place::new();
    let store = place.path("jobs").display().to_string();
    let summary = elsewhere.run(&["resume", "j", "--store", &store, "--json"]).expect(0).summary();
    assert_eq!(summary["job"]["processed"], 5, "{summary}");
}

#[test]
fn a_quiet_run_still_says_why_it_ended_and_what_goes_on() {
    let place = place(5);
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--job", "j", "-q"];
    let run = |more: &[&str]| place.run(&[&base[..], more].concat());
    let said = run(&["--provider", "mock", "--faults", "quota_after=2"]).expect(5).stderr;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("parked") && said.contains("(exit code 5): go on with sandmill resume j"), "{said}");
    assert_eq!(run(&["--provider", "mock"]).expect(0).stderr, "");
}

#[test]
fn what_a_plugin_adds_needs_leave_on_the_route_that_is_really_asked() {
    let place = Place::new();
    let item = |extra: Value| json!({"id": "a", "do": "ask", "prompt": "p", "extra": extra}).to_string() + "\n";
    let misbehave = plugin("misbehave");
    let run = |extra: Value, more: &[&str]| {
        place.write("in.jsonl", item(extra));
        let base = ["run", &misbehave, "--input", "in.jsonl", "--job", "j", "--fresh", "--route", "first"];
        place.run(&[&base[..], more].concat())
    };
    let config = |allow: &str| {
        let text = format!(
            "[provider.empty]\nprotocol = \"mock\"\nfaults = \"quota_after=0\"\n\
             [route.first]\nprovider = \"empty\"\nmodel = \"a\"\nextra_allow = [\"top_k\"]\nfallback = {{ quota = \"second\" }}\n\
             [route.second]\nprovider = \"mock\"\nmodel = \"b\"\nextra_allow = [{allow}]\n"
        );
        place.write("sandmill.toml", text);
    };
    config("\"top_k\"");
    run(json!({"top_k": 3}), &[]).expect(0);
    // The other route may not be sent what it does not allow: there is none that steps in.
    config("");
    run(json!({"top_k": 3}), &[]).expect_error(5, &["add credit"]);
    run(json!({"top_p2": 3}), &[]).expect_error(3, &["`top_p2` is not allowed", "extra_allow of route `first`"]);
    run(json!({"serviceTier": "priority"}), &[]).expect_error(3, &["`serviceTier` belongs to the host"]);
}
