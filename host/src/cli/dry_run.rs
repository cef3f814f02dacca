//! `--dry-run`: the whole run, against the mock and into a store that is thrown away; then what its calls would have taken.

use super::job_ref::JobRef;
use super::run_args::RunArgs;
use super::{CliResult, Exit, Failure, policy, print_json, run};
use crate::config::Config;
use crate::resilience::dollars;
use crate::store::{CostBy, CostRow, Counts, JobName, Reader};
use anyhow::Context;

/// No budget ends a rehearsal, or what it counted until then would pass for the whole.
pub(super) fn lift(args: &mut RunArgs) {
    let provider = &mut args.provider;
    (provider.max_cost, provider.max_tokens, provider.max_calls) = (None, None, None);
}

/// What the job would take.
struct Estimate {
    counts: Counts,
    calls: u64,
    /// To read, as the model counts them.
    tokens: u64,
    /// The most that it may cost, in millionths of a dollar, where every call has a price.
    cost: Option<u64>,
    /// The rehearsal went through all items.
    is_whole: bool,
    /// The limits that the job would reach, by flag, each with its value.
    beyond: Vec<(&'static str, String)>,
}

pub(super) fn dry_run(mut args: RunArgs, config: &Config, job: &JobName) -> CliResult {
    let folder = tempfile::tempdir()
        .context("cannot make a folder for the dry run (TMPDIR says where)")
        .map_err(Failure::internal)?;
    let mut real = args.clone();
    policy::load()?.bound(&mut real, config)?;
    for other in &mut args.reuse {
        *other = JobRef::new(other, args.store.as_deref(), config)?.path_anywhere()?;
    }
    args.store = Some(folder.path().to_path_buf());
    let is_json = std::mem::take(&mut args.json);
    // Of a command that is tried before it is run: nothing is written.
    (args.summary, args.output) = (None, None);
    args.quiet = true;
    args.verbose = false;
    let exit = run::execute(&args, config, folder.path(), job)?;
    let estimate = estimate(&Reader::open(folder.path(), job)?, &real, exit)?;
    if is_json {
        print_json(&estimate.as_json())?;
    } else {
        estimate.tell(job);
    }
    Ok(exit)
}

fn estimate(reader: &Reader, real: &RunArgs, exit: Exit) -> Result<Estimate, Failure> {
    let (counts, rows) = (reader.counts()?, reader.costs(CostBy::Route)?);
    let sum = |of: fn(&CostRow) -> u64| rows.iter().map(of).sum::<u64>();
    let (calls, tokens) = (sum(|row| row.calls), sum(|row| row.input_tokens));
    let cost = (calls > 0 && sum(|row| row.unpriced) == 0).then(|| sum(|row| row.reserved));
    let mut beyond = Vec::new();
    let mut compare = |flag, found: Option<u64>, limit: Option<u64>, shown: fn(u64) -> String| {
        if let (Some(found), Some(limit)) = (found, limit)
            && found > limit
        {
            beyond.push((flag, shown(limit)));
        }
    };
    compare("--max-cost", cost, real.provider.max_cost, dollars);
    compare("--max-tokens", Some(tokens), real.provider.max_tokens, |limit| limit.to_string());
    compare("--max-calls", Some(calls), real.provider.max_calls, |limit| limit.to_string());
    let is_whole = matches!(exit, Exit::Done | Exit::ItemsFailed);
    Ok(Estimate { counts, calls, tokens, cost, is_whole, beyond })
}

impl Estimate {
    fn as_json(&self) -> serde_json::Value {
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let cost = self.cost.map(|cost| cost as f64 / 1e6);
        serde_json::json!({
            "schema": 1,
            "items": self.counts.total,
            "calls": self.calls,
            "input_tokens": self.tokens,
            "cost_dollars_at_most": cost,
            "is_whole": self.is_whole,
            "beyond": self.beyond.iter().map(|(flag, _)| flag).collect::<Vec<_>>(),
        })
    }

    fn tell(&self, job: &JobName) {
        let Counts { total, done, skipped, failed } = self.counts;
        outln!("Dry run of job {job}: nothing was asked, nothing is stored");
        outln!("  items      {total} in all, {} done, {failed} failed", done + skipped);
        if !self.is_whole {
            outln!("  note       the rehearsal stopped early: what follows is of a part of the items");
        }
        outln!("  calls      {}, if every answer is taken at once", self.calls);
        outln!("  tokens     about {} to read", self.tokens);
        match self.cost {
            None => outln!("  cost       unknown: give the route prices (--prices, or [route.NAME.prices])"),
            Some(most) => outln!("  cost       at most {}", dollars(most)),
        }
        for (flag, limit) in &self.beyond {
            outln!("  note       more than {flag} {limit}: the job would stop there");
        }
    }
}
