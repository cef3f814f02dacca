//! Every table and every piece of JSON in a document is one that its reader takes.

use super::blocks::{Kind, parts};
use super::{documents, root};
use crate::catalog::Catalog;
use crate::config::{Config, Policy};

fn read(kind: &Kind, text: &str) -> Result<(), String> {
    let told = |error: toml::de::Error| error.to_string();
    match kind {
        Kind::Toml(file) => match file.as_str() {
            "sandmill.toml" => {
                let config = toml::from_str::<Config>(text).map_err(told)?;
                Catalog::embedded().with_tables(&config.model).map(|_| ())
            }
            "policy.toml" => toml::from_str::<Policy>(text).map(|_| ()).map_err(told),
            "plugin.toml" => crate::kit::fuzzing::manifest(text),
            other => Err(format!("nobody reads tables of {other}: it is sandmill.toml, policy.toml or plugin.toml")),
        },
        Kind::Json => {
            let whole = serde_json::from_str::<serde_json::Value>(text).map(|_| ());
            let by_line =
                || text.lines().try_for_each(|line| serde_json::from_str::<serde_json::Value>(line).map(|_| ()));
            whole
                .or_else(|error| if text.lines().count() > 1 { by_line() } else { Err(error) })
                .map_err(|error| error.to_string())
        }
        Kind::Unknown => {
            Err("nobody can tell what this is: put it in a fence with its language, or <!-- text --> before it".into())
        }
        Kind::Shell(_) | Kind::Printed | Kind::File(_) | Kind::Other(_) => Ok(()),
    }
}

#[test]
fn every_table_and_all_json_in_the_documents_can_be_read() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (name, text) in documents(&root()) {
        for part in parts(&text) {
            seen += u32::from(matches!(part.kind, Kind::Toml(_) | Kind::Json));
            let said = read(&part.kind, &part.text).err();
            wrong.extend(said.map(|said| format!("{name}:{}: {said}", part.line)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 10, "only {seen} were found");
}

#[test]
fn what_no_reader_takes_is_found() {
    let said = |text: &str| parts(text).iter().map(|part| read(&part.kind, &part.text).is_err()).collect::<Vec<_>>();
    assert_eq!(
        said("a\n\n    [run]\n    concurency = 3\n\n    {\"a\": 1}\n\n    {\"a\": 1}\n    {\"b\": }"),
        [true, true]
    );
    assert_eq!(
        said("<!-- toml: policy.toml -->\n\n    max_cost = 1.0\n\n```json\n{}\n```\n\n    what is this"),
        [false, false, true]
    );
    assert_eq!(said("    sandmill x\n\n    what it prints\n\n    sandmill y"), [false, false, false]);
}
