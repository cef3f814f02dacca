//! A long text: its tokens counted, and its end cut off until it fits.

use crate::layers::question;
use crate::python;
use crate::scene::Scene;
use crate::table::{Bound, Row, count, median};
use anyhow::{Context, bail};
use sandmill::resilience::{count_alone, cut_alone};
use std::hint::black_box;
use std::time::Instant;

const CHARACTERS: usize = 217_083;
const TOKENS_MAX: usize = 4_096;
/// Whose encoding is `o200k_base`.
const MODEL: &str = "gpt-4o";
/// The same text so many times; the middle one counts.
const TIMES: usize = 20;
/// Texts are counted in pieces, and a token that spans two of them as two: so many in a thousand may be counted too many.
const TOO_MANY: u64 = 5;

pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let path = scene.long_text(CHARACTERS)?;
    let request = question(&std::fs::read_to_string(&path)?);
    let (tokens, most) = (count_alone(MODEL, &request), TOKENS_MAX as u64);
    let cut = cut_alone(MODEL, &request, most).context("the text fits as it is")?.1;
    if cut.tokens_after > most || cut.tokens_after < most / 2 {
        bail!("{TOKENS_MAX} tokens are taken, and {} were left", cut.tokens_after);
    }
    let tiktoken = python::tiktoken(scene, &path)?;
    let (mut counting, mut cutting, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scene.rounds {
        counting.push(millis(|| black_box(count_alone(MODEL, black_box(&request)))));
        cutting.push(millis(|| black_box(cut_alone(MODEL, black_box(&request), most))));
        let Some(tiktoken) = &tiktoken else { continue };
        let (seconds, counted) = tiktoken.count(&path, TIMES)?;
        if tokens < counted || tokens - counted > counted * TOO_MANY / 1_000 {
            bail!("tiktoken counts {counted} tokens, and we {tokens}");
        }
        theirs.push(seconds * 1e3);
    }
    let (counting, length) = (median(counting), usize::try_from(tokens)?);
    let row = |what: &str, ours, yardstick, wanted| {
        let what = format!("a text of {} characters, {} tokens: {what}", count(CHARACTERS), count(length));
        Row { what, ours, yardstick, unit: "ms", wanted }
    };
    let beside = (!theirs.is_empty()).then(|| ("Python, tiktoken", median(theirs)));
    let beyond = Some(("counting all of it", counting));
    Ok(vec![
        row("counted", counting, beside, Bound::Told),
        row(&format!("cut to {} tokens", count(TOKENS_MAX)), median(cutting), beyond, Bound::AtMostMore(2.0)),
    ])
}

/// Of one time, the one in the middle.
#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn millis<T>(work: impl Fn() -> T) -> f64 {
    median((0..=TIMES).map(|_| {
        let began = Instant::now();
        drop(work());
        began.elapsed().as_secs_f64() * 1e3
    }))
}
