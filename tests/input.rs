//! What a batch can be made of: packed files, Parquet, folders, attached files, another job's outputs.

use crate::support::{MockServer, Place, Ran, Talking, items, plugin, readers_of, signal_group, until};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn run(place: &Place, input: &str, more: &[&str]) -> Ran {
    let args = ["run", &plugin("misbehave"), "--input", input, "--output", "out.jsonl", "--job", "j"];
    place.run(&[&args[..], more].concat())
}

#[test]
fn packed_input_is_read_like_the_input_itself_also_from_stdin() {
    let place = Place::new();
    let text = items(500, |index| json!({"id": index, "text": format!("t{index}")}));
    place.write("plain.jsonl", &text);
    run(&place, "plain.jsonl", &["--fresh"]).expect(0);
    let plain = place.read("out.jsonl");
    assert_eq!(plain.lines().count(), 500);
    place.write("in.jsonl.gz", [gzip(&text.as_bytes()[..99]), gzip(&text.as_bytes()[99..])].concat());
    run(&place, "in.jsonl.gz", &["--fresh"]).expect(0);
    assert_eq!(place.read("out.jsonl"), plain);
    let args = ["run", &plugin("misbehave"), "--input", "-", "--input-format", "jsonl", "--output", "-", "--job", "s"];
    assert_eq!(place.run_with_stdin(&args, &gzip(text.as_bytes())).expect(0).stdout, plain);
    place.write("in.csv.zst", zstd::encode_all(&b"id,text\na,1\nb,2\n"[..], 0).unwrap());
    run(&place, "in.csv.zst", &["--fresh"]).expect(0);
    assert_eq!(place.rows("out.jsonl")[1], ("b".into(), json!({"echo": {"id": "b", "text": "2"}})));
}

#[test]
fn a_packed_input_that_is_cut_off_ends_the_job_before_it_starts_and_is_taken_once_it_is_whole() {
    let place = Place::new();
    let whole = gzip(items(500, |index| json!({"id": index, "text": "t"})).as_bytes());
    place.write("in.jsonl.gz", &whole[..whole.len() - 9]);
    run(&place, "in.jsonl.gz", &[])
        .expect_error(2, &["in.jsonl.gz", "gzip stream is cut off or damaged", "pack it anew"]);
    place.write("in.jsonl.gz", &whole);
    run(&place, "in.jsonl.gz", &[]).expect(0);
    assert_eq!(place.rows("out.jsonl").len(), 500);
}

/// `in.parquet`, of a column of whole numbers and one of texts.
fn parquet(place: &Place, ids: &[i64], texts: &[&str]) {
    let schema = parse_message_type("message m { required int64 id; required binary body (UTF8); }").unwrap();
    let file = std::fs::File::create(place.path("in.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(ids, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn rows_of_a_parquet_file_are_items() {
    let place = Place::new();
    parquet(&place, &[1, i64::MAX], &["one", "two"]);
    run(&place, "in.parquet", &["--map", "text=body"]).expect(0);
    let expected = |id: i64, text: &str| (id.to_string(), json!({"echo": {"id": id, "text": text}}));
    assert_eq!(place.rows("out.jsonl"), [expected(1, "one"), expected(i64::MAX, "two")]);
    run(&place, "in.parquet", &["--fresh", "--input-format", "csv"]).expect_error(2, &["--input-format parquet"]);
    let args =
        ["run", &plugin("misbehave"), "--input", "-", "--input-format", "parquet", "--output", "-", "--job", "s"];
    let bytes = std::fs::read(place.path("in.parquet")).unwrap();
    let from_stdin = place.run_with_stdin(&[&args[..], &["--map", "text=body"]].concat(), &bytes).expect(0);
    assert_eq!(from_stdin.stdout, place.read("out.jsonl"));
    run(&place, "in.parquet", &["--fresh", "--map", "text=nobody"]).expect_error(2, &["no column `nobody`", "`body`"]);
    run(&place, "in.parquet", &["--fresh", "--id-field", "nobody"]).expect_error(2, &["no column `nobody`", "`body`"]);
}

#[test]
fn a_parquet_file_whose_pages_need_more_memory_than_is_allowed_says_what_to_do() {
    let place = Place::new();
    parquet(&place, &[1], &["x".repeat(48 << 20).as_str()]);
    place.write("sandmill.toml", "[input]\nparquet_memory = \"64MiB\"\n");
    run(&place, "in.parquet", &[]).expect_error(
        2,
        &["in.parquet: decoding it takes more than 64 MiB of memory", "smaller row groups and pages", "parquet_memory"],
    );
    place.write("sandmill.toml", "");
    // The plugin has no room for such an item; it was read.
    run(&place, "in.parquet", &[]).expect(3);
    place.write("sandmill.toml", "[input]\nparquet_memory = \"63MiB\"\n");
    place.run(&["config", "check"]).expect_error(2, &["[input] parquet_memory is at least 64MiB"]);
}

/// So many rows that reading them takes a while.
fn many_rows(place: &Place) {
    let ids: Vec<i64> = (0..60_000).collect();
    parquet(place, &ids, &vec!["some text"; ids.len()]);
}

#[test]
fn a_run_that_is_killed_while_it_reads_parquet_leaves_no_process() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let place = Place::new();
    many_rows(&place);
    let args = ["run", &plugin("misbehave"), "--input", "in.parquet", "--job", "j"];
    let input = place.path("in.parquet");
    let running = Talking::start(&place, &args);
    until("a process that decodes", || readers_of(&input) > 0);
    assert_eq!(running.end("KILL"), None);
    until("its end", || readers_of(&input) == 0);
    // The job goes on as if nothing had been.
    run(&place, "in.parquet", &["--limit", "10"]).expect(0);
    assert_eq!(place.rows("out.jsonl").len(), 10);
}

#[test]
fn a_ctrl_c_while_parquet_is_read_stops_the_run_and_is_no_damage_of_the_file() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let place = Place::new();
    many_rows(&place);
    let input = place.path("in.parquet");
    let mut command = place.command(&["run", &plugin("misbehave"), "--input", "in.parquet", "--job", "j"]);
    let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("a process that decodes", || readers_of(&input) > 0);
    // As a terminal does: to all that is in the foreground.
    signal_group(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(!said.contains("damaged") && !said.contains("error"), "{said}");
    assert_eq!(readers_of(&input), 0);
    let counts = place.run(&["status", "j", "--json"]).expect(0).stdout;
    assert!(counts.contains("60000"), "all rows are registered: {counts}");
}

fn blobs(output: &Value) -> Vec<(&str, &str)> {
    let blobs = output["blobs"].as_array().unwrap().iter();
    blobs.map(|blob| (blob["name"].as_str().unwrap(), blob["start"].as_str().unwrap())).collect()
}

#[test]
fn each_file_of_a_folder_is_an_item_and_a_rerun_does_what_changed() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("scans/a")).unwrap();
    place.write("scans/a/1.txt", "first");
    place.write("scans/b.png", b"\x89PNG\0");
    place.write("scans/.hidden", "h");
    run(&place, "scans/", &[]).expect(0);
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a/1.txt", "b.png"]);
    assert_eq!(blobs(&rows[0].1), [("file", "first")]);
    assert_eq!(rows[1].1["blobs"][0]["mime_type"], "image/png");
    assert_eq!((&rows[1].1["blobs"][0]["size"], &rows[1].1["blobs"][0]["read"]), (&json!(5), &json!(5)));
    let again = run(&place, "scans", &["--json"]).expect(0);
    assert_eq!(again.summary()["run"]["skipped_already_done"], 2);
    place.write("scans/a/1.txt", "other");
    place.write("scans/c.txt", "new");
    std::fs::remove_file(place.path("scans/b.png")).unwrap();
    let changed = run(&place, "scans", &["--json"]).expect(0);
    assert!(
        changed.stderr.contains("1 items are new, 1 have new content and are done again, 1 have gone"),
        "{}",
        changed.stderr
    );
    let rows = place.rows("out.jsonl");
    assert_eq!(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a/1.txt", "c.txt"]);
    assert_eq!(blobs(&rows[0].1), [("file", "other")]);
    std::fs::rename(place.path("scans"), place.path("moved")).unwrap();
    let moved = run(&place, "moved/**/*.txt", &["--json"]).expect(0);
    assert_eq!(moved.summary()["run"]["skipped_already_done"], 2, "the same files elsewhere are the same items");
}

#[test]
fn a_file_that_changes_while_the_job_runs_fails_alone_and_the_rerun_takes_it() {
    let place = Place::new();
    std::fs::create_dir(place.path("docs")).unwrap();
    place.write("docs/a.txt", "one");
    place.write("docs/b.txt", "two");
    let server = MockServer::start(&place, "latency=1s");
    let prompt = plugin("prompt");
    let args =
        [
            &[
                "run",
                &prompt,
                "--set",
                "prompt={{text}}",
                "--input",
                "docs/*.txt",
                "--output",
                "out.jsonl",
                "--job",
                "j",
            ][..],
            &["--provider", "openai", "--base-url", &server.url, "--model", "m", "--concurrency", "1"],
        ]
        .concat();
    let child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first question", || server.requests() > 0);
    place.write("docs/b.txt", "TWO");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(3));
    let log = place.run(&["log", "j"]).expect(0).stdout;
    assert!(log.contains("b.txt has changed since the job began: run the job again"), "{log}");
    place.run(&args).expect(0);
    let rows = place.rows("out.jsonl");
    assert!(rows.len() == 2 && rows[1].1.to_string().contains("TWO"), "{rows:?}");
}

#[test]
fn what_cannot_be_a_folder_of_items_is_told_with_the_way_out() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    std::fs::create_dir(place.path("full")).unwrap();
    place.write("full/a.txt", "a");
    run(&place, "empty", &[]).expect_error(2, &["empty", "there is no file in it"]);
    run(&place, "full/*.png", &[]).expect_error(2, &["*.png", "none that the pattern fits"]);
    run(&place, "full", &["--id-field", "path"]).expect_error(2, &["leave them out"]);
    run(&place, "full", &["--input-format", "jsonl"]).expect_error(2, &["it is a folder", "--input-format files"]);
    let args = ["run", &plugin("misbehave"), "--input", "full", "--output", "full/out.jsonl"];
    place.run(&args).expect_error(2, &["would be an item of the input the next time"]);
}

#[test]
fn attached_files_reach_every_item_and_a_changed_one_is_a_change_of_the_job() {
    let place = Place::new();
    place.write("in.jsonl", items(3, |index| json!({"id": index, "do": "blob"})));
    place.write("rules.txt", "be brief");
    place.write("t.csv", "1,2");
    let attach = ["--attach", "rules.txt", "--attach", "table=t.csv"];
    run(&place, "in.jsonl", &attach).expect(0);
    for (_, output) in place.rows("out.jsonl") {
        assert_eq!(blobs(&output), [("rules.txt", "be brief"), ("table", "1,2")]);
    }
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let store = place.path(".sandmill").display().to_string();
    let mut resume = place.command(&["resume", "j", "--store", &store]);
    assert_eq!(resume.current_dir(place.path("elsewhere")).output().unwrap().status.code(), Some(0));
    place.write("rules.txt", "be long");
    run(&place, "in.jsonl", &attach).expect_error(2, &["an attached file", "--on-change keep", "--fresh"]);
    run(&place, "in.jsonl", &[&attach[..], &["--on-change", "keep"]].concat()).expect(0);
    run(&place, "in.jsonl", &["--attach", "none.txt"]).expect_error(2, &["none.txt", "no such file"]);
    let twice = ["--attach", "t.csv", "--attach", "t.csv=rules.txt"];
    run(&place, "in.jsonl", &twice).expect_error(2, &["two attached files are called `t.csv`"]);
}

#[test]
fn outputs_of_one_job_are_items_of_the_next_and_new_ones_are_picked_up() {
    let place = Place::new();
    let misbehave = plugin("misbehave");
    let lines = [
        json!({"id": "m", "do": "many", "n": 2}),
        json!({"id": "o", "text": "t"}),
        json!({"id": "q", "do": "ask", "prompt": "p"}),
        json!({"id": "s", "do": "skip"}),
    ];
    place.write("in.jsonl", lines.map(|line| line.to_string() + "\n").concat());
    let first = ["run", &misbehave, "--input", "in.jsonl", "--job", "first"];
    // Without a provider the one that asks fails.
    place.run(&first).expect(3);
    let ran = run(&place, "job:first", &[]).expect(0);
    assert!(ran.stderr.contains("of the 4 items of job first, 0 are pending and 1 have failed"), "{}", ran.stderr);
    let expected = [
        ("m/0".to_owned(), json!({"echo": {"value": 0, "text": null}})),
        ("m/1".to_owned(), json!({"echo": {"value": 1, "text": null}})),
        ("o".to_owned(), json!({"echo": {"echo": {"text": "t", "id": "o"}, "text": null}})),
    ];
    assert_eq!(place.rows("out.jsonl"), expected);
    place.run(&[&first[..], &["--provider", "mock", "--on-change", "keep"]].concat()).expect(0);
    let ran = place.run(&["resume", "j"]).expect(0);
    assert!(ran.stderr.contains("1 items are new, 0 have new content"), "{}", ran.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 4);
    let db = format!("job:{}", place.path(".sandmill/first.db").display());
    let args = ["run", &misbehave, "--input", &db, "--output", "out.jsonl", "--store", "other"];
    place.run(&args).expect(0);
    assert_eq!(place.rows("out.jsonl").len(), 4);
}

#[test]
fn a_job_that_cannot_be_an_input_is_told_with_the_way_out() {
    let place = Place::new();
    place.write("in.jsonl", items(1, |index| json!({"id": index})));
    run(&place, "in.jsonl", &[]).expect(0);
    run(&place, "job:j", &[]).expect_error(2, &["its own input", "--job"]);
    let misbehave = plugin("misbehave");
    let next =
        |input: &str, more: &[&str]| place.run(&[&["run", &misbehave, "--input", input, "--job", "k"], more].concat());
    next("job:nowhere", &[]).expect_error(2, &["nowhere", "`j`"]);
    next("job:j", &["--id-field", "x"]).expect_error(2, &["leave out --id-field"]);
    next("job:j", &["--input-format", "csv"]).expect_error(2, &["leave out --input-format"]);
}
