//! The page in a real browser, driven by `browser.mjs`; and the report's page, since a browser is there.

use super::{input, start};
use crate::support::{MockServer, Place, root};
use std::path::PathBuf;
use std::process::Command;

/// Where a browser is found.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// `require`: that there is none fails.
const VARIABLE: &str = "SANDMILL_TEST_BROWSER";

/// What drives it, and the browser; or what is missing.
fn found() -> Result<PathBuf, String> {
    if !root().join("node_modules/playwright-core/package.json").exists() {
        return Err("playwright-core is missing: npm ci".into());
    }
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|output| output.status.success()) {
        return Err("node is missing: install Node.js 20 or newer".into());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let browsers = || std::env::split_paths(&paths).flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    browsers().find(|path| path.is_file()).ok_or_else(|| "no browser: apt-get install chromium".into())
}

#[test]
fn a_person_watches_pauses_resumes_and_opens_a_card_in_a_browser() {
    let browser = match found() {
        Ok(browser) => browser,
        Err(missing) => {
            assert!(std::env::var(VARIABLE).as_deref() != Ok("require"), "{missing}");
            eprintln!("not tested: the dashboard in a browser: {missing}");
            return;
        }
    };
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", input(600));
    let run = start(&place, &server, &["--concurrency", "2"]);
    let script = root().join("tests/dashboard/browser.mjs");
    let driven = |words: &[&str]| {
        let output = Command::new("node").arg(&script).arg(&browser).args(words).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    };
    driven(&["dashboard", &run.url]);
    assert_eq!(run.end().0, 3);
    place.run(&["report", "j"]).expect(0);
    driven(&["report", place.path("j.html").to_str().unwrap()]);
}
