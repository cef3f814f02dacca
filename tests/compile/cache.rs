//! The second start takes what the first one compiled; whatever is wrong with that, the run goes on.

use super::{place, redact};
use crate::support::{Place, Ran, plugin};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

fn with_default_limits() -> Place {
    place("5m", "4GiB")
}

fn run(place: &Place, more: &[&str]) -> Ran {
    let redact = plugin("redact");
    place.run(&[&["run", &redact, "--input", "in.jsonl", "--fresh"], more].concat()).expect(0)
}

fn entries(place: &Place) -> Vec<PathBuf> {
    std::fs::read_dir(place.path("cache")).unwrap().map(|file| file.unwrap().path()).collect()
}

#[test]
fn what_was_compiled_is_kept_and_what_is_damaged_is_compiled_anew() {
    let place = with_default_limits();
    let cache = ["--cache", "cache"];
    run(&place, &cache);
    let kept = entries(&place);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let whole = std::fs::read(&kept[0]).unwrap();
    // A compiler that may use no time cannot be what makes it work.
    place.write("sandmill.toml", "[sandbox]\ncompile_memory = \"256MiB\"\ncompile_cpu = \"1s\"\n");
    let second = run(&place, &cache);
    assert!(!second.stderr.contains("warning"), "{}", second.stderr);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), whole);
    place.write("sandmill.toml", "");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&kept[0], damaged).unwrap();
    let third = run(&place, &cache);
    assert!(third.stderr.contains("was damaged"), "{}", third.stderr);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), whole, "the same code for the same component");
}

#[test]
fn a_cache_that_others_can_write_to_is_told_and_not_used() {
    let place = with_default_limits();
    std::fs::create_dir(place.path("cache")).unwrap();
    std::fs::set_permissions(place.path("cache"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let open = run(&place, &["--cache", "cache"]);
    assert!(open.stderr.contains("others can write to") && open.stderr.contains("chmod 700"), "{}", open.stderr);
    assert_eq!(entries(&place).len(), 0);
    std::os::unix::fs::symlink("cache", place.path("link")).unwrap();
    let link = run(&place, &["--cache", "link"]);
    assert!(link.stderr.contains("is a link"), "{}", link.stderr);
}

#[test]
fn without_a_cache_nothing_is_kept() {
    let place = with_default_limits();
    let redact = plugin("redact");
    let mut command = place.command(&["run", &redact, "--input", "in.jsonl", "--cache", "off"]);
    command.env("XDG_CACHE_HOME", place.path("caches")).env_remove("SANDMILL_CACHE");
    assert!(command.output().unwrap().status.success());
    assert!(!place.path("caches").exists() && !place.path("off").exists());
    let mut command = place.command(&["run", &redact, "--input", "in.jsonl", "--fresh"]);
    command.env("XDG_CACHE_HOME", place.path("caches")).env_remove("SANDMILL_CACHE");
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_dir(place.path("caches/sandmill/compiled")).unwrap().count(), 1);
}

#[test]
fn the_users_own_native_code_is_refused_wherever_it_comes_from() {
    let place = with_default_limits();
    place.write("plugin.wasm", redact());
    place.run(&["run", "plugin.wasm", "--input", "in.jsonl", "--cache", "cache"]).expect(0);
    let entry = std::fs::read(&entries(&place)[0]).unwrap();
    let elf = entry.windows(4).position(|bytes| bytes == b"\x7fELF").unwrap();
    place.write("plugin.cwasm", &entry[elf..]);
    place.run(&["run", "plugin.cwasm", "--input", "in.jsonl"]).expect_error(2, &["precompiled native code"]);
    place.write("renamed.wasm", &entry[elf..]);
    place.run(&["run", "renamed.wasm", "--input", "in.jsonl"]).expect_error(2, &["precompiled native code"]);
    place.write("entry.wasm", &entry);
    place.run(&["run", "entry.wasm", "--input", "in.jsonl"]).expect_error(2, &["not WebAssembly"]);
}
