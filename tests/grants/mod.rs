//! What a plugin reaches of the world: what was granted, and nothing beside it.

mod http;

use crate::support::{Place, Ran, plugin};
use serde_json::{Value, json};
use std::path::Path;

/// Runs one item for each of `wishes` and hands back what came of them; `{"ok": …}` or `{"refused": …}`.
#[track_caller]
fn reached(place: &Place, grants: &[&str], wishes: &[Value]) -> Vec<Value> {
    run(place, grants, wishes).expect(0);
    place.rows("out.jsonl").into_iter().map(|(_, output)| output).collect()
}

fn run(place: &Place, grants: &[&str], wishes: &[Value]) -> Ran {
    let flags: Vec<&str> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
    run_with(place, &flags, wishes)
}

fn run_with(place: &Place, flags: &[&str], wishes: &[Value]) -> Ran {
    place.write("in.jsonl", lines(wishes));
    let fixed =
        ["run", &plugin("reaching"), "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j", "--on-change", "redo"];
    place.run(&[&fixed[..], flags].concat())
}

fn lines(wishes: &[Value]) -> String {
    wishes.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn read(path: &str) -> Value {
    json!({ "do": "read", "path": path })
}

fn is_refused(came: &Value) -> bool {
    came["refused"].is_string()
}

/// Files within a folder that is given, and one outside.
fn with_files() -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.path("data/inner")).unwrap();
    place.write("data/a.txt", "alpha");
    place.write("data/inner/b.txt", "beta");
    place.write("secret.txt", "secret");
    place
}

#[test]
fn a_folder_is_read_where_it_was_given_and_changed_nowhere() {
    let place = with_files();
    let wishes = [
        read("/data/a.txt"),
        read("/data/inner/b.txt"),
        json!({ "do": "list", "path": "/data" }),
        json!({ "do": "write", "path": "/data/new.txt", "text": "x" }),
        json!({ "do": "write", "path": "/data/a.txt", "text": "x" }),
        json!({ "do": "remove", "path": "/data/a.txt" }),
        json!({ "do": "link", "from": "new", "to": "a.txt" }),
        read("/etc/passwd"),
        read(&place.path("secret.txt").display().to_string()),
    ];
    let came = reached(&place, &["read=data"], &wishes);
    assert_eq!((&came[0]["ok"], &came[1]["ok"]), (&json!("alpha"), &json!("beta")));
    assert_eq!(came[2]["ok"].as_array().unwrap().len(), 2, "{came:?}");
    assert!(came[3..].iter().all(is_refused), "{came:?}");
    assert_eq!(place.read("data/a.txt"), "alpha");
    let without = reached(&Place::new(), &[], &wishes);
    assert!(without.iter().all(is_refused), "{without:?}");
}

#[test]
fn a_folder_is_written_into_and_seen_where_the_grant_says() {
    let place = with_files();
    let wishes = [
        json!({ "do": "write", "path": "/out/new.txt", "text": "made" }),
        json!({ "do": "remove", "path": "/out/a.txt" }),
        json!({ "do": "write", "path": "/out/../secret.txt", "text": "x" }),
        json!({ "do": "write", "path": "/data/new.txt", "text": "x" }),
    ];
    let came = reached(&place, &["write=data=/out"], &wishes);
    assert_eq!((&came[0]["ok"], &came[1]["ok"]), (&json!(true), &json!(true)), "{came:?}");
    assert!(came[2..].iter().all(is_refused), "{came:?}");
    assert_eq!((place.read("data/new.txt").as_str(), place.read("secret.txt").as_str()), ("made", "secret"));
    assert!(!place.path("data/a.txt").exists());
}

#[test]
fn a_plugin_that_writes_beyond_its_limit_is_told_so_and_writes_no_more() {
    let place = with_files();
    let ten = "x".repeat(10);
    let wish = |name: &str, tens| json!({ "do": "write", "path": format!("/data/{name}"), "text": ten.repeat(tens) });
    let wishes = [wish("a", 1_000), wish("b", 1_000), wish("c", 1_001)];
    run_with(&place, &["--grant", "write=data", "--limit-written", "10000"], &wishes).expect(0);
    let came: Vec<Value> = place.rows("out.jsonl").into_iter().map(|(_, output)| output).collect();
    assert_eq!((&came[0]["ok"], &came[1]["ok"]), (&json!(true), &json!(true)), "an attempt has it for itself");
    assert!(came[2]["refused"].as_str().unwrap().contains("I/O error"), "{came:?}");
    assert!(place.read("data/c").len() <= 10_000);
}

#[test]
fn neither_dots_nor_links_lead_out_of_a_folder() {
    let place = with_files();
    let link = |to: &Path, from: &str| std::os::unix::fs::symlink(to, place.path(from)).unwrap();
    link(&place.path("secret.txt"), "data/absolute");
    link(Path::new("../secret.txt"), "data/relative");
    link(&place.path(""), "data/folder");
    link(Path::new("inner/b.txt"), "data/within");
    let outside = [
        read("/data/../secret.txt"),
        read("/data/inner/../../secret.txt"),
        read("/data/absolute"),
        read("/data/relative"),
        read("/data/folder/secret.txt"),
        json!({ "do": "list", "path": "/data/folder" }),
        json!({ "do": "list", "path": "/data/.." }),
        json!({ "do": "write", "path": "/data/relative", "text": "x" }),
        json!({ "do": "write", "path": "/data/folder/new.txt", "text": "x" }),
    ];
    let came = reached(&place, &["write=data"], &[&outside[..], &[read("/data/within")]].concat());
    assert!(came[..outside.len()].iter().all(is_refused), "{came:?}");
    assert_eq!(came[outside.len()]["ok"], "beta");
    assert_eq!(place.read("secret.txt"), "secret");
    assert!(!place.path("new.txt").exists());
}

#[test]
fn a_link_that_the_plugin_makes_leads_it_nowhere() {
    let place = with_files();
    let links = [
        json!({ "do": "link", "from": "up", "to": "../secret.txt" }),
        json!({ "do": "link", "from": "root", "to": "/etc/passwd" }),
    ];
    reached(&place, &["write=data"], &links);
    let came = reached(&place, &["write=data"], &[read("/data/up"), read("/data/root")]);
    assert!(came.iter().all(is_refused), "{came:?}");
}

#[test]
fn a_folder_that_cannot_be_given_is_named_before_any_item_runs() {
    let place = with_files();
    std::fs::create_dir(place.path("keys")).unwrap();
    place.write("keys/house", "sk-house");
    place.write("sandmill.toml", "[provider.house]\nbase_url = \"http://127.0.0.1:9\"\nkey_file = \"keys/house\"\n");
    let refused = |grant: &str, parts: &[&str]| run(&place, &[grant], &[read("/x")]).expect_error(2, parts);
    refused("read=missing", &["missing", "cannot be opened"]);
    refused("read=secret.txt", &["secret.txt", "cannot be opened"]);
    refused("write=.=/here", &["is not given"]);
    refused("write=.sandmill=/jobs", &["the jobs' store"]);
    refused("read=keys", &["the key of [provider.house]"]);
    refused("read=/proc", &["the system's own"]);
    refused("read=/=/root", &["the system's own"]);
    refused("read==/data", &["which folder", "read=FOLDER=/data"]);
    refused("reed=data", &["is no grant"]);
    assert!(!place.path(".sandmill/j.db").exists(), "no job was made");
}

#[test]
fn a_variable_is_given_by_its_name_and_no_key_is() {
    let place = Place::new();
    let wishes = [
        json!({ "do": "env", "name": "COLOUR" }),
        json!({ "do": "env", "name": "OTHER" }),
        json!({ "do": "variables" }),
    ];
    place.write("in.jsonl", lines(&wishes));
    let set =
        [("COLOUR", "red"), ("OTHER", "x"), ("OPENAI_API_KEY", "sk-1"), ("COPY", "Bearer sk-1"), ("HOUSE", "sk-2")];
    let set: Vec<(&str, String)> = set.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    let run = |grants: &[&str], flags: &[&str]| {
        let grants: Vec<&str> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
        let fixed = ["run", &plugin("reaching"), "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j"];
        place.run_with(&[&fixed[..], &grants, flags].concat(), &set)
    };
    run(&["env=COLOUR"], &[]).expect(0);
    let came: Vec<Value> = place.rows("out.jsonl").into_iter().map(|(_, output)| output).collect();
    assert_eq!((&came[0]["ok"], &came[2]["ok"]), (&json!("red"), &json!(["COLOUR"])));
    assert!(is_refused(&came[1]), "{came:?}");
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SANDMILL_REGISTRY_AUTH", "COPY"] {
        run(&[&format!("env={name}")], &[]).expect_error(2, &[name, "keys never enter a plugin"]);
    }
    let own = ["--provider", "openai", "--model", "m", "--api-key-env", "HOUSE"];
    run(&["env=HOUSE"], &own).expect_error(2, &["HOUSE", "keys never enter a plugin"]);
    place.write("sandmill.toml", "[provider.house]\nbase_url = \"http://127.0.0.1:9\"\nkey_env = \"HOUSE\"\n");
    run(&["env=HOUSE"], &[]).expect_error(2, &["HOUSE", "keys never enter a plugin"]);
}

#[test]
fn time_and_chance_are_real_where_they_are_granted_and_a_replay_says_so() {
    let wishes = [json!({ "do": "random" }), json!({ "do": "clock", "sleep_ms": 30 })];
    let draw = |grants: &[&str]| {
        let place = Place::new();
        let ran = run(&place, grants, &wishes).expect(0);
        let came: Vec<Value> = place.rows("out.jsonl").into_iter().map(|(_, output)| output["ok"].clone()).collect();
        (came[0].clone(), came[1]["slept_ms"].as_str().unwrap().parse::<u64>().unwrap(), ran.stderr)
    };
    let (one, other) = (draw(&[]), draw(&[]));
    assert_eq!(one.0, other.0, "without a grant chance follows from the item");
    assert!(!one.2.contains("clock") && !one.2.contains("may ask anew"), "{}", one.2);
    let (one, other) = (draw(&["random", "clock"]), draw(&["random", "clock"]));
    assert_ne!(one.0, other.0);
    assert!(one.1 >= 30, "{one:?}");
    assert!(one.2.contains("clock: clock") && one.2.contains("may ask anew"), "{}", one.2);
}

#[test]
fn what_a_plugin_needs_and_was_not_granted_is_told_with_the_flags_that_give_it() {
    let place = with_files();
    let folder = place.path("asking");
    std::fs::create_dir_all(folder.join("own")).unwrap();
    let asks =
        "[grants]\nread = [\"own\", \"=/corpus\"]\nhttp = [\"api.example.com\"]\n[grants.optional]\nclock = true\n";
    let toml = format!(
        "name = \"asking\"\ncomponent = \"x.wasm\"\nsources = [\"own\"]\n[build]\ncommand = [\"true\"]\n{asks}"
    );
    place.write("asking/plugin.toml", toml);
    std::fs::copy(crate::support::root().join("target/wasm32-wasip2/plugin/reaching.wasm"), {
        plugin("reaching");
        folder.join("x.wasm")
    })
    .unwrap();
    place.write("in.jsonl", format!("{}\n", read("/corpus/a.txt")));
    let run = |flags: &[&str]| {
        place.run(&[&["run", "asking", "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j"][..], flags].concat())
    };
    let own = format!("--grant read={}=/own", folder.join("own").display());
    run(&[]).expect_error(2, &["`asking`", &own, "--grant read=FOLDER=/corpus", "--grant http=api.example.com"]);
    let flags = ["--grant", "read=asking/own", "--grant", "http=api.example.com", "--grant", "read=data=/corpus"];
    run(&flags[..4]).expect_error(2, &["/corpus"]);
    let ran = run(&[&flags[..], &["--grant", "env=LANG"]].concat()).expect(0);
    assert!(ran.stderr.contains("not asked for by its plugin.toml: env=LANG"), "{}", ran.stderr);
    assert_eq!(place.rows("out.jsonl")[0].1["ok"], "alpha");
    let told =
        place.run(&["plugin", "inspect", "asking", "--grant", "read=data=/corpus", "--json"]).expect(0).summary();
    assert_eq!(told["missing"], json!(["read=own", "http=api.example.com"]));
    assert_eq!(told["reaches"][0]["granted"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn what_the_file_grants_holds_for_the_plugin_that_it_names_and_no_other() {
    let place = with_files();
    let named = |name: &str| format!("[grants.{name:?}]\nread = [\"data\"]\n");
    place.write("sandmill.toml", named(&plugin("reaching")));
    assert_eq!(reached(&place, &[], &[read("/data/a.txt")])[0]["ok"], "alpha");
    place.write("sandmill.toml", named("plugins/other") + &named("reaching"));
    assert!(is_refused(&reached(&place, &[], &[json!({ "do": "read", "path": "/data/a.txt", "n": 2 })])[0]));
    place.run(&["config", "check"]).expect(0);
    place.write("sandmill.toml", "[grants.x]\nread = [\"..\"]\n");
    place.run(&["config", "check"]).expect_error(2, &["[grants.", "has no name"]);
}

#[test]
fn a_job_keeps_its_grants_from_any_folder_and_new_ones_are_no_change_of_it() {
    let place = with_files();
    reached(&place, &["read=data"], &[read("/data/a.txt")]);
    place.write("in.jsonl", format!("{}\n{}\n", read("/data/a.txt"), read("/data/inner/b.txt")));
    let elsewhere = Place::new();
    let store = place.path(".sandmill").display().to_string();
    elsewhere.run(&["resume", "j", "--store", &store]).expect(0);
    let came: Vec<Value> = place.rows("out.jsonl").into_iter().map(|(_, output)| output).collect();
    assert_eq!(came, [json!({ "ok": "alpha" }), json!({ "ok": "beta" })]);
    let fixed = ["run", &plugin("reaching"), "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j"];
    let ran = place.run(&[&fixed[..], &["--grant", "read=data", "--grant", "clock"]].concat()).expect(0);
    assert!(ran.stderr.contains("2 of 2 done"), "{}", ran.stderr);
}

#[test]
fn an_item_that_is_run_once_more_reads_what_was_granted_and_changes_nothing() {
    let place = with_files();
    let wishes = [
        json!({ "id": "reads", "do": "read", "path": "/data/a.txt" }),
        json!({ "id": "removes", "do": "remove", "path": "/data/inner/b.txt" }),
    ];
    reached(&place, &["write=data"], &wishes);
    std::fs::write(place.path("data/inner/b.txt"), "beta").unwrap();
    let said = |item: &str| place.run(&["debug", "j", item]).expect(0).stdout;
    assert!(said("reads").contains("alpha"));
    assert!(said("removes").contains("refused"));
    assert_eq!(place.read("data/inner/b.txt"), "beta");
}

#[test]
fn a_policy_bounds_what_may_be_granted() {
    let place = with_files();
    let policy = format!("[grants]\nread = [\"{}\"]\nclock = true\n", place.path("data").display());
    let policy = [("SANDMILL_POLICY", place.write("policy.toml", policy).display().to_string())];
    place.write("in.jsonl", format!("{}\n", read("/inner/b.txt")));
    let run = |grant: &str| {
        let fixed =
            ["run", &plugin("reaching"), "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j", "--grant", grant];
        place.run_with(&fixed, &policy)
    };
    for grant in ["write=data/inner", "random", "env=LANG", "http=api.example.com", "read=data/../asking=/x"] {
        run(grant).expect_error(2, &[grant.split('=').next().unwrap(), "the policy", "allows"]);
    }
    run("read=data/inner").expect(0);
    assert_eq!(place.rows("out.jsonl")[0].1["ok"], "beta");
}

#[test]
fn routes_that_the_file_does_not_name_for_a_plugin_are_not_asked() {
    let place = Place::new();
    place.write("in.jsonl", "{\"text\":\"a\"}\n");
    let prompt = plugin("prompt");
    let toml = |routes: &str| {
        format!(
            "[route.one]\nprovider = \"mock\"\nfallback = {{ open = \"two\" }}\n[route.two]\nprovider = \"mock\"\n[grants.{prompt:?}]\nroutes = {routes}\n"
        )
    };
    let run = || {
        let flags = ["--set", "prompt=say {{text}}", "--input", "in.jsonl", "--route", "one", "--job", "j"];
        place.run(&[&["run", &prompt][..], &flags].concat())
    };
    place.write("sandmill.toml", toml("[\"one\"]"));
    run().expect_error(2, &["`two`", "lets this plugin ask one"]);
    place.write("sandmill.toml", toml("[\"one\", \"two\"]"));
    run().expect(0);
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_does_not_give() {
    let place = with_files();
    place.write("in.jsonl", format!("{}\n", json!({ "do": "write", "path": "/data/new.txt", "text": "x" })));
    let fixed = ["run", &plugin("reaching"), "--input", "in.jsonl", "--job", "j", "--dry-run"];
    let ran = place.run(&[&fixed[..], &["--grant", "write=data"]].concat()).expect(0);
    assert!(ran.stderr.contains("files: read="), "{}", ran.stderr);
    assert!(!place.path("data/new.txt").exists());
}
