//! All cases of a language in one run of the program, and what has come of each.

use super::cases::{Case, End, cases};
use super::languages::Language;
use crate::support::{Place, Said, Saying};
use serde_json::{Value, json, value::RawValue};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// What an answer of a provider is, in OpenAI's form.
pub(super) fn completion(text: &str) -> Said {
    let choice = json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}});
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 1});
    Said::new(200, json!({"id": "1", "model": "m", "choices": [choice], "usage": usage}).to_string())
}

fn refusal(code: &str, message: &str) -> Said {
    Said::new(400, json!({"error": {"message": message, "type": "invalid_request_error", "code": code}}).to_string())
}

/// What is asked, without what was asked before it.
fn messages(body: &str) -> usize {
    let body: Value = serde_json::from_str(body).unwrap();
    body["messages"].as_array().unwrap().len()
}

/// Providers that fail in each way, by the role that asks them.
struct Providers {
    settings: String,
    /// They end with the process.
    _servers: [Saying; 4],
}

impl Providers {
    fn start() -> Self {
        let servers = [
            ("rejected", Saying::start(|_| refusal("invalid_value", "Invalid value."))),
            ("refused", Saying::start(|_| refusal("content_policy_violation", "Not that."))),
            (
                "sloppy",
                Saying::start(|body| match messages(body) {
                    0..=2 => completion("It is spam, I would say."),
                    _ => completion(r#"{"topic":"spam","urgency":7}"#),
                }),
            ),
            ("stubborn", Saying::start(|_| completion("It is spam, I would say."))),
        ];
        let mut settings = String::from("[retry]\nattempts = 2\nwait_min = \"1ms\"\nwait_max = \"2ms\"\n");
        for (role, faults) in
            [("default", ""), ("transient", "server_error=100%,in_a_row=1000"), ("small", "context=10")]
        {
            write!(
                settings,
                "[provider.{role}]\nprotocol = \"mock\"\nfaults = \"{faults}\"\n[route.{role}]\nprovider = \"{role}\"\n"
            )
            .unwrap();
        }
        for (role, server) in &servers {
            write!(
                settings,
                "[provider.{role}]\nbase_url = \"{}\"\n[route.{role}]\nprovider = \"{role}\"\nmodel = \"m\"\n",
                server.url
            )
            .unwrap();
        }
        Self { settings, _servers: servers.map(|(_, server)| server) }
    }
}

const ROLES: [&str; 7] = ["default", "transient", "small", "rejected", "refused", "sloppy", "stubborn"];

/// What a run of all cases has come to.
struct Outcomes {
    place: Place,
    /// Values as they stand in the output, and their names, by item.
    emitted: HashMap<String, Vec<(String, Option<String>)>>,
    failed: HashMap<String, Value>,
}

/// One line of the output, with the value as it stands there.
#[derive(serde::Deserialize)]
struct Line<'a> {
    id: String,
    #[serde(borrow)]
    output: &'a RawValue,
    part: Option<Value>,
}

impl Outcomes {
    fn of(plugin: &str, cases: &[Case]) -> Self {
        let place = Place::new();
        let providers = Providers::start();
        place.write("sandmill.toml", &providers.settings);
        place.write("page.txt", "a page \u{e4}");
        let item = |case: &Case| format!("{{\"id\":\"{}\",{}\n", case.name, &case.work[1..]);
        place.write("in.jsonl", cases.iter().map(item).collect::<String>());
        let mut args: Vec<String> =
            ["run", plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j"].map(Into::into).to_vec();
        for role in ROLES {
            args.extend(["--route".to_owned(), format!("{role}={role}")]);
        }
        args.extend(
            [
                "--set",
                "team=r\u{f6}d",
                "--attach",
                "page=page.txt",
                "--max-item-calls",
                "20",
                "--limit-cpu",
                "5s",
                "--max-traps",
                "0",
                "--max-consecutive-errors",
                "0",
                "--json",
            ]
            .map(Into::into),
        );
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        place.run(&args).expect(3);
        let mut emitted: HashMap<String, Vec<(String, Option<String>)>> = HashMap::new();
        for line in place.read("out.jsonl").lines() {
            let line: Line<'_> = serde_json::from_str(line).unwrap();
            let name = line.part.and_then(|part| part.as_str().map(str::to_owned));
            emitted.entry(line.id).or_default().push((line.output.get().to_owned(), name));
        }
        let failed = place.run(&["failed", "list", "j", "--json"]).expect(0).stdout;
        let failed = failed.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            (row["id"].as_str().unwrap().to_owned(), row)
        });
        let failed = failed.collect();
        Self { place, emitted, failed }
    }
}

impl Outcomes {
    /// The error: how it ended instead.
    fn check(&self, case: &Case, language: Language) -> Result<(), String> {
        let (end, _) = case.end_in(language);
        let nothing = Vec::new();
        let emitted = self.emitted.get(case.name).unwrap_or(&nothing);
        let failed = self.failed.get(case.name);
        if let (Some(row), true) = (failed, !matches!(end, End::Fails(..) | End::Crashes(_))) {
            return Err(format!("fails: {}: {}: {}", row["class"], row["code"], row["message"]));
        }
        let values = || emitted.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>();
        match end {
            End::Emits(expected) => same(&values(), &expected.iter().map(String::as_str).collect::<Vec<_>>()),
            End::Gives(expected) => {
                let given: Vec<Value> = values().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
                same(&given, &vec![expected.clone()])
            }
            End::Has(fields) => {
                let given: Vec<Value> = values().iter().map(|text| serde_json::from_str(text).unwrap()).collect();
                let [Value::Object(given)] = given.as_slice() else { return Err(format!("no object: {given:?}")) };
                let given: BTreeSet<(&str, &str)> =
                    given.iter().map(|(name, value)| (name.as_str(), kind(value))).collect();
                same(&given, &fields.iter().copied().collect())
            }
            End::Names(expected) => {
                let given: Vec<(&str, Option<&str>)> =
                    emitted.iter().map(|(value, name)| (value.as_str(), name.as_deref())).collect();
                same(&given, expected)
            }
            End::Skips(reason) => contains(&self.log(case), &[&format!("skipped: {reason}")]),
            End::Logs(lines) => same(&values(), &vec!["\"logged\""]).and_then(|()| contains(&self.log(case), lines)),
            End::Fails(class, code, said) => {
                let row = failed.ok_or_else(|| format!("does not fail: {:?}", values()))?;
                same(&(row["class"].as_str(), row["code"].as_str()), &(Some(class), Some(code)))?;
                contains(row["message"].as_str().unwrap(), &[said])
            }
            End::Crashes(words) => {
                let row = failed.ok_or_else(|| format!("does not crash: {:?}", values()))?;
                same(&row["class"].as_str(), &Some("trap"))?;
                let card = self.place.run(&["failed", "show", "j", case.name]).expect(0).stdout;
                // Long lines are wrapped.
                let card = card.split_whitespace().collect::<Vec<_>>().join(" ");
                contains(&card, &[words]).and_then(|()| contains(&card, &[&language.place_of_crash()]))
            }
        }
    }

    fn log(&self, case: &Case) -> String {
        self.place.run(&["log", "j", "--item", case.name]).expect(0).stdout
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn same<T: PartialEq + std::fmt::Debug>(given: &T, expected: &T) -> Result<(), String> {
    if given == expected {
        return Ok(());
    }
    let (given, expected) = (format!("{given:?}"), format!("{expected:?}"));
    Err(format!("{given:.300} instead of {expected:.300}"))
}

/// All of it, in this order.
fn contains(text: &str, parts: &[&str]) -> Result<(), String> {
    let mut rest = text;
    for part in parts {
        let (_, behind) =
            rest.split_once(part).ok_or_else(|| format!("`{part}` is not said (in this order) in:\n{text}"))?;
        rest = behind;
    }
    Ok(())
}

/// What has come of each case: nothing where it is as the table says. The error: a tool of the language is missing.
type Checked = Result<Vec<Option<String>>, String>;

fn run_all(language: Language, cases: &[Case]) -> Checked {
    let plugin = language.built()?;
    let outcomes = Outcomes::of(&plugin, cases);
    Ok(cases.iter().map(|case| outcomes.check(case, language).err()).collect())
}

#[test]
fn every_case_ends_in_every_language_as_the_table_says() {
    let cases = cases();
    let results: Vec<(Language, Checked)> = std::thread::scope(|scope| {
        let cases = &cases;
        let running = Language::ALL.map(|language| (language, scope.spawn(move || run_all(language, cases))));
        running.into_iter().map(|(language, thread)| (language, thread.join().unwrap())).collect()
    });
    let mut wrong = String::new();
    for (nth, case) in cases.iter().enumerate() {
        let mut row = format!("{:<28}", case.name);
        for (language, result) in &results {
            let word = match result {
                Err(_) => "skipped",
                Ok(ends) if ends[nth].is_some() => "WRONG",
                Ok(_) if case.end_in(*language).1.is_some() => "as told",
                Ok(_) => "ok",
            };
            write!(row, " {:<18}", format!("{language} {word}")).unwrap();
            if let Ok(ends) = result
                && let Some(told) = &ends[nth]
            {
                writeln!(wrong, "{} in {language}: {told}", case.name).unwrap();
            }
        }
        eprintln!("{}", row.trim_end());
    }
    for (language, result) in &results {
        if let Err(missing) = result {
            eprintln!("not tested: {language}: {missing}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_before_the_first_item() {
    for language in Language::ALL {
        let Some(plugin) = language.built_or_told() else { continue };
        let place = Place::new();
        place.write("in.jsonl", "{\"do\":\"config\"}\n");
        let args = ["run", &plugin, "--input", "in.jsonl", "--provider", "mock", "--set", "team=7", "--job", "j"];
        place.run(&args).expect_error(2, &["/team: 7 is not of type"]);
    }
}
