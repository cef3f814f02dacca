//! Alerts end to end: the real binary tells real servers on this machine, and no channel, however bad, changes how a run ends.

pub(crate) mod hooks;
mod smtp;

use crate::support::{MockServer, Place, Ran, items, plugin};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hooks::Receiver;
use serde_json::{Value, json};
use sha2::Sha256;
use smtp::{MailServer, Manner, Mood};

const KEY: &str = "a key that signs, long enough";
const LOGIN: (&str, &str, &str) = ("batch", "hush-hush", "PLAIN");

/// `[alert.email.mail]` towards a server.
fn mail(server: &MailServer, more: &str) -> String {
    let port = server.port;
    format!(
        "[alert.email.mail]\nhost = \"localhost\"\nport = {port}\nfrom = \"Sandmill <batch@example.com>\"\nto = [\"ops@example.com\"]\n{more}\n"
    )
}

/// With a login, and the server's certificate trusted.
fn secured(place: &Place, server: &MailServer, security: &str) -> String {
    place.write("ca.pem", &server.certificate);
    mail(
        server,
        &format!("security = \"{security}\"\nuser = \"batch\"\npassword_env = \"MAIL_PASSWORD\"\nca_file = \"ca.pem\""),
    )
}

fn hook(receiver: &Receiver) -> String {
    format!("[alert.webhook.hook]\nurl = \"{}/in\"\n", receiver.url)
}

fn test(place: &Place, config: &str) -> Ran {
    place.write("sandmill.toml", config);
    place.run_with(&["alert", "test"], &[("MAIL_PASSWORD", LOGIN.1.into())])
}

#[test]
fn a_test_goes_through_every_kind_of_channel() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    let server = MailServer::start(Manner { starttls: true, login: Some(LOGIN), ..Manner::default() });
    let config = format!(
        "[alert.slack.ops]\nurl_file = \"slack\"\n[alert.webhook.hook]\nurl = \"{}/hook\"\nsecret_env = \"HOOK_KEY\"\n\
         [alert.command.cmd]\ncommand = [\"sh\", \"-c\", \"cat > told\"]\n{}",
        receiver.url,
        secured(&place, &server, "starttls"),
    );
    place.write("sandmill.toml", config);
    place.write("slack", format!("{}/services/T/B/HUSHHUSH\n", receiver.url));
    let env = [("MAIL_PASSWORD", LOGIN.1.to_owned()), ("HOOK_KEY", KEY.to_owned())];
    let ran = place.run_with(&["alert", "test"], &env).expect(0);
    for name in [
        "ops (slack at 127.0.0.1:",
        "hook (webhook at 127.0.0.1:",
        "cmd (command `sh`): sent",
        "mail (email through localhost:",
    ] {
        assert!(ran.stdout.contains(name), "{name}: {}", ran.stdout);
    }
    assert_eq!(ran.stdout.matches(": sent").count(), 4, "{}", ran.stdout);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("HUSHHUSH"));

    let requests = receiver.requests();
    let slack = requests.iter().find(|request| request.path == "/services/T/B/HUSHHUSH").unwrap().json();
    assert_eq!(slack["blocks"][0]["type"], "header");
    assert!(slack["text"].as_str().unwrap().contains("this is a test"), "{slack}");
    let signed = requests.iter().find(|request| request.path == "/hook").unwrap();
    let content = format!("{}.{}.{}", signed.header("webhook-id"), signed.header("webhook-timestamp"), signed.body);
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(content.as_bytes());
    assert_eq!(signed.header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    assert_eq!(signed.json()["type"], "alert.test");
    let told: Value = serde_json::from_str(&place.read("told")).unwrap();
    assert_eq!(told, signed.json());

    let letters = server.letters();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert!(letter.over_tls && letter.user.as_deref() == Some("batch"), "{letter:?}");
    assert!(letter.from.contains("<batch@example.com>") && letter.to[0].contains("<ops@example.com>"), "{letter:?}");
    assert!(letter.text.contains("Subject: [sandmill] sandmill: test: this is a test"), "{}", letter.text);
}

#[test]
fn mail_goes_over_tls_from_the_start_and_with_login_where_the_server_wants_that() {
    let place = Place::new();
    let login = (LOGIN.0, LOGIN.1, "LOGIN");
    let server = MailServer::start(Manner { tls: true, login: Some(login), ..Manner::default() });
    test(&place, &secured(&place, &server, "tls")).expect(0);
    let letters = server.letters();
    assert!(letters.len() == 1 && letters[0].over_tls && letters[0].user.as_deref() == Some("batch"), "{letters:?}");
}

#[test]
fn nothing_is_said_to_a_mail_server_that_is_not_the_one_or_offers_no_tls() {
    let place = Place::new();
    let server = MailServer::start(Manner { starttls: true, login: Some(LOGIN), ..Manner::default() });
    let config = secured(&place, &server, "starttls").replace("ca_file = \"ca.pem\"", "");
    test(&place, &config).expect_error(2, &["did not take the test"]);
    let plain = MailServer::start(Manner { login: Some(LOGIN), ..Manner::default() });
    test(&place, &secured(&place, &plain, "starttls")).expect_error(2, &["did not take the test"]);
    for server in [server, plain] {
        assert!(!server.lines().contains("AUTH") && server.letters().is_empty(), "{}", server.lines());
    }
}

#[test]
fn a_refused_login_says_so_and_shows_no_password() {
    let place = Place::new();
    let login = (LOGIN.0, "another", "PLAIN");
    let server = MailServer::start(Manner { tls: true, login: Some(login), ..Manner::default() });
    let ran = test(&place, &secured(&place, &server, "tls")).expect(2);
    assert!(ran.stdout.contains("mail (email through localhost") && ran.stdout.contains("535"), "{}", ran.stdout);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(LOGIN.1));
}

#[test]
fn redirects_are_not_followed_and_a_secret_address_is_not_shown() {
    let (place, receiver) = (Place::new(), Receiver::start(&[(302, ""), (404, "no /services/HUSHHUSH here")]));
    place.write("sandmill.toml", "[alert.slack.ops]\nurl_env = \"HOOK\"\n");
    let env = [("HOOK", format!("{}/services/HUSHHUSH", receiver.url))];
    for expected in ["redirects are not followed", "it answered 404: no *** here"] {
        let ran = place.run_with(&["alert", "test", "ops"], &env).expect(2);
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("HUSHHUSH"), "{}", ran.stdout);
    }
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn bad_settings_are_told_before_anything_is_asked_and_can_be_passed_over() {
    let place = Place::new();
    let server = MockServer::start(&place, "");
    place.write("in.jsonl", items(3, |index| json!({"id": index, "text": "t"})));
    let (prompt, url) = (plugin("prompt"), server.url.clone());
    let args = [
        "run",
        &prompt,
        "--set",
        "prompt=Say {{text}}",
        "--input",
        "in.jsonl",
        "--provider",
        "openai",
        "--base-url",
        &url,
        "--model",
        "m",
    ];
    for (config, expected) in [
        (
            "[alert.slack.ops]\nurl_env = \"NO_SUCH_HOOK\"\n",
            "[alert.slack.ops]: url_env: the environment has no NO_SUCH_HOOK",
        ),
        (
            "[alert.webhook.w]\nurl = \"http://example.com/\"\n",
            "[alert.webhook.w]: the address must begin with https://",
        ),
        ("[alert]\nerror_rate = \"5%\"\n", "did you mean `error_share`?"),
        ("[alert.slak.ops]\nurl_env = \"X\"\n", "did you mean `slack`?"),
        ("[alert.command.c]\ncommand = [\"true\"]\nrules = [\"park\"]\n", "did you mean `parked`?"),
    ] {
        place.write("sandmill.toml", config);
        place.run(&args).expect_error(2, &[expected]);
        place.run(&["config", "check"]).expect_error(2, &[expected]);
    }
    assert_eq!(server.requests(), 0);
    place.write("sandmill.toml", "[alert.slack.ops]\nurl_env = \"NO_SUCH_HOOK\"\n");
    place.run(&[&args[..], &["--no-alerts"]].concat()).expect(0);
    place.write("sandmill.toml", "[alert.command.ops]\ncommand = [\"true\"]\n");
    place.run(&["alert", "test", "opps"]).expect_error(2, &["there is no channel `opps`: ops; did you mean `ops`?"]);
}

#[test]
fn no_plugin_is_given_what_alerts_are_sent_with() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    std::fs::create_dir(place.path("secrets")).unwrap();
    place.write("secrets/slack", format!("{}/services/X", receiver.url));
    place.write(
        "sandmill.toml",
        "[alert.slack.ops]\nurl_file = \"secrets/slack\"\n[alert.webhook.hook]\nurl_env = \"HOOK\"\n",
    );
    place.write("in.jsonl", items(1, |index| json!({"id": index})));
    let misbehave = plugin("misbehave");
    let env = [("HOOK", receiver.url.clone()), ("COPY", format!("see {}", receiver.url))];
    for (grant, expected) in [
        ("env=HOOK", "env=HOOK is not given"),
        ("env=COPY", "what COPY holds is the key in HOOK"),
        ("read=secrets", "is a secret of [alert.slack.ops]"),
    ] {
        let args = ["run", &misbehave, "--input", "in.jsonl", "--grant", grant];
        place.run_with(&args, &env).expect_error(2, &[expected]);
    }
}

/// Items one after the other, so that it is certain what the rules see.
fn batch(place: &Place, ways: &[&str], more: &[&str]) -> Ran {
    place.write(
        "in.jsonl",
        items(ways.len(), |index| json!({"id": format!("i{index:03}"), "do": ways[index], "code": "Asked"})),
    );
    let misbehave = plugin("misbehave");
    let base = ["run", &misbehave, "--input", "in.jsonl", "--job", "talks", "--json", "--concurrency", "1"];
    place.run(&[&base[..], more].concat())
}

/// Of the first 50 items every fifth fails, of those behind them none: which of two neighbours ends first is nobody's to say, and no failure is next to the
/// fiftieth end.
fn a_bad_start() -> Vec<&'static str> {
    (0..460).map(|index| if index < 50 && index % 5 == 0 { "fail" } else { "ok" }).collect()
}

#[test]
fn more_than_five_percent_of_failures_are_told_once_cleared_once_and_the_end_too() {
    let (place, receiver) = (Place::new(), Receiver::start(&[]));
    place.write("sandmill.toml", format!("[alert]\nfinished = true\n{}", hook(&receiver)));
    let summary = batch(&place, &a_bad_start(), &[]).expect(3).summary();
    let expected = [("error_share", "alert.raised"), ("error_share", "alert.cleared"), ("finished", "alert.raised")];
    let expected = expected.map(|(rule, kind)| (rule.to_owned(), kind.to_owned()));
    assert_eq!(receiver.told(), expected);
    assert_eq!((&summary["run"]["alerts_sent"], &summary["run"]["alerts_lost"]), (&json!(3), &json!(0)));
    let alerts: Vec<Value> = receiver.requests().iter().map(hooks::Request::json).collect();
    assert_eq!(alerts[0]["reason"], "10 of the last 50 items failed (20 %; allowed: 5 %)");
    assert_eq!(alerts[0]["job"], "talks");
    assert_eq!(alerts[0]["failures"][0]["class"], "plugin");
    assert_eq!(alerts[0]["failures"][0]["count"], 10);
    assert_eq!(alerts[0]["failures"][0]["last"]["item"], "i045");
    assert_eq!(alerts[0]["commands"], json!({"look": "sandmill failed list talks", "resume": "sandmill resume talks"}));
    let end = alerts[2]["reason"].as_str().unwrap();
    assert!(
        end.starts_with("nothing is pending (")
            && end.contains("450 done, 0 skipped, 10 failed, 0 pending in all; exit code 3"),
        "{end}"
    );
}

#[test]
fn a_channel_is_told_only_what_it_wants_and_an_answer_that_may_pass_is_asked_for_again() {
    let (place, receiver) = (Place::new(), Receiver::start(&[(503, "later"), (429, "slower")]));
    place.write("sandmill.toml", format!("[alert]\nfinished = true\n{}rules = [\"finished\"]\n", hook(&receiver)));
    let summary = batch(&place, &a_bad_start(), &[]).expect(3).summary();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].header("webhook-id"), requests[2].header("webhook-id"));
    assert_eq!(requests[2].json()["rule"], "finished");
    assert_eq!((&summary["run"]["alerts_sent"], &summary["run"]["alerts_lost"]), (&json!(1), &json!(0)));
}

#[test]
fn a_job_that_is_parked_is_told_with_why_and_how_to_go_on() {
    let place = Place::new();
    let server = MockServer::start(&place, "key=right");
    place.write("in.jsonl", items(20, |index| json!({"id": index, "text": "t"})));
    place.write("sandmill.toml", "[alert.command.cmd]\ncommand = [\"sh\", \"-c\", \"cat >> told\"]\n");
    let (prompt, url) = (plugin("prompt"), server.url.clone());
    let args = [
        "run",
        &prompt,
        "--set",
        "prompt=Say {{text}}",
        "--input",
        "in.jsonl",
        "--provider",
        "openai",
        "--base-url",
        &url,
        "--model",
        "m",
        "--job",
        "talks",
        "--store",
        "jobs",
    ];
    place.run(&args).expect(5);
    let told: Value = serde_json::from_str(&place.read("told")).unwrap();
    assert_eq!((&told["rule"], &told["job"]), (&json!("parked"), &json!("talks")));
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("401") && reason.ends_with("20 pending in all; exit code 5)"), "{reason}");
    let resume = told["commands"]["resume"].as_str().unwrap();
    assert!(resume.starts_with("sandmill resume talks --store ") && resume.ends_with("/jobs"), "{resume}");
}

#[test]
fn a_mail_server_in_a_bad_mood_changes_nothing_of_a_run_and_is_spoken_of_once() {
    let without = Place::new();
    let expected = batch(&without, &a_bad_start(), &["--output", "out.jsonl"]).expect(3).summary();
    for mood in [None, Some(Mood::Hangs), Some(Mood::Busy), Some(Mood::Slow)] {
        let place = Place::new();
        let server = mood.map(|mood| MailServer::start(Manner { mood, ..Manner::default() }));
        // A port at which nobody listens: the one of a server that is gone.
        let gone = MailServer::start(Manner::default());
        let config = mail(server.as_ref().unwrap_or(&gone), "security = \"none\"");
        drop(gone);
        place.write("sandmill.toml", format!("[alert]\nend_wait = \"1s\"\n{config}"));
        let ran = batch(&place, &a_bad_start(), &["--output", "out.jsonl"]).expect(3);
        let summary = ran.summary();
        assert_eq!(summary["job"], expected["job"], "{mood:?}");
        assert_eq!(place.read("out.jsonl"), without.read("out.jsonl"), "{mood:?}");
        let lost = summary["run"]["alerts_lost"].as_u64().unwrap();
        let sent = summary["run"]["alerts_sent"].as_u64().unwrap();
        assert_eq!(sent + lost, 2, "{mood:?}");
        let warned = ran.stderr.matches("warning: alert channel mail (email through localhost:").count();
        if mood == Some(Mood::Slow) {
            assert_eq!(sent, server.unwrap().letters().len() as u64);
            assert_eq!(warned, usize::from(lost > 0), "{}", ran.stderr);
        } else {
            assert_eq!((sent, warned), (0, 1), "{mood:?}: {}", ran.stderr);
            assert!(server.is_none_or(|server| server.connections() > 0), "{mood:?}");
        }
    }
}
