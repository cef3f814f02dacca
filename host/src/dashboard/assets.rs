//! The files of the page, in the program. The style begins as the report's does.

use crate::report::LOOK;
use std::borrow::Cow;

const FILES: [(&str, &str, &str); 10] = [
    ("index.html", "text/html; charset=utf-8", include_str!("site/index.html")),
    ("style.css", "text/css; charset=utf-8", include_str!("site/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("site/icon.svg")),
    ("app.js", SCRIPT, include_str!("site/app.js")),
    ("charts.js", SCRIPT, include_str!("site/charts.js")),
    ("failures.js", SCRIPT, include_str!("site/failures.js")),
    ("figures.js", SCRIPT, include_str!("site/figures.js")),
    ("format.js", SCRIPT, include_str!("site/format.js")),
    ("page.js", SCRIPT, include_str!("site/page.js")),
    ("wire.js", SCRIPT, include_str!("site/wire.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file's type and text. `None`: the page has no such file.
pub(super) fn file(name: &str) -> Option<(&'static str, Cow<'static, str>)> {
    let (name, kind, text) = FILES.into_iter().find(|(known, ..)| *known == name)?;
    let text = if name == "style.css" { Cow::Owned(format!("{LOOK}{text}")) } else { text.into() };
    Some((kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_files_that_are_there_and_for_nothing_elsewhere() {
        let page = file("index.html").unwrap().1;
        for name in ["app.js", "style.css", "icon.svg"] {
            assert!(page.contains(&format!("\"/{name}\"")), "{name}");
        }
        for (name, _, text) in FILES {
            for module in text.lines().filter_map(|line| line.split_once(" from \"./")).map(|(_, rest)| rest) {
                assert!(file(module.trim_end_matches("\";")).is_some(), "{name}: {module}");
            }
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for part in ["http:", "https:", "//cdn", "url(", "@import"] {
                assert!(!text.contains(part), "{name}: {part}");
            }
        }
        assert_eq!(file("nothing.js"), None);
    }

    #[test]
    fn no_text_can_become_markup_or_script() {
        for (name, _, text) in FILES {
            for part in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                "srcdoc",
                " style=",
                " onclick=",
                "javascript:",
            ] {
                assert!(!text.contains(part), "{name}: {part}");
            }
        }
    }
}
