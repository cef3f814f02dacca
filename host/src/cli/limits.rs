//! Limits of plugins and items, from flags, `sandmill.toml` and the policy to what the sandbox and the models' side are told.
//!
//! A limit has one key in `[limits]`, one flag, and the same key in a policy, which bounds it.

use super::run_args::{dollars, duration, size};
use crate::config::{Dollars, Limits as Keys, Size, Time};
use crate::sandbox::{self, Limits};
use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Questions that an item may ask where nobody says otherwise.
const ITEM_CALLS: u64 = 1_000;

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Limits of the plugin")]
#[serde(default)]
pub(super) struct LimitArgs {
    /// Memory of an attempt [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_memory: Option<u64>,
    /// Elements over all its tables [default: 100,000]
    #[arg(long, value_name = "N")]
    limit_table: Option<u64>,
    /// Its stack [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_stack: Option<u64>,
    /// Its processor time [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    limit_cpu: Option<String>,
    /// Processor time that the host spends for it [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    limit_host_time: Option<String>,
    /// Time of an attempt, models not counted [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    limit_wall: Option<String>,
    /// Core instances of a component; a sixteenth as many memories, a quarter as many tables [default: 128]
    #[arg(long, value_name = "N")]
    limit_instances: Option<u64>,
    /// Resources of the host that it holds at once [default: 10,000]
    #[arg(long, value_name = "N")]
    limit_handles: Option<u64>,
    /// Calls of the host's functions in an attempt [default: 1,000,000]
    #[arg(long, value_name = "N")]
    limit_host_calls: Option<u64>,
    /// Bytes between plugin and host in one call [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_transfer: Option<u64>,
    /// What an attempt may write into folders that were granted [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_written: Option<u64>,
    /// What an item may emit [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_output: Option<u64>,
    /// Values that an item may emit [default: 10,000]
    #[arg(long, value_name = "N")]
    limit_emissions: Option<u64>,
    /// How deep they may nest [default: 100]
    #[arg(long, value_name = "N")]
    limit_depth: Option<u64>,
    /// What is kept of an attempt's log; the rest is counted [default: 64KiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    limit_log: Option<u64>,
    /// Lines of it that are kept [default: 1,000]
    #[arg(long, value_name = "N")]
    limit_log_lines: Option<u64>,
    /// Questions in one `complete-many` [default: 1,000]
    #[arg(long, value_name = "N")]
    limit_requests: Option<u64>,
    /// Questions that one item may ask [default: 1,000]
    #[arg(long, value_name = "N")]
    max_item_calls: Option<u64>,
    /// Tokens that one item may read and write
    #[arg(long, value_name = "N")]
    max_item_tokens: Option<u64>,
    /// What one item may cost, in dollars
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    max_item_cost: Option<u64>,
    /// The most that a policy allows.
    #[arg(skip)]
    #[serde(skip)]
    most: Keys,
}

/// What an item may use of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfItem {
    pub(super) calls: u64,
    pub(super) tokens: Option<u64>,
    pub(super) micro_dollars: Option<u64>,
}

impl LimitArgs {
    /// What was given as flags.
    pub(super) fn given(&self) -> anyhow::Result<Keys> {
        let time = |text: &Option<String>| -> anyhow::Result<Option<Time>> {
            Ok(text.as_deref().map(humantime::parse_duration).transpose()?.map(Time))
        };
        Ok(Keys {
            memory: self.limit_memory.map(Size),
            table: self.limit_table,
            stack: self.limit_stack.map(Size),
            cpu: time(&self.limit_cpu)?,
            host_time: time(&self.limit_host_time)?,
            wall: time(&self.limit_wall)?,
            instances: self.limit_instances,
            handles: self.limit_handles,
            host_calls: self.limit_host_calls,
            transfer: self.limit_transfer.map(Size),
            written: self.limit_written.map(Size),
            output: self.limit_output.map(Size),
            emissions: self.limit_emissions,
            depth: self.limit_depth,
            log: self.limit_log.map(Size),
            log_lines: self.limit_log_lines,
            requests: self.limit_requests,
            item_calls: self.max_item_calls,
            item_tokens: self.max_item_tokens,
            item_cost: self.max_item_cost.map(Dollars),
        })
    }

    /// These, and where one is not given that of `below`.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            limit_memory: self.limit_memory.or(below.limit_memory),
            limit_table: self.limit_table.or(below.limit_table),
            limit_stack: self.limit_stack.or(below.limit_stack),
            limit_cpu: self.limit_cpu.or(below.limit_cpu),
            limit_host_time: self.limit_host_time.or(below.limit_host_time),
            limit_wall: self.limit_wall.or(below.limit_wall),
            limit_instances: self.limit_instances.or(below.limit_instances),
            limit_handles: self.limit_handles.or(below.limit_handles),
            limit_host_calls: self.limit_host_calls.or(below.limit_host_calls),
            limit_transfer: self.limit_transfer.or(below.limit_transfer),
            limit_written: self.limit_written.or(below.limit_written),
            limit_output: self.limit_output.or(below.limit_output),
            limit_emissions: self.limit_emissions.or(below.limit_emissions),
            limit_depth: self.limit_depth.or(below.limit_depth),
            limit_log: self.limit_log.or(below.limit_log),
            limit_log_lines: self.limit_log_lines.or(below.limit_log_lines),
            limit_requests: self.limit_requests.or(below.limit_requests),
            max_item_calls: self.max_item_calls.or(below.max_item_calls),
            max_item_tokens: self.max_item_tokens.or(below.max_item_tokens),
            max_item_cost: self.max_item_cost.or(below.max_item_cost),
            most: self.most.lower(below.most),
        }
    }

    /// From now on nothing goes beyond `most`.
    pub(super) fn bound(&mut self, most: &Keys) {
        self.most = self.most.lower(*most);
    }

    /// What is in force.
    pub(super) fn in_force(&self, file: &Keys) -> anyhow::Result<Keys> {
        Ok(self.given()?.or(*file).or(defaults()).lower(self.most))
    }

    pub(super) fn of_attempt(&self, file: &Keys) -> anyhow::Result<Limits> {
        let keys = self.in_force(file)?;
        check(&keys)?;
        let default = Limits::default();
        let count = |value: Option<u64>, default: usize| match value {
            Some(value) => usize::try_from(value).context("a limit is larger than this machine can count to: lower it"),
            None => Ok(default),
        };
        let bytes = |value: Option<Size>, default: usize| count(value.map(|Size(bytes)| bytes), default);
        let time = |value: Option<Time>, default: Duration| value.map_or(default, |Time(time)| time);
        let limits = Limits {
            memory_bytes: bytes(keys.memory, default.memory_bytes)?,
            table_elements: count(keys.table, default.table_elements)?,
            stack_bytes: bytes(keys.stack, default.stack_bytes)?,
            cpu_time: time(keys.cpu, default.cpu_time),
            host_time: time(keys.host_time, default.host_time),
            wall_time: time(keys.wall, default.wall_time),
            instances: count(keys.instances, default.instances)?,
            handles: count(keys.handles, default.handles)?,
            host_calls: keys.host_calls.unwrap_or(default.host_calls),
            transfer_bytes: bytes(keys.transfer, default.transfer_bytes)?,
            written_bytes: keys.written.map_or(default.written_bytes, |Size(bytes)| bytes),
            output_bytes: bytes(keys.output, default.output_bytes)?,
            emissions: count(keys.emissions, default.emissions)?,
            output_depth: count(keys.depth, default.output_depth)?,
            log_bytes: bytes(keys.log, default.log_bytes)?,
            log_lines: count(keys.log_lines, default.log_lines)?,
            requests: count(keys.requests, default.requests)?,
        };
        // What an item may emit must get across.
        Ok(Limits { transfer_bytes: limits.transfer_bytes.max(limits.output_bytes + (1 << 20)), ..limits })
    }

    pub(super) fn of_item(&self, file: &Keys) -> anyhow::Result<OfItem> {
        let keys = self.in_force(file)?;
        Ok(OfItem {
            calls: keys.item_calls.unwrap_or(ITEM_CALLS),
            tokens: keys.item_tokens,
            micro_dollars: keys.item_cost.map(|Dollars(micro)| micro),
        })
    }
}

/// The flag of a key of `[limits]`.
pub(super) fn flag(key: &str) -> String {
    let kind = if key.starts_with("item_") { "max" } else { "limit" };
    format!("--{kind}-{}", key.replace('_', "-"))
}

/// What holds where nobody says otherwise.
pub(super) fn defaults() -> Keys {
    let Limits {
        memory_bytes,
        table_elements,
        stack_bytes,
        cpu_time,
        host_time,
        wall_time,
        instances,
        handles,
        host_calls,
        transfer_bytes,
        written_bytes,
        output_bytes,
        emissions,
        output_depth,
        log_bytes,
        log_lines,
        requests,
    } = Limits::default();
    let size = |bytes: usize| Some(Size(bytes as u64));
    let count = |number: usize| Some(number as u64);
    Keys {
        memory: size(memory_bytes),
        table: count(table_elements),
        stack: size(stack_bytes),
        cpu: Some(Time(cpu_time)),
        host_time: Some(Time(host_time)),
        wall: Some(Time(wall_time)),
        instances: count(instances),
        handles: count(handles),
        host_calls: Some(host_calls),
        transfer: size(transfer_bytes),
        written: Some(Size(written_bytes)),
        output: size(output_bytes),
        emissions: count(emissions),
        depth: count(output_depth),
        log: size(log_bytes),
        log_lines: count(log_lines),
        requests: count(requests),
        item_calls: Some(ITEM_CALLS),
        item_tokens: None,
        item_cost: None,
    }
}

/// Values that can be kept. A limit of nothing at all would let no plugin describe itself.
fn check(keys: &Keys) -> anyhow::Result<()> {
    let size = |bytes: u64| crate::config::Limit::from(Size(bytes));
    let within = |key: &str, value: Option<Size>, least: u64, most: u64| match value {
        Some(Size(bytes)) if !(least..=most).contains(&bytes) => {
            bail!("{} lies between {} and {}", flag(key), size(least), size(most))
        }
        _ => Ok(()),
    };
    within("memory", keys.memory, 64 << 10, 4 << 30)?;
    within("stack", keys.stack, 64 << 10, 64 << 20)?;
    within("transfer", keys.transfer, 64 << 10, 2 << 30)?;
    within("output", keys.output, 0, 1 << 30)?;
    let up_to = |key: &str, value: Option<u64>, most: u64| match value {
        Some(number) if !(1..=most).contains(&number) => bail!("{} lies between 1 and {most}", flag(key)),
        _ => Ok(()),
    };
    up_to("table", keys.table, 10_000_000)?;
    up_to("instances", keys.instances, 1_000)?;
    up_to("handles", keys.handles, 1_000_000)?;
    up_to("host_calls", keys.host_calls, u64::MAX)?;
    up_to("depth", keys.depth, sandbox::DEPTH_MAX as u64)?;
    up_to("requests", keys.requests, 100_000)?;
    for (key, value) in [("cpu", keys.cpu), ("host_time", keys.host_time), ("wall", keys.wall)] {
        if value.is_some_and(|Time(time)| time.is_zero()) {
            bail!("{} is more than nothing: write 10s", flag(key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn args(flags: &[&str]) -> LimitArgs {
        Line::try_parse_from(["x"].iter().chain(flags)).unwrap().limits
    }

    fn keys(text: &str) -> Keys {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_key_has_its_flag_and_every_flag_its_key() {
        let command = Line::command();
        let mut flags: Vec<String> =
            command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        let mut of_keys: Vec<String> = Keys::default().values().into_iter().map(|(key, _)| flag(key)).collect();
        flags.sort();
        of_keys.sort();
        assert_eq!(flags, of_keys);
    }

    #[test]
    fn each_flag_sets_what_its_key_sets() {
        for (key, _) in Keys::default().values() {
            let (of_flag, of_file) = match key {
                "cpu" | "host_time" | "wall" => ("7s", "\"7s\""),
                "memory" | "stack" | "transfer" | "written" | "output" | "log" => ("3MiB", "\"3MiB\""),
                "item_cost" => ("7", "7.0"),
                _ => ("7", "7"),
            };
            let given = args(&[&flag(key), of_flag]).given().unwrap();
            assert_eq!(given, keys(&format!("{key} = {of_file}")), "{key}");
            assert_ne!(given.or(defaults()), defaults(), "{key} is in force");
        }
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_the_default() {
        let file = keys("cpu = \"3s\"\nlog_lines = 5");
        let limits = args(&["--limit-cpu", "2s"]).of_attempt(&file).unwrap();
        assert_eq!((limits.cpu_time, limits.log_lines), (Duration::from_secs(2), 5));
        assert_eq!(limits.memory_bytes, Limits::default().memory_bytes);
    }

    #[test]
    fn a_limit_that_is_given_goes_before_the_one_that_is_stored() {
        for (key, _) in Keys::default().values() {
            let value = |number: &str| match key {
                "cpu" | "host_time" | "wall" => format!("{number}s"),
                _ => number.to_owned(),
            };
            let stored = args(&[&flag(key), &value("7")]);
            let given = args(&[&flag(key), &value("8")]);
            assert_eq!(args(&[]).over(stored.clone()).given().unwrap(), stored.given().unwrap(), "{key}");
            assert_eq!(given.clone().over(stored).given().unwrap(), given.given().unwrap(), "{key}");
        }
    }

    #[test]
    fn what_a_policy_allows_is_the_most() {
        let mut args = args(&["--max-item-calls", "5"]);
        args.bound(&keys("item_calls = 3\nitem_tokens = 100\ncpu = \"1m\""));
        let of_item = args.of_item(&Keys::default()).unwrap();
        assert_eq!((of_item.calls, of_item.tokens, of_item.micro_dollars), (3, Some(100), None));
        assert_eq!(args.of_attempt(&Keys::default()).unwrap().cpu_time, Duration::from_secs(10), "nothing is raised");
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_refused_by_its_flag() {
        for (flag, value) in [
            ("--limit-memory", "8GiB"),
            ("--limit-stack", "1KiB"),
            ("--limit-depth", "500"),
            ("--limit-instances", "0"),
            ("--limit-wall", "0s"),
        ] {
            let error = args(&[flag, value]).of_attempt(&Keys::default()).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
    }
}
