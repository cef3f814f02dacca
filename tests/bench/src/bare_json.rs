//! Yardstick: the same file read, and as many lines written, with `serde_json` and nothing else.

use crate::process;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

pub(crate) fn run(input: &Path, into: &Path) -> anyhow::Result<()> {
    process::tell(|| read_and_write(input, into))
}

fn read_and_write(input: &Path, into: &Path) -> anyhow::Result<()> {
    let mut output = BufWriter::new(File::create(into)?);
    for line in BufReader::new(File::open(input)?).lines() {
        let item: Value = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut output, &serde_json::json!({ "id": item["id"], "output": item["text"] }))?;
        output.write_all(b"\n")?;
    }
    output.into_inner()?.sync_all()?;
    Ok(())
}
