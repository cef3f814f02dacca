//! What is done to jobs as a whole, from a second terminal too.

use crate::support::{MockServer, Place, items, plugin, signal, until};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

const PRICES: [&str; 2] = ["--prices", "input=1,output=2"];

fn questions(n: usize) -> String {
    items(n, |index| json!({"id": format!("q{index}"), "do": "ask", "prompt": format!("what of number {index}?")}))
}

/// The job `j` over `in.jsonl`.
fn arguments(server: &MockServer, more: &[&str]) -> Vec<String> {
    let plugin = plugin("misbehave");
    let fixed = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--json", "--provider", "openai", "--model", "m"];
    fixed.iter().chain(&["--base-url", &server.url]).chain(more).map(|word| (*word).to_owned()).collect()
}

/// In the background, once its first calls have arrived.
fn start(place: &Place, server: &MockServer, more: &[&str]) -> Child {
    let args = arguments(server, more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let errors = std::fs::File::create(place.path("stderr")).unwrap();
    let child = place.command(&args).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
    until("the first calls", || server.requests() >= 4);
    child
}

#[track_caller]
fn ended(place: &Place, child: Child, code: i32) -> Value {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", place.read("stderr"));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn status(place: &Place, job: &str) -> Value {
    place.run(&["status", job, "--json"]).expect(0).summary()
}

fn database(place: &Place) -> Connection {
    Connection::open(place.path(".sandmill/j.db")).unwrap()
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A finished job `j` of `n` items with prices, in process.
fn finished(place: &Place, n: usize) {
    place.write("in.jsonl", questions(n));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--json"];
    let args = [&args[..], &["--provider", "mock"], &PRICES].concat();
    place.run(&args).expect(0);
}

#[test]
fn a_job_is_its_name_or_the_path_of_its_file_and_a_wrong_name_tells_the_right_one() {
    let place = Place::new();
    finished(&place, 3);
    assert_eq!(status(&place, "j"), status(&place, ".sandmill/j.db"));
    std::fs::rename(place.path(".sandmill/j.db"), place.path("tickets.db")).unwrap();
    for command in [&["status", "tickets.db"][..], &["log", "./tickets.db"], &["cost", "tickets.db"]] {
        place.run(command).expect(0);
    }
    place.run(&["resume", "tickets.db"]).expect(0);
    place.run(&["job", "verify", "tickets.db"]).expect(0);
    place.run(&["status", "./tickts.db"]).expect_error(2, &["no job `tickts`", "did you mean `tickets`?"]);
    place.run(&["log", "other/tickets.db"]).expect_error(2, &["no job `tickets` in other"]);
    place.run(&["cost", "other/tickets"]).expect_error(2, &["ends in .db"]);
}

#[test]
fn jobs_are_listed_with_what_they_cost_and_one_that_cannot_be_read_is_told() {
    let place = Place::new();
    finished(&place, 3);
    let listed = place.run(&["job", "list"]).expect(0).stdout;
    assert!(listed.contains("finished") && listed.contains("3/3"), "{listed}");
    assert!(listed.lines().all(|line| line.chars().count() <= 110), "{listed}");
    let one = place.run(&["job", "list", "--json"]).expect(0).summary();
    assert_eq!((&one["job"], &one["processed"], &one["provider_calls"]), (&json!("j"), &json!(3), &json!(3)));
    assert!(one["cost_dollars"].as_f64().unwrap() > 0.0 && one["bytes"].as_u64().unwrap() > 4096, "{one}");
    place.write(".sandmill/odd.db", "no database");
    let both = place.run(&["job", "list"]).expect(2);
    assert!(both.stdout.contains("3/3") && both.stderr.contains("odd: "), "{}\n{}", both.stdout, both.stderr);
}

#[test]
fn a_backup_taken_while_the_job_runs_is_whole_private_and_goes_on_by_itself() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(300));
    let mut child = start(&place, &server, &["--concurrency", "4"]);
    place.run(&["job", "backup", "j", "copy.db"]).expect(0);
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");
    assert_eq!(place.path("copy.db").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    place.run(&["job", "backup", "j", "copy.db"]).expect_error(2, &["is there already"]);
    place.run(&["job", "verify", "j"]).expect(0);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    place.run(&["job", "verify", "copy.db"]).expect(0);
    let copied = status(&place, "copy.db");
    assert!(copied["pending"].as_u64().unwrap() > 0, "{copied}");
    let resumed = place.run(&["resume", "copy.db", "--json"]).expect(0).summary();
    assert_eq!(resumed["job"]["processed"], 300);
    assert_eq!(resumed["run"]["skipped_already_done"], copied["processed"]);
}

#[test]
fn a_job_is_removed_only_when_asked_twice_and_never_while_it_runs() {
    let place = Place::new();
    finished(&place, 3);
    let asked = place.run(&["job", "rm", "j"]).expect(2);
    assert!(asked.stdout.contains("3 calls") && asked.stdout.contains("$0.0000"), "{}", asked.stdout);
    assert!(asked.stderr.contains("add --yes"), "{}", asked.stderr);
    assert_eq!(status(&place, "j")["processed"], 3);
    let removed = place.run(&["job", "rm", "j", "--yes", "--json"]).expect(0).summary();
    assert_eq!((&removed["removed"], &removed["provider_calls"]), (&json!(true), &json!(3)));
    let left: Vec<_> = std::fs::read_dir(place.path(".sandmill")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(300));
    let mut child = start(&place, &server, &["--concurrency", "4"]);
    for command in [&["job", "rm", "j", "--yes"][..], &["job", "prune", "j", "--keep", "all"]] {
        place.run(command).expect_error(2, &["is being run by process", &child.id().to_string()]);
    }
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");
    signal(child.id(), "KILL");
    child.wait().unwrap();
}

#[test]
fn pruning_gives_room_back_and_leaves_books_and_output_alone() {
    let place = Place::new();
    let filler = "a long text ".repeat(400);
    place.write(
        "in.jsonl",
        items(
            60,
            |index| json!({"id": index, "do": "ask-then-retry", "prompts": [format!("{index} {filler}")], "until": 2}),
        ),
    );
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--json"];
    let args = [&args[..], &["--provider", "mock"], &PRICES].concat();
    place.run(&args).expect(0);
    let output = place.read("out.jsonl");
    let books = "SELECT count(*) * 1000000 + sum(cost) + sum(input_tokens) FROM call_end";
    let paid = count(&database(&place), books);
    let mut before = u64::MAX;
    for (keep, inputs, answers) in [("all", 0, 60), ("answers", 60, 0), ("outputs", 0, 60)] {
        let pruned = place.run(&["job", "prune", "j", "--keep", keep, "--json"]).expect(0).summary();
        assert_eq!((&pruned["inputs"], &pruned["answers"]), (&json!(inputs), &json!(answers)), "{keep}");
        let after = pruned["bytes_after"].as_u64().unwrap();
        assert!(after <= before && after <= pruned["bytes_before"].as_u64().unwrap(), "{keep}: {pruned}");
        before = after;
        place.run(&["job", "verify", "j"]).expect(0);
        assert_eq!(count(&database(&place), books), paid, "{keep}");
    }
    assert!(before < 200_000, "{before} bytes, and the inputs alone had 288,000");
    let again = place.run(&args).expect(0).summary();
    assert_eq!(again["run"]["provider_calls"], 0);
    assert_eq!(place.read("out.jsonl"), output);

    // An item that is to be done again gets its input from the file, and asks anew.
    database(&place).execute("DELETE FROM outcome WHERE item = 7", []).unwrap();
    let redone = place.run(&args).expect(0).summary();
    assert_eq!((&redone["run"]["processed"], &redone["run"]["provider_calls"]), (&json!(1), &json!(1)));
    assert_eq!(count(&database(&place), "SELECT count(*) FROM item WHERE input = ''"), 59);
    assert_eq!(place.read("out.jsonl").lines().count(), 60);
    place.run(&["job", "verify", "j"]).expect(0);
}

#[test]
fn verify_names_what_is_missing_unreadable_or_does_not_add_up() {
    let place = Place::new();
    finished(&place, 6);
    place.run(&["job", "verify", "j"]).expect(0);
    let connection = database(&place);
    for damage in [
        "PRAGMA foreign_keys = OFF",
        "DELETE FROM attempt WHERE item = 1",
        "UPDATE call_end SET answer = '{\"v\":9}' WHERE call = 2",
        "UPDATE call_end SET input_tokens = 99999 WHERE call = 3",
        "UPDATE outcome SET emissions = 'x' WHERE item = 4",
        "DELETE FROM item WHERE seq = 5",
        "UPDATE outcome SET state = 'lost' WHERE item = 6",
    ] {
        connection.execute_batch(damage).unwrap();
    }
    drop(connection);
    let found = place.run(&["job", "verify", "j"]).expect(2);
    for part in [
        "1 outcomes whose attempt is not there",
        "1 calls whose answer cannot be read: 2",
        "1 calls whose tokens are not those of their answer: 3",
        "1 items whose output cannot be read: 4",
        "1 outcomes of items that are not there: 5",
        "1 outcomes of an unknown state: 6",
    ] {
        assert!(found.stdout.contains(part), "`{part}` is not said in:\n{}", found.stdout);
    }
    assert!(found.stderr.contains("restore it from a backup"), "{}", found.stderr);
    let told = place.run(&["job", "verify", "j", "--json"]).expect(2).summary();
    assert_eq!(told["whole"], false);
}

#[test]
fn a_running_job_is_paused_goes_on_and_does_more_at_once() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(800));
    let mut child = start(&place, &server, &["--concurrency", "2"]);
    let paused = place.run(&["pause", "j"]).expect(0).stdout;
    assert!(paused.contains("Job j is paused") && paused.contains("sandmill resume j"), "{paused}");
    until("what is in flight", || {
        let now = status(&place, "j");
        now["answered_calls"] == now["provider_calls"]
    });
    let now = status(&place, "j");
    assert!(now["paused"] == true && now["running"] == true, "{now}");
    let before = server.requests();
    for command in [&["job", "verify", "j"][..], &["log", "j"], &["job", "list"], &["cost", "j"]] {
        place.run(command).expect(0);
    }
    assert!(place.run(&["status", "j"]).expect(0).stdout.contains("paused: running in process"));
    assert_eq!(server.requests(), before, "nothing new was begun");
    assert!(child.try_wait().unwrap().is_none());

    // While nothing ends: a busy machine may finish the job before it is asked. What is refused is refused once.
    place.run(&["set", "j", "concurrency", "5000"]).expect_error(2, &["room for", "--concurrency 5000"]);
    place.run(&["set", "j", "max-cost", "1"]).expect_error(2, &["needs the prices of route"]);
    place.run(&["set", "j", "concurrency", "20"]).expect(0);
    let resumed = place.run(&["resume", "j"]).expect(0).stdout;
    assert!(resumed.contains("Job j goes on"), "{resumed}");
    place.run(&["resume", "j"]).expect_error(2, &["is being run by process"]);
    let connection = database(&place);
    let under_way = "SELECT count(*) FROM calls WHERE state = 'under way'";
    until("more calls at once than two", || count(&connection, under_way) > 2);
    let watched = place.run(&["status", "j", "--watch"]).expect(0).stdout;
    let last = watched.lines().last().unwrap();
    assert!(last.contains("800 of 800 items (100 %)") && last.contains("finished: nothing is pending"), "{watched}");
    let summary = ended(&place, child, 0);
    assert_eq!((&summary["job"]["processed"], server.requests()), (&json!(800), 800));
    let said = place.read("stderr");
    assert!(said.contains("Paused: ") && said.contains("The job goes on") && said.contains("Up to 20 items"), "{said}");
    let stored: String = connection.query_row("SELECT arguments FROM job", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap()["concurrency"], 20, "for the next resume");
    assert!(!place.path(".sandmill/j.control").exists(), "what was asked of a run ends with it");
    place.run(&["pause", "j"]).expect_error(2, &["is not being run"]);
}

#[test]
fn a_job_that_is_paused_can_be_stopped_and_its_next_run_is_not_paused() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(200));
    let child = start(&place, &server, &["--concurrency", "2"]);
    place.run(&["pause", "j"]).expect(0);
    signal(child.id(), "TERM");
    let stopped = ended(&place, child, 143);
    assert!(stopped["job"]["pending"].as_u64().unwrap() > 0, "{stopped}");
    assert_eq!(status(&place, "j")["paused"], false);
    place.run(&["resume", "j"]).expect(0);
    assert_eq!(server.requests(), 200);
}

#[test]
fn a_running_job_that_may_cost_less_than_it_has_cost_stops_and_one_that_may_cost_more_goes_on_later() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(400));
    let child = start(&place, &server, &[&["--concurrency", "2", "--max-cost", "5"][..], &PRICES].concat());
    place.run(&["set", "j", "max-cost", "0"]).expect(0);
    let stopped = ended(&place, child, 6);
    assert_eq!(stopped["ended"]["state"], "budget");
    let reason = stopped["ended"]["reason"].as_str().unwrap();
    assert!(reason.contains("may cost $0.00") && reason.contains("--max-cost"), "{reason}");
    // What was set holds for the next run too, and can be set while nobody runs the job.
    place.run(&["resume", "j"]).expect(6);
    place.run(&["set", "j", "max-cost", "much"]).expect_error(2, &["no amount of dollars"]);
    place.run(&["set", "j", "max-cost", "5"]).expect(0);
    place.run(&["set", "j", "concurrency", "64"]).expect(0);
    let resumed = place.run(&["resume", "j", "--json"]).expect(0).summary();
    assert_eq!(resumed["job"]["processed"], 400);
}

#[test]
fn the_policy_bounds_what_is_set_too() {
    let place = Place::new();
    finished(&place, 2);
    place.write("policy.toml", "max_cost = 2.0\n");
    let mut command = place.command(&["set", "j", "max-cost", "3"]);
    let output = command.env("SANDMILL_POLICY", place.path("policy.toml")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("allows $2.00"), "{said}");
    let stored: String = database(&place).query_row("SELECT arguments FROM job", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap()["max_cost"], Value::Null);
}

#[test]
fn a_store_of_an_older_format_is_read_and_goes_on() {
    check_older(1);
    check_older(2);
    check_older(3);
}

#[track_caller]
fn check_older(number: i64) {
    let place = Place::new();
    std::fs::create_dir(place.path(".sandmill")).unwrap();
    let fixture = crate::support::root().join(format!("tests/fixtures/store-{number}.db"));
    let fresh = || std::fs::copy(&fixture, place.path(".sandmill/old.db")).unwrap();
    let format = || {
        let connection = Connection::open(place.path(".sandmill/old.db")).unwrap();
        count(&connection, "PRAGMA user_version")
    };
    for (command, parts) in [
        (&["status", "old"][..], &["2 of 6 done, 1 skipped, 1 failed, 2 pending", "d (line 4): trap/trap"][..]),
        (&["log", "old"], &["run 1 ended: budget, exit code 6", "d failed: trap"]),
        (&["cost", "old"], &["default", "$0.000044"]),
        (&["job", "list"], &["budget", "3/6"]),
        (&["job", "verify", "old"], &["6 items, 2 calls, 2 answers"]),
    ] {
        fresh();
        assert_eq!(format(), number);
        let said = place.run(command).expect(0).stdout;
        for part in parts {
            assert!(said.contains(part), "{command:?}: `{part}` is not said in:\n{said}");
        }
        assert_eq!(format(), 4);
    }
    fresh();
    place.write(
        "in.jsonl",
        concat!(
            "{\"id\":\"a\",\"do\":\"ask\",\"prompt\":\"one\"}\n{\"id\":\"b\",\"do\":\"ask\",\"prompt\":\"two\"}\n",
            "{\"id\":\"c\",\"do\":\"skip\",\"reason\":\"nothing to do\"}\n{\"id\":\"d\",\"do\":\"panic\"}\n",
            "{\"id\":\"e\",\"do\":\"ask\",\"prompt\":\"five\"}\n{\"id\":\"f\",\"do\":\"ask\",\"prompt\":\"six\"}\n"
        ),
    );
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--job", "old", "--json", "--provider", "mock"];
    let args = [&args[..], &["--on-change", "keep"], &PRICES].concat();
    let first = place.run(&args).expect(3);
    assert!(!first.stderr.contains("The input has changed"), "{}", first.stderr);
    let summary = first.summary();
    let run = &summary["run"];
    assert_eq!(
        (&run["skipped_already_done"], &run["provider_calls"]),
        (&json!(3), &json!(2)),
        "e and f ask, nobody else"
    );
    assert_eq!((&summary["job"]["processed"], &summary["job"]["failed"]), (&json!(4), &json!(1)));
    place.run(&["job", "verify", "old"]).expect(0);
    // From the arguments that are stored now.
    let resumed = place.run(&["resume", "old", "--json"]).expect(3).summary();
    assert_eq!(resumed["run"]["provider_calls"], 0);
}

#[test]
fn jobs_in_other_folders_are_exported_merged_and_taken_answers_from_and_all_of_them_are_whole() {
    let place = Place::new();
    finished(&place, 3);
    std::fs::create_dir(place.path("away")).unwrap();
    std::fs::rename(place.path(".sandmill/j.db"), place.path("away/j.db")).unwrap();
    place.run(&["export", "away/j.db", "-o", "again.jsonl"]).expect(0);
    assert_eq!(place.read("again.jsonl"), place.read("out.jsonl"));
    place.run(&["failed", "list", "away/j.db"]).expect(0);
    place.run(&["failed", "retry", "away/j.db"]).expect(0);
    place.run(&["export", "away/k.db", "-o", "x.jsonl"]).expect_error(2, &["no job `k` in away", "there is `j`"]);

    place.write("in.jsonl", questions(5));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--job", "more", "--json", "--provider", "mock"];
    let args = [&args[..], &["--reuse", "away/j.db"], &PRICES].concat();
    let rehearsed = place.run(&[&args[..], &["--dry-run"]].concat()).expect(0).summary();
    assert_eq!((&rehearsed["items"], &rehearsed["calls"]), (&json!(5), &json!(2)), "{rehearsed}");
    let summary = place.run(&args).expect(0).summary();
    assert_eq!((&summary["run"]["provider_calls"], &summary["run"]["reused_calls"]), (&json!(2), &json!(3)));
    place.run(&["job", "verify", "more"]).expect(0);
    // The path holds in every folder.
    let mut resume = place.command(&["resume", "../.sandmill/more.db"]);
    let resumed = resume.current_dir(place.path("away")).output().unwrap();
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));

    // What was taken from the other job is in nobody's books twice.
    place.run(&["merge", "more", "away/j.db", "--into", "all"]).expect(0);
    place.run(&["job", "verify", "all"]).expect(0);
    assert_eq!(status(&place, "all")["provider_calls"], 5);
    let merged = Connection::open(place.path(".sandmill/all.db")).unwrap();
    assert_eq!(count(&merged, "SELECT count(*) FROM call_end WHERE state = 'taken' AND source LIKE '/%/j.db'"), 3);
}

#[test]
fn what_was_pruned_is_empty_in_exports_and_comes_back_by_merging_with_a_copy() {
    let place = Place::new();
    finished(&place, 3);
    place.run(&["job", "backup", "j", "copy.db"]).expect(0);
    place.run(&["job", "prune", "j", "--keep", "outputs"]).expect(0);
    let columns = ["--only", "all", "--columns", "id,input,input.prompt,output"];
    place.run(&[&["export", "j", "-o", "pruned.jsonl"], &columns[..]].concat()).expect(0);
    for line in place.read("pruned.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(row["input"].is_null() && row["input.prompt"].is_null() && !row["output"].is_null(), "{line}");
    }
    for inputs in [["j", "copy.db"], ["copy.db", "j"]] {
        let name = format!("from-{}", inputs[0]);
        place.run(&["merge", inputs[0], inputs[1], "--into", &name]).expect(0);
        place.run(&["job", "verify", &name]).expect(0);
        let merged = Connection::open(place.path(&format!(".sandmill/{name}.db"))).unwrap();
        assert_eq!(count(&merged, "SELECT count(*) FROM item WHERE input = ''"), 0, "{name}");
        assert_eq!(count(&merged, "SELECT count(*) FROM call_end WHERE answer IS NULL"), 0, "{name}");
    }
    // Answers that are gone are taken from whoever has them.
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--json", "--provider", "mock"];
    let redo = ["--set", "new=true", "--on-change", "redo", "--reuse", "copy.db"];
    let redone = place.run(&[&args[..], &redo, &PRICES].concat()).expect(0).summary();
    assert_eq!((&redone["run"]["processed"], &redone["run"]["provider_calls"]), (&json!(3), &json!(0)), "{redone}");
    place.run(&["job", "verify", "j"]).expect(0);
}

#[test]
fn the_log_of_an_item_that_is_done_ends_with_that() {
    let place = Place::new();
    place.write("in.jsonl", items(1, |_| json!({"id": "a", "do": "ok"})));
    place.run(&["run", &plugin("misbehave"), "--input", "in.jsonl", "--job", "j"]).expect(0);
    let log = place.run(&["log", "j", "--item", "a"]).expect(0).stdout;
    assert!(log.ends_with(" a done\n"), "{log}");
}
