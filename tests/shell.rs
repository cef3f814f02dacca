//! The program among other programs: completions, pipes that are closed, disks that are full, names that are mistyped.

use crate::support::{Place, SANDMILL};
use std::process::{Command, Stdio};

/// What bash would offer for a line that is typed so far.
fn offered(place: &Place, line: &str) -> Vec<String> {
    let script = r#"
        source completions
        read -ra COMP_WORDS <<< "$LINE"
        [[ "$LINE" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        COMP_LINE="$LINE" COMP_POINT=${#LINE}
        _sandmill sandmill "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output =
        Command::new("bash").args(["-c", script]).env("LINE", line).current_dir(place.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags() {
    let place = Place::new();
    let script = place.run(&["completions", "bash"]).expect(0).stdout;
    place.write("completions", script);
    let checked = Command::new("bash").args(["-n", "completions"]).current_dir(place.path("")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert_eq!(offered(&place, "sandmill res"), ["resume"]);
    assert_eq!(offered(&place, "sandmill failed ret"), ["retry"]);
    let flags = offered(&place, "sandmill run --max-co");
    assert_eq!(flags, ["--max-cost", "--max-consecutive-errors"]);
    assert!(offered(&place, "sandmill plugin new x --lang ").contains(&"python".to_owned()));
    let offers = offered(&place, "sandmill ");
    assert!(!offers.iter().any(|offer| offer.ends_with("-worker")), "what is hidden is not offered: {offers:?}");
}

#[test]
fn there_are_completions_for_every_shell() {
    let place = Place::new();
    for (shell, part) in [
        ("zsh", "#compdef sandmill"),
        ("fish", "complete -c sandmill"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer"),
    ] {
        let script = place.run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains(part) && script.contains("mock-server"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
    let place = Place::new();
    place.write("sandmill.toml", "");
    for args in [&["config", "show"][..], &["plugin", "new", "p", "--lang", "c"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let gone = place.command(args).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&gone.stderr);
        assert!(gone.status.success() && said.is_empty(), "{args:?}: {:?}: {said}", gone.status);
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = place.command(&["config", "show"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to stdout: ") && said.contains("the disk is full"), "{said}");
}

#[test]
fn a_stderr_that_has_gone_is_no_error_either() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(SANDMILL).args(["status", "no-such-job"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn what_is_mistyped_is_answered_with_what_may_be_meant() {
    let place = Place::new();
    place.write("items.jsonl", "{\"text\":\"a\"}\n");
    place.run(&["plugin", "new", "triage", "--lang", "c"]).expect(0);
    place.run(&["stauts"]).expect_error(2, &["'status'"]);
    place.run(&["status", "--wach"]).expect_error(2, &["--watch"]);
    let run = |args: &[&str]| place.run(&[&["run"], args].concat());
    run(&["triag", "--input", "items.jsonl"]).expect_error(2, &["did you mean", "triage`?"]);
    run(&["triage", "--input", "item.jsonl"])
        .expect_error(2, &["there is no such file", "did you mean", "items.jsonl`?"]);
    place.write("sandmill.toml", "[run]\nconcurency = 3\n");
    place.run(&["config", "check"]).expect_error(2, &["did you mean `concurrency`?"]);
    place.write("sandmill.toml", "[run]\nroute = \"fats\"\n[route.fast]\nprovider = \"mock\"\nmodel = \"m\"\n");
    place.run(&["config", "check"]).expect_error(2, &["did you mean `fast`?"]);
    place.write("sandmill.toml", "[route.fast]\nprovider = \"opnai\"\nmodel = \"m\"\n");
    place.run(&["config", "check"]).expect_error(2, &["did you mean `openai`?"]);
}
