//! The page in a real browser, driven by `browser.mjs`; and the report's page, since a browser is there.

use super::client::Watched;
use super::{input, start};
use crate::support::{MockServer, Place, root, signal};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Where a browser is found.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// `require`: that there is none fails.
const VARIABLE: &str = "SANDMILL_TEST_BROWSER";

/// The browser; or what is missing to drive one.
fn found() -> Result<PathBuf, String> {
    if !root().join("node_modules/playwright-core/package.json").exists() {
        return Err("playwright-core is missing: npm ci".into());
    }
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|output| output.status.success()) {
        return Err("node is missing: install Node.js 20 or newer".into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut browsers = std::env::split_paths(&paths).flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    browsers.find(|path| path.is_file()).ok_or_else(|| "no browser: apt-get install chromium".into())
}

/// `None` where there is none, which is told.
#[expect(clippy::print_stderr, reason = "a test that did not take place must be told")]
fn browser() -> Option<PathBuf> {
    found()
        .map_err(|missing| {
            assert!(std::env::var(VARIABLE).as_deref() != Ok("require"), "{missing}");
            eprintln!("not tested: the pages in a browser: {missing}");
        })
        .ok()
}

/// Somebody at a browser.
struct Person(Child);

impl Person {
    fn start(browser: &PathBuf, words: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(root().join("tests/dashboard/browser.mjs")).arg(browser).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Until they say a word.
    fn until(&mut self, word: &str) {
        let mut said = String::new();
        // Byte by byte, so that nothing behind the word is lost.
        let stdout = self.0.stdout.as_mut().unwrap();
        while !said.ends_with(&format!("{word}\n")) {
            let mut byte = [0];
            if stdout.read(&mut byte).unwrap() == 0 {
                let mut error = String::new();
                self.0.stderr.as_mut().unwrap().read_to_string(&mut error).unwrap();
                panic!("waited for `{word}`:\n{said}{error}");
            }
            said.push(char::from(byte[0]));
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Nothing was other than it should be.
    fn end(self) {
        let output = self.0.wait_with_output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    }
}

#[test]
fn a_person_watches_pauses_resumes_and_opens_a_card_in_a_browser() {
    let Some(browser) = browser() else { return };
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", input(600));
    let run = start(&place, &server, &["--concurrency", "2"]);
    Person::start(&browser, &["dashboard", &run.url]).end();
    assert_eq!(run.end().0, 3);
    place.run(&["report", "j"]).expect(0);
    Person::start(&browser, &["report", place.path("j.html").to_str().unwrap()]).end();
}

#[test]
fn a_page_comes_again_when_its_connection_broke_and_says_so_when_the_run_is_gone() {
    let Some(browser) = browser() else { return };
    let place = Place::new();
    let server = MockServer::start(&place, "latency=60ms");
    place.write("in.jsonl", input(600));
    let run = start(&place, &server, &["--concurrency", "1"]);
    let mut person = Person::start(&browser, &["lost", &run.url]);
    person.until("kill");
    let address = run.address.clone();
    signal(run.id(), "KILL");
    assert_eq!(run.end().0, -1);
    person.until("resume");
    let again = Watched::start(&place, &["resume", "j", "-q", "--dashboard", &address]);
    person.tell(&again.url);
    person.end();
    signal(again.id(), "KILL");
    again.end();
}
