//! Guests that wait for an answer give their instance back, and are replayed when it is there.

use crate::support::{MockServer, Place, Ran, Said, Saying, Talking, items, plugin};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// One question, five one after the other in two attempts, four at once.
fn item(index: usize) -> Value {
    let id = format!("i{index}");
    let prompts = |n: usize| (0..n).map(|nth| format!("<{id}:{nth}>")).collect::<Vec<_>>();
    match index % 3 {
        0 => json!({ "id": id, "do": "ask", "prompt": prompts(1)[0] }),
        1 => json!({ "id": id, "do": "ask-then-retry", "prompts": prompts(3), "until": 2 }),
        _ => json!({ "id": id, "do": "ask-many", "prompts": prompts(4) }),
    }
}

struct Job {
    place: Place,
    server: MockServer,
    ran: Ran,
}

impl Job {
    fn run(n: usize, faults: &str, args: &[&str]) -> Self {
        Self::of(items(n, item), faults, &[&["--concurrency", "48"], args].concat())
    }

    fn of(items: String, faults: &str, args: &[&str]) -> Self {
        let place = Place::new();
        let server = MockServer::start(&place, faults);
        place.write("in.jsonl", items);
        let plugin = plugin("misbehave");
        let fixed = [
            &["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--json"][..],
            &["--provider", "openai", "--base-url", &server.url, "--model", "m"],
            &["--retry-min", "5ms", "--retry-max", "20ms", "--max-consecutive-errors", "0"],
        ];
        let ran = place.run(&[&fixed.concat(), args].concat());
        Self { place, server, ran }
    }

    fn number(&self, key: &str) -> u64 {
        let summary = self.ran.summary();
        summary["run"][key].as_u64().unwrap_or_else(|| panic!("{key} in {summary}"))
    }

    /// Which items failed, and by what.
    fn failures(&self) -> Vec<[String; 3]> {
        let listed = self.place.run(&["failed", "list", "j", "--json"]).stdout;
        let failure = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            ["id", "code", "message"].map(|key| line[key].as_str().unwrap().to_owned())
        };
        listed.lines().map(failure).collect()
    }
}

#[test]
fn more_items_wait_than_there_are_instances_and_each_goes_on_where_it_stood() {
    let kept = Job::run(48, "latency=150ms", &["--suspend", "never"]);
    let given = Job::run(48, "latency=150ms", &["--max-instances", "2", "--suspend-after", "10ms"]);
    assert_eq!((kept.ran.code, given.ran.code), (0, 0), "{}{}", kept.ran.stderr, given.ran.stderr);
    assert_eq!(given.place.read("out.jsonl"), kept.place.read("out.jsonl"));
    assert_eq!(given.server.requests(), kept.server.requests(), "nothing is asked twice");
    assert_eq!(kept.number("suspensions"), 0);
    // Each of the items but those that wait last.
    assert!(given.number("suspensions") >= 40, "{}", given.ran.stdout);
    for key in ["attempts", "item_retries", "provider_calls", "reused_calls", "answers_not_reused"] {
        assert_eq!(given.number(key), kept.number(key), "{key}");
    }
}

/// A call that fails for good has no answer in the journal, and the guest that goes on is told of it all the same.
#[test]
fn what_failed_meanwhile_and_before_is_told_as_it_was() {
    let faults = "server_error=8%,garbage=6%,latency=5ms";
    let how = ["--retry-attempts", "1", "--max-attempts", "2"];
    let kept = Job::run(60, faults, &[&how[..], &["--suspend", "never"]].concat());
    let given = Job::run(60, faults, &[&how[..], &["--suspend", "always", "--suspend-after", "0s"]].concat());
    assert_eq!((kept.ran.code, given.ran.code), (3, 3), "{}{}", kept.ran.stderr, given.ran.stderr);
    assert!(given.number("suspensions") > 0);
    assert_eq!(given.place.read("out.jsonl"), kept.place.read("out.jsonl"));
    assert_eq!(given.failures(), kept.failures());
    assert_eq!(given.server.requests(), kept.server.requests(), "nothing is asked twice");
}

/// Sixteen at once, of 16 MB each: they would take 256 MB.
#[test]
fn where_memory_is_short_those_that_wait_give_way_at_once_and_no_more_begin_than_fit() {
    let holding =
        |index| json!({ "id": index, "do": "ask-holding", "prompt": format!("<{index}>"), "size": 16_000_000 });
    // Only memory makes anybody go.
    let run = |args: &[&str]| {
        let job = Job::of(
            items(32, holding),
            "latency=500ms",
            &[&["--concurrency", "16", "--suspend-after", "1h"], args].concat(),
        );
        assert_eq!(job.ran.code, 0, "{}", job.ran.stderr);
        job
    };
    let target = 80_000_000;
    let kept = run(&["--memory-target", "0"]);
    let given = run(&["--memory-target", &target.to_string()]);
    assert!(kept.number("guest_memory_peak_bytes") > target, "{}", kept.ran.stdout);
    let peak = given.number("guest_memory_peak_bytes");
    assert!(peak <= target && peak > target / 2, "{}", given.ran.stdout);
    assert_eq!(kept.number("suspensions"), 0);
    assert!(given.number("suspensions") >= 16, "{}", given.ran.stdout);
    assert_eq!(given.place.read("out.jsonl"), kept.place.read("out.jsonl"));
    assert_eq!(given.server.requests(), kept.server.requests(), "nothing is asked twice");
    for key in ["attempts", "provider_calls", "reused_calls", "answers_not_reused"] {
        assert_eq!(given.number(key), kept.number(key), "{key}");
    }
    let told = json!({
        "policy": "auto", "after_ms": 3_600_000, "memory_target_bytes": target, "memory_peak_bytes": peak,
        "gave_way": given.number("suspensions"),
    });
    let status = |args: &[&str]| given.place.run(&[&["status", "j"], args].concat()).expect(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&status(&["--json"])).unwrap()["suspend"], told);
    let line = format!(
        "suspend auto: after 1h where others wait, at once beyond 76.3 MiB of memory; {} gave way",
        told["gave_way"]
    );
    assert!(status(&[]).contains(&line), "{}", status(&[]));
}

#[test]
fn status_says_while_a_job_runs_when_its_guests_give_way() {
    let (place, (asked, is_asked), (answer, may_answer)) = (Place::new(), channel(), channel::<()>());
    let may_answer = Mutex::new(may_answer);
    let server = Saying::start(move |_| {
        asked.send(()).unwrap();
        may_answer.lock().unwrap().recv().unwrap();
        Said::new(200, r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{}}"#)
    });
    place.write("in.jsonl", items(1, item));
    let plugin = plugin("misbehave");
    let fixed = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--memory-target", "1GiB", "--suspend", "always"];
    let running = Talking::start(
        &place,
        &[&fixed[..], &["--provider", "openai", "--base-url", &server.url, "--model", "m"]].concat(),
    );
    is_asked.recv().unwrap();
    let status = place.run(&["status", "j"]).expect(0).stdout;
    assert!(status.contains("suspend always: after 100ms, at once beyond 1.0 GiB of memory; 0 gave way"), "{status}");
    answer.send(()).unwrap();
    running.until("1 done");
}

/// Whoever keeps its instance is waited for, and one goes on however little there is.
#[test]
fn a_target_that_no_guest_fits_into_lets_one_after_the_other_through() {
    for policy in ["auto", "never"] {
        let job = Job::run(6, "latency=5ms", &["--memory-target", "1KB", "--suspend", policy]);
        assert_eq!(job.ran.code, 0, "{}", job.ran.stderr);
        assert_eq!(job.number("processed"), 6);
        let peak = job.number("guest_memory_peak_bytes");
        assert!(peak > 0 && peak < 4 << 20, "one at a time: {peak}");
    }
}

#[test]
fn a_plugin_that_acts_on_the_world_is_not_run_twice() {
    let place = Place::new();
    place.write("in.jsonl", items(1, item));
    std::fs::create_dir(place.path("granted")).unwrap();
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--provider", "mock", "--grant", "write=granted"];
    place.run(&[&args[..], &["--suspend", "always"]].concat()).expect_error(2, &["--suspend always", "done twice"]);
    place.run(&args).expect(0);
}
