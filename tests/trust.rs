//! Plugins that are trusted: pinned, signed, from a registry, and looked into before that.

#[path = "../host/src/registry/tests/server.rs"]
#[expect(dead_code, reason = "the tests of the module use the rest")]
mod server;

use crate::support::{Place, Ran, items, plugin, root};
use minisign::KeyPair;
use serde_json::{Value, json};
use server::{Door, Server, Wrong, digest};
use std::io::Cursor;
use std::path::Path;

fn component(name: &str) -> Vec<u8> {
    plugin(name);
    std::fs::read(root().join(format!("plugins/target/wasm32-wasip2/plugin/{name}.wasm"))).unwrap()
}

/// With items, a cache of its own and nobody's credentials.
struct Desk {
    place: Place,
    env: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Self {
        let place = Place::new();
        place.write("in.jsonl", items(2, |index| json!({"id": index, "text": "jo@example.org"})));
        let home = place.path("home").display().to_string();
        Self {
            place,
            env: vec![("HOME", home.clone()), ("XDG_CACHE_HOME", format!("{home}/cache")), ("XDG_RUNTIME_DIR", home)],
        }
    }

    #[track_caller]
    fn sandmill(&self, args: &[&str]) -> Ran {
        self.place.run_with(args, &self.env)
    }

    #[track_caller]
    fn run(&self, plugin: &str, more: &[&str]) -> Ran {
        self.sandmill(&[&["run", plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--fresh"], more].concat())
    }

    #[track_caller]
    fn json(&self, args: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.sandmill(&[args, &["--json"]].concat()).expect(code).stdout).unwrap()
    }

    fn policy(&mut self, text: &str) {
        let path = self.place.write("policy.toml", text);
        self.env.push(("SANDMILL_POLICY", path.display().to_string()));
    }

    fn sign(&self, pair: &KeyPair, name: &str) {
        let bytes = std::fs::read(self.place.path(name)).unwrap();
        self.place.write(&format!("{name}.minisig"), signature(pair, &bytes));
    }
}

fn signature(pair: &KeyPair, bytes: &[u8]) -> String {
    minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some("a release"), None).unwrap().into_string()
}

#[test]
fn a_plugin_that_is_not_what_was_pinned_runs_nothing_until_it_is_accepted() {
    let desk = Desk::new();
    let (old, new) = (component("redact"), component("summarize"));
    desk.place.write("p.wasm", &old);
    desk.run("p.wasm", &["--locked"])
        .expect_error(2, &["is not pinned", "--locked", "sandmill plugin lock", &digest(&old)]);
    let told = desk.sandmill(&["plugin", "lock", "p.wasm"]).expect(0).stdout;
    assert!(told.contains(&format!("pinned p.wasm to {}", digest(&old))), "{told}");
    desk.run("p.wasm", &["--locked"]).expect(0);
    desk.place.write("p.wasm", &new);
    for more in [&[][..], &["--locked"]] {
        desk.run("p.wasm", more)
            .expect_error(2, &[&digest(&old), &digest(&new), "sandmill plugin diff", "sandmill plugin lock"]);
    }
    let told = desk.sandmill(&["plugin", "lock", "p.wasm"]).expect(0).stdout;
    assert!(told.contains(&format!("it was {}", digest(&old))), "{told}");
    desk.run("p.wasm", &["--locked", "--provider", "mock"]).expect(0);
    desk.place.write("plugin.lock", "version = 9");
    desk.run("p.wasm", &[]).expect_error(2, &["plugin.lock", "version 9"]);
}

#[test]
fn a_pin_holds_for_a_resumed_job_from_any_folder() {
    let desk = Desk::new();
    desk.place.write("p.wasm", component("redact"));
    desk.sandmill(&["plugin", "lock", "p.wasm"]).expect(0);
    desk.run("p.wasm", &["--job", "j"]).expect(0);
    desk.place.write("p.wasm", component("summarize"));
    let store = desk.place.path(".sandmill").display().to_string();
    let elsewhere = Desk::new();
    elsewhere.sandmill(&["resume", "j", "--store", &store]).expect_error(2, &["is pinned"]);
}

#[test]
fn a_policy_that_wants_signed_and_pinned_plugins_is_met_or_nothing_runs() {
    let (ours, theirs) =
        (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
    let mut desk = Desk::new();
    desk.place.write("p.wasm", component("redact"));
    desk.policy("require_signed = true\nrequire_pinned = true");
    desk.run("p.wasm", &[]).expect_error(2, &["no key is trusted", "trusted_keys"]);
    desk.place.write("sandmill.toml", format!("[trust]\nkeys = [{:?}]", ours.pk.to_base64()));
    desk.run("p.wasm", &[]).expect_error(2, &["is not pinned", "policy.toml, require_pinned"]);
    desk.sandmill(&["plugin", "lock", "p.wasm"]).expect_error(2, &["is not signed", "policy.toml, require_signed"]);
    desk.sign(&theirs, "p.wasm");
    desk.sandmill(&["plugin", "lock", "p.wasm"]).expect_error(2, &["a key that is not trusted"]);
    desk.sign(&ours, "p.wasm");
    desk.sandmill(&["plugin", "lock", "p.wasm"]).expect(0);
    desk.run("p.wasm", &[]).expect(0);
    let shown = desk.sandmill(&["config", "show"]).expect(0).stdout;
    assert!(shown.contains("policy.require_signed") && shown.contains("trust.keys"), "{shown}");
    desk.policy(&format!("require_signed = true\ntrusted_keys = [{:?}]", theirs.pk.to_base64()));
    desk.run("p.wasm", &[]).expect_error(2, &["a key that is not trusted"]);
}

#[test]
fn a_signature_of_other_bytes_is_refused_whether_one_is_wanted_or_not() {
    let ours = KeyPair::generate_unencrypted_keypair().unwrap();
    let desk = Desk::new();
    desk.place.write("p.wasm", component("redact"));
    desk.sign(&ours, "p.wasm");
    desk.place.write("p.wasm", component("summarize"));
    desk.place.write("sandmill.toml", format!("[trust]\nkeys = [{:?}]", ours.pk.to_base64()));
    desk.run("p.wasm", &[]).expect_error(2, &["the signature of", "is bad"]);
    let shown = desk.sandmill(&["plugin", "inspect", "p.wasm", "--no-describe"]).expect(0).stdout;
    assert!(shown.contains("signed   BADLY"), "{shown}");
    desk.place.write("sandmill.toml", "[trust]\nkeys = [\"RWrong\"]");
    desk.sandmill(&["config", "check"]).expect_error(2, &["`RWrong`", ".pub"]);
}

#[test]
fn a_plugin_of_a_registry_runs_once_it_is_fixed_and_then_without_the_registry() {
    let (desk, server) = (Desk::new(), Server::start(Door::Anonymous));
    let (old, new) = (component("redact"), component("summarize"));
    let manifest = server.push("acme/p", "1.0", &old, &[]);
    let tag = format!("oci://{}/acme/p:1.0", server.host);
    desk.run(&tag, &[]).expect_error(2, &["is a tag, which can be moved", &manifest, "sandmill plugin lock"]);
    desk.run(&format!("{tag}@{manifest}"), &["--locked"]).expect(0);
    assert_eq!(desk.place.rows("out.jsonl").len(), 2);
    let told = desk.sandmill(&["plugin", "lock", &tag]).expect(0).stdout;
    assert!(told.contains(&digest(&old)), "{told}");
    let moved = server.push("acme/p", "1.0", &new, &[]);
    let asked = server.asked().len();
    desk.run(&tag, &["--locked", "--job", "j"]).expect(0);
    desk.sandmill(&["resume", "j"]).expect(0);
    assert_eq!(server.asked().len(), asked, "what is pinned and kept is not asked for");
    let cache = desk.place.path("home/cache/sandmill/plugins");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&cache.metadata().unwrap()) & 0o777, 0o700);
    let difference = desk.json(&["plugin", "diff", &format!("{tag}@{manifest}"), &tag], 7);
    assert_eq!(difference["rights_grew"], true);
    let told = desk.sandmill(&["plugin", "lock", &tag]).expect(0).stdout;
    assert!(told.contains(&format!("it was {}", digest(&old))), "{told}");
    assert!(desk.place.read("plugin.lock").contains(&moved));
    std::fs::remove_dir_all(&cache).unwrap();
    server.does_wrong(&digest(&new), Wrong::Bytes(old));
    desk.run(&tag, &[]).expect_error(2, &["not sha256:", &digest(&new)]);
}

#[test]
fn credentials_come_from_the_environment_or_from_docker_and_are_never_shown() {
    for door in [Door::Basic, Door::Token] {
        let (mut desk, server) = (Desk::new(), Server::start(door));
        let manifest = server.push("p", "1", &component("redact"), &[]);
        let plugin = format!("oci://{}/p:1@{manifest}", server.host);
        let inspect = |desk: &Desk| desk.sandmill(&["plugin", "inspect", "--no-describe", &plugin]);
        inspect(&desk).expect_error(2, &["without credentials", "docker login", "SANDMILL_REGISTRY_AUTH"]);
        desk.env.push(("SANDMILL_REGISTRY_AUTH", format!("{}=jo:wr0ng", server.host)));
        let ran = inspect(&desk).expect(2);
        assert!(ran.stderr.contains("with the credentials") && !ran.stderr.contains("wr0ng"), "{}", ran.stderr);
        desk.env.pop();
        desk.env.push(("SANDMILL_REGISTRY_AUTH", "ghcr.io=jo:other".into()));
        std::fs::create_dir_all(desk.place.path("home/.docker")).unwrap();
        let config = json!({"auths": {&server.host: {"auth": "am86c2VjcmV0"}}});
        desk.place.write("home/.docker/config.json", config.to_string());
        inspect(&desk).expect(0);
        assert!(server.asked().iter().all(|(_, given)| !given.contains("other")));
        std::fs::remove_dir_all(desk.place.path("home")).unwrap();
        desk.env.pop();
        desk.env.push(("SANDMILL_REGISTRY_AUTH", format!("{}=jo:secret", server.host)));
        inspect(&desk).expect(0);
    }
}

#[test]
fn a_signature_travels_with_a_component_of_a_registry() {
    let (ours, mut desk, server) =
        (KeyPair::generate_unencrypted_keypair().unwrap(), Desk::new(), Server::start(Door::Open));
    let bytes = component("redact");
    let good = server.push("p", "good", &bytes, &[("sandmill.minisig", &signature(&ours, &bytes))]);
    let none = server.push("p", "none", &bytes, &[]);
    desk.policy(&format!("require_signed = true\ntrusted_keys = [{:?}]", ours.pk.to_base64()));
    desk.run(&format!("oci://{}/p@{none}", server.host), &[]).expect_error(2, &["is not signed"]);
    desk.run(&format!("oci://{}/p@{good}", server.host), &[]).expect(0);
}

#[test]
fn a_look_into_a_plugin_shows_what_it_is_and_fits_a_terminal() {
    let desk = Desk::new();
    let folder = plugin("summarize");
    let text = desk.sandmill(&["plugin", "inspect", &folder]).expect(0).stdout;
    for part in [
        &digest(&component("summarize"))[..],
        "Rust",
        "rustc",
        "sandmill:plugin/processor@1.0.0",
        "sandmill:plugin/llm@1.0.0",
        "DWARF",
        "name     summarize",
        "pinned   no",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let shown = desk.json(&["plugin", "inspect", &folder], 0);
    assert_eq!(shown["manifest"]["name"], "summarize");
    assert!(shown["manifest"]["model_roles"].as_array().is_some_and(|roles| !roles.is_empty()), "{shown}");
    assert!(shown["bytes"].as_u64().unwrap() > 10_000 && shown["memory_bytes"].as_u64().unwrap() > 0);
    assert_eq!((&shown["describe_error"], &shown["signature"]["state"]), (&Value::Null, &json!("none")));
}

#[test]
fn a_plugin_that_fails_to_describe_itself_is_looked_into_all_the_same() {
    let desk = Desk::new();
    desk.place.write("sandmill.toml", "[limits]\nmemory = \"64KiB\"");
    let shown = desk.json(&["plugin", "inspect", &plugin("redact")], 0);
    assert!(
        shown["manifest"].is_null() && shown["describe_error"].as_str().is_some_and(|why| !why.is_empty()),
        "{shown}"
    );
    assert_eq!(shown["world"], "sandmill:plugin/processor@1.0.0");
    desk.place.write("other.wat", "(component (import \"acme:x/y@1.0.0\" (instance)))");
    let text = desk.sandmill(&["plugin", "inspect", "other.wat"]).expect(0).stdout;
    assert!(text.contains("imports  acme:x/y@1.0.0") && text.contains("says     nothing"), "{text}");
    desk.place.write("none.wasm", "hello");
    desk.sandmill(&["plugin", "inspect", "none.wasm"]).expect_error(2, &["not WebAssembly"]);
    desk.sandmill(&["plugin", "lock", "none.wasm"]).expect_error(2, &["not WebAssembly"]);
    assert!(!Path::new(&desk.place.path("plugin.lock")).exists());
}

#[test]
fn a_plugin_that_may_do_more_ends_in_an_exit_code_of_its_own() {
    let desk = Desk::new();
    let (redact, summarize) = (plugin("redact"), plugin("summarize"));
    let grown = desk.sandmill(&["plugin", "diff", &redact, &summarize]).expect(7).stdout;
    assert!(
        grown.contains("may do more") && grown.contains("it can ask models (sandmill:plugin/llm@1.0.0)"),
        "{grown}"
    );
    assert!(grown.lines().all(|line| line.chars().count() <= 80), "{grown}");
    let shrunk = desk.sandmill(&["plugin", "diff", &summarize, &redact]).expect(0).stdout;
    assert!(shrunk.contains("may do no more") && shrunk.contains("- import: sandmill:plugin/llm@1.0.0"), "{shrunk}");
    let same = desk.sandmill(&["plugin", "diff", &redact, &redact]).expect(0).stdout;
    assert!(same.contains("the same component"), "{same}");
}
