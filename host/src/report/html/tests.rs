//! What must hold of every page, whatever stands in a store.

use super::*;
use crate::report::figures::tests::full;
use minijinja::value::Serde;
use serde_json::Value;

/// What others might write to have a page do something, or to hide something on it.
const HOSTILE: &str = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'`&lt;{{7*7}}\u{202e}\u{0}\u{1b}[2J\u{200b}\u{2028}";
/// What stands in the context that is ours, and not a text of others.
const OURS: [&str; 9] = ["mark", "style", "style_hash", "colour", "path", "x", "width", "mood", "parts"];

fn poison(value: &mut Value, poisoned: &mut usize) {
    match value {
        Value::String(text) => {
            *poisoned += 1;
            // No two are the same.
            *text = format!("{poisoned}{HOSTILE}");
        }
        Value::Array(list) => list.iter_mut().for_each(|value| poison(value, poisoned)),
        Value::Object(table) => {
            let others = table.iter_mut().filter(|(key, _)| !OURS.contains(&key.as_str()));
            others.for_each(|(_, value)| poison(value, poisoned));
        }
        _ => {}
    }
}

/// Tags in their order: that all of them are closed, with what each has beside its name.
fn tags(page: &str) -> Vec<(String, String)> {
    const VOID: [&str; 3] = ["meta", "!doctype", "br"];
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let body = page.replace(STYLE, "");
    for part in body.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("not closed: <{part}"));
        let (name, rest) = tag.split_once(' ').unwrap_or((tag, ""));
        if let Some(name) = name.strip_prefix('/') {
            let last: Option<String> = open.pop();
            assert_eq!(last.as_deref(), Some(name), "before </{part}");
        } else if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), rest.to_owned()));
    }
    assert_eq!(open, Vec::<String>::new());
    found
}

#[test]
fn no_text_of_others_is_markup_and_none_is_hidden() {
    let figures = full("x");
    let plain = page(&figures).unwrap();
    let mut context = serde_json::to_value(Page::new(&figures)).unwrap();
    let mut poisoned = 0;
    poison(&mut context, &mut poisoned);
    assert!(poisoned > 100, "{poisoned}");
    let text = render(Serde(context)).unwrap();
    let names = |page: &str| tags(page).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(names(&text).len() > 300);
    // The very tags of a page in which no text does any harm, and no more attributes.
    assert_eq!(names(&text), names(&plain));
    for (name, attributes) in tags(&text) {
        let outside: String = attributes.split('"').step_by(2).collect();
        assert!(!outside.contains("onerror") && !outside.contains("script"), "<{name} {attributes}>");
    }
    assert!(text.contains("\\u{202e}\\u{0}\\u{1b}[2J\\u{200b}\\u{2028}") && text.contains("{{7*7}}"));
    assert!(
        !text.contains(|c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}' | '\u{2028}'))
    );
}

#[test]
fn hostile_texts_of_a_store_are_shown_as_texts() {
    let text = page(&full(HOSTILE)).unwrap();
    tags(&text);
    assert!(!text.contains("<script") && !text.contains("<img") && text.contains("&lt;script&gt;"));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let text = page(&full("x")).unwrap();
    for (name, attributes) in tags(&text) {
        assert!(
            !["script", "link", "img", "iframe", "object", "form", "base", "embed", "use"].contains(&name.as_str()),
            "<{name}>"
        );
        for attribute in ["src=", "style=", "srcset=", "xlink", " on"] {
            let outside: String = attributes.split('"').step_by(2).collect();
            assert!(!format!(" {outside}").contains(attribute), "<{name} {attributes}>");
        }
        if let Some((_, rest)) = attributes.split_once("href=\"") {
            assert!(rest.starts_with('#'), "<{name} {attributes}>");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('<'));
    let style = text.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
    let hash = base64::encode(&Digest::of(style.as_bytes()).bytes());
    let policy =
        format!("content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\"");
    assert!(text.contains(&policy), "{text}");
    assert!(text.find(MARK).is_some_and(|at| at < 200));
}

#[test]
fn every_part_can_be_reached_and_every_shape_is_named() {
    let found = tags(&page(&full("x")).unwrap());
    let ids: Vec<&str> = found.iter().filter_map(|(_, rest)| rest.split("id=\"").nth(1)?.split('"').next()).collect();
    for (_, rest) in &found {
        if let Some(target) = rest.split("href=\"#").nth(1).and_then(|rest| rest.split('"').next()) {
            assert!(ids.contains(&target), "{target}");
        }
    }
    for (name, rest) in &found {
        if name == "svg" {
            assert!(rest.contains("aria-label=") || rest.contains("aria-hidden="), "<svg {rest}>");
        }
        if name == "div" && rest.contains("class=\"scroll\"") {
            assert!(rest.contains("tabindex=\"0\"") && rest.contains("aria-label="), "{rest}");
        }
    }
}
