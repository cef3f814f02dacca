//! Several routes: what takes the load when one of them is open, parked or used up.

use crate::support::{MockServer, Place, Ran, items, plugin};
use serde_json::json;

fn place(n: usize) -> Place {
    let place = Place::new();
    place.write("in.jsonl", items(n, |index| json!({"id": index, "text": format!("item number {index}")})));
    place
}

fn prompt(place: &Place, more: &[&str]) -> Ran {
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--json"];
    let quick = ["--retry-min", "1ms", "--retry-max", "5ms", "--concurrency", "8"];
    place.run(&[&base[..], &quick, more].concat())
}

#[test]
fn a_wait_beyond_the_cap_parks_the_route_and_not_a_job_that_has_another() {
    let place = place(60);
    let server = MockServer::start(&place, "rate_limit=100%,retry_after=30s,in_a_row=1000000");
    let route = |fallback: &str| {
        format!(
            "[provider.p]\nbase_url = \"{}\"\n[route.first]\nprovider = \"p\"\nmodel = \"a\"\n{fallback}\n\
             [route.second]\nprovider = \"mock\"\nmodel = \"b\"\n",
            server.url
        )
    };
    place.write("sandmill.toml", route("fallback = { open = \"second\" }"));
    let args = ["--route", "first", "--retry-after-max", "10s", "--job", "j"];
    let summary = prompt(&place, &args).expect(0).summary();
    assert_eq!(summary["job"]["processed"], 60, "{summary}");
    assert!(server.requests() <= 8, "one for each that was under way, not {}", server.requests());
    assert!(place.run(&["cost", "j"]).expect(0).stdout.contains("second"));
    place.write("sandmill.toml", route(""));
    prompt(&place, &["--route", "first", "--retry-after-max", "10s"])
        .expect_error(75, &["route `first`", "--retry-after-max"]);
}

#[test]
fn a_member_that_is_used_up_or_dead_leaves_the_load_to_the_others() {
    let place = place(80);
    let healthy = MockServer::start(&place, "latency=5ms");
    let (of_used_up, of_dead) = (Place::new(), Place::new());
    let used_up = MockServer::start(&of_used_up, "quota_after=5");
    let dead = MockServer::start(&of_dead, "").url.clone();
    place.write(
        "sandmill.toml",
        format!(
            "[provider.a]\nbase_url = \"{dead}\"\n[provider.b]\nbase_url = \"{}\"\n[provider.c]\nbase_url = \"{}\"\n\
             [route.a]\nprovider = \"a\"\nmodel = \"m\"\n[route.b]\nprovider = \"b\"\nmodel = \"m\"\n\
             [route.c]\nprovider = \"c\"\nmodel = \"m\"\n[route.all]\nmembers = [\"a\", \"b\", \"c\"]\n",
            used_up.url, healthy.url
        ),
    );
    let summary = prompt(&place, &["--route", "all"]).expect(0).summary();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["failed"]), (&json!(80), &json!(0)), "{summary}");
    assert!(healthy.requests() >= 75, "{}", healthy.requests());
    let asked_in_vain = used_up.requests() - 5;
    assert!((1..=8).contains(&asked_in_vain), "one call for each that was under way, not {asked_in_vain}");
}

#[test]
fn a_job_whose_members_are_all_used_up_is_parked() {
    let place = place(40);
    place.write(
        "sandmill.toml",
        "[provider.a]\nprotocol = \"mock\"\nfaults = \"quota_after=5\"\n\
         [provider.b]\nprotocol = \"mock\"\nfaults = \"quota_after=7\"\n\
         [route.a]\nprovider = \"a\"\nmodel = \"m\"\n[route.b]\nprovider = \"b\"\nmodel = \"m\"\n\
         [route.all]\nmembers = [\"a\", \"b\"]\n",
    );
    let ran = prompt(&place, &["--route", "all"]).expect(5);
    assert_eq!(ran.summary()["job"]["processed"], 12, "{}", ran.summary());
    assert!(ran.stderr.contains("add credit"), "{}", ran.stderr);
}

#[test]
fn limits_that_make_no_sense_together_are_told() {
    let place = place(1);
    let breaker = |text: &str| format!("[route.r]\nprovider = \"mock\"\n[breaker]\n{text}\n");
    place.write("sandmill.toml", breaker("window = 10\ncalls_min = 20"));
    prompt(&place, &["--route", "r"]).expect_error(2, &["breaker.calls_min 20", "window of 10"]);
    place.write("sandmill.toml", breaker("window = 10\ncalls_min = 5"));
    prompt(&place, &["--route", "r"]).expect(0);
    let shown = place.run(&["config", "show"]).expect(0).stdout;
    assert!(shown.contains("breaker.window") && shown.contains("breaker.rate_limited_after"), "{shown}");
}
