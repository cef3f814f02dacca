//! That docs/store.md, which people read beside their sqlite3, names all that there is.

use super::open;
use rusqlite::Connection;

fn names(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// What stands between a heading that names `table` and the next heading.
fn section<'a>(text: &'a str, table: &str) -> &'a str {
    let heading = format!("\n### `{table}`");
    let start = text.find(&heading).unwrap_or_else(|| panic!("docs/store.md has no heading for `{table}`"));
    let rest = &text[start + heading.len()..];
    rest.find("\n#").map_or(rest, |end| &rest[..end])
}

#[test]
fn every_table_and_view_is_documented_with_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open::writer(&dir.path().join("j.db")).unwrap();
    let text = include_str!("../../../docs/store.md");
    let tables = names(
        &connection,
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'",
    );
    assert!(tables.len() > 12, "{tables:?}");
    for table in &tables {
        let section = section(text, table);
        for column in names(&connection, &format!("SELECT name FROM pragma_table_info('{table}')")) {
            assert!(section.contains(&format!("`{column}`")), "docs/store.md does not name {table}.{column}");
        }
        let columns = names(&connection, &format!("SELECT name FROM pragma_table_info('{table}')"));
        // The first cell of a row names columns, and nothing else.
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
        for column in rows.flat_map(|cell| cell.split('`').step_by(2)) {
            assert!(
                columns.iter().any(|known| known == column),
                "docs/store.md names {table}.{column}, which is not there"
            );
        }
    }
    let headings = text.lines().filter_map(|line| line.strip_prefix("### `")?.split('`').next());
    for heading in headings {
        assert!(tables.iter().any(|table| table == heading), "docs/store.md tells of `{heading}`, which is not there");
    }
}

#[test]
fn the_format_that_is_documented_is_that_of_the_schema() {
    let text = include_str!("../../../docs/store.md");
    let dir = tempfile::tempdir().unwrap();
    let connection = open::writer(&dir.path().join("j.db")).unwrap();
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert!(text.contains(&format!("This page describes format {format}")));
}
