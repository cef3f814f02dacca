//! From flags and sandmill.toml, flags first, to the settings of each module.

use super::memory;
use super::run_args::{LogFormat, RunArgs, ShardArg, Suspend};
use crate::config::{self, Config};
use crate::kit::Source;
use crate::resilience::{ContextSettings, OnOverflow, RetrySettings};
use crate::run::{RunSettings, SuspendPolicy, Suspension};
use crate::store::Take;
use crate::telemetry;
use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const STORE: &str = ".sandmill";
pub(super) const CONCURRENCY: u32 = 32;
const INSTANCES: u32 = 1_000;
/// Address space, not memory.
const SLOTS: u32 = 256;
pub(super) const ATTEMPTS: u32 = 3;
pub(super) const CONSECUTIVE_ERRORS: u32 = 10;
/// No more than failed items in a row, of which it says less.
pub(super) const TRAPS: u32 = 10;
pub(super) const WATCHDOG: Duration = Duration::from_mins(10);
/// Some instantiations of an interpreter: who gives way sooner spends more on replays than the wait is worth.
pub(super) const SUSPEND_AFTER: Duration = Duration::from_millis(100);
/// Of the memory that is there when the run begins: what guests shall have. The rest is for what is not counted of them: stacks, the host's copies of
/// what they hand over and are handed, files that are read, and for whoever else is on the machine.
const MEMORY_PERCENT: u64 = 70;

pub(super) fn time(flag: Option<&str>, config: Option<Duration>) -> anyhow::Result<Option<Duration>> {
    match flag {
        Some(text) => Ok(Some(humantime::parse_duration(text)?)),
        None => Ok(config),
    }
}

/// Everything of flags and file that can be wrong by itself, whatever a run uses of it.
pub(super) fn checked(args: &RunArgs, config: &Config) -> impl Iterator<Item = anyhow::Error> {
    let checks = [
        retry(args, config).map(drop),
        context(args, config).map(drop),
        args.limits.of_attempt(&config.limits).map(drop),
        args.limits.of_item(&config.limits).map(drop),
        run(args, config).map(drop),
        suspend(args, config, true).map(drop),
        metrics(args, config).map(drop),
        dashboard(args, config).map(drop),
        log_format(args, config).map(drop),
        telemetry(args, config).map(drop),
    ];
    checks.into_iter().filter_map(Result::err)
}

pub(super) fn retry(args: &RunArgs, config: &Config) -> anyhow::Result<RetrySettings> {
    let (args, config, default) = (&args.provider, &config.retry, RetrySettings::default());
    let settings = RetrySettings {
        attempts_max: args.retry_attempts.or(config.attempts).unwrap_or(default.attempts_max).max(1),
        json_attempts_max: config.json_attempts.unwrap_or(default.json_attempts_max).max(1),
        wait_min: time(args.retry_min.as_deref(), config.wait_min)?.unwrap_or(default.wait_min),
        wait_max: time(args.retry_max.as_deref(), config.wait_max)?.unwrap_or(default.wait_max),
        retry_after_max: time(args.retry_after_max.as_deref(), config.retry_after_max)?
            .unwrap_or(default.retry_after_max),
    };
    if settings.wait_min > settings.wait_max {
        bail!("the least wait before a retry is longer than the most: see --retry-min and --retry-max");
    }
    Ok(settings)
}

pub(super) fn context(args: &RunArgs, config: &Config) -> anyhow::Result<ContextSettings> {
    let (config, default) = (&config.context, ContextSettings::default());
    let how = args.provider.on_overflow.as_deref().or(config.on_overflow.as_deref());
    Ok(ContextSettings {
        on_overflow: match how {
            None => default.on_overflow,
            Some("truncate") => OnOverflow::Truncate,
            Some("truncate-middle") => OnOverflow::TruncateMiddle,
            Some("error") => OnOverflow::Error,
            Some(other) => bail!("context.on_overflow `{other}` is not known: truncate, truncate-middle or error"),
        },
        reserve_output: config.reserve_output.unwrap_or(default.reserve_output),
        keep_last: config.keep_last.unwrap_or(default.keep_last),
        assumed: config.assumed.unwrap_or(default.assumed),
    })
}

pub(super) fn concurrency(args: &RunArgs, config: &Config) -> u32 {
    let from_config = config.run.concurrency.and_then(|number| u32::try_from(number).ok());
    args.work.concurrency.or(from_config).unwrap_or(CONCURRENCY).clamp(1, 10_000)
}

fn instances_set(args: &RunArgs, config: &Config) -> Option<u32> {
    args.work.max_instances.or(config.run.max_instances).map(|set| set.max(1))
}

pub(super) fn instances(args: &RunArgs, config: &Config) -> u32 {
    instances_set(args, config).unwrap_or_else(|| concurrency(args, config).min(INSTANCES))
}

/// Instances that the sandbox has room for, so that a run can be told to do more at once while it goes on.
pub(super) fn slots(args: &RunArgs, config: &Config) -> u32 {
    instances_set(args, config).unwrap_or_else(|| instances(args, config).max(SLOTS))
}

/// What all live guests shall have of memory together, in bytes; `None`: as much as they take.
pub(super) fn memory_target(args: &RunArgs, config: &Config) -> Option<u64> {
    match args.work.memory_target.or(config.run.memory_target) {
        Some(set) => Some(set).filter(|set| *set > 0),
        None => memory::available().map(|bytes| bytes / 100 * MEMORY_PERCENT),
    }
}

/// When a guest that waits gives its instance back. `is_replayable`: what the plugin was granted can be replayed.
pub(super) fn suspend(args: &RunArgs, config: &Config, is_replayable: bool) -> anyhow::Result<Suspension> {
    let policy = match (args.work.suspend, config.run.suspend.as_deref()) {
        (Some(Suspend::Auto), _) | (None, None | Some("auto")) => SuspendPolicy::Auto,
        (Some(Suspend::Never), _) | (None, Some("never")) => SuspendPolicy::Never,
        (Some(Suspend::Always), _) | (None, Some("always")) => SuspendPolicy::Always,
        (None, Some(other)) => bail!("run.suspend `{other}` is not known: auto, never or always"),
    };
    let policy = match policy {
        SuspendPolicy::Always if !is_replayable => bail!(
            "with --suspend always the plugin would be run again from its start while it waits, and what it was granted cannot be done twice: it sends requests, writes files, or is told the real time or chance; leave --suspend away, and it keeps its instance"
        ),
        SuspendPolicy::Auto if !is_replayable => SuspendPolicy::Never,
        other => other,
    };
    let after = time(args.work.suspend_after.as_deref(), config.run.suspend_after)?.unwrap_or(SUSPEND_AFTER);
    Ok(Suspension { policy, after, memory_target: memory_target(args, config) })
}

pub(super) fn attempts_max(args: &RunArgs, config: &Config) -> u32 {
    args.work.max_attempts.or(config.run.max_attempts).unwrap_or(ATTEMPTS).max(1)
}

pub(super) fn run(args: &RunArgs, config: &Config) -> anyhow::Result<RunSettings> {
    Ok(RunSettings {
        concurrency: concurrency(args, config) as usize,
        consecutive_errors_max: args
            .work
            .max_consecutive_errors
            .or(config.run.max_consecutive_errors)
            .unwrap_or(CONSECUTIVE_ERRORS),
        traps_max: args.work.max_traps.or(config.run.max_traps).unwrap_or(TRAPS),
        error_rate_max: args.work.max_error_rate.map(|share| (share, args.work.after)),
        take: match &args.retry {
            Some(filter) => Take::Failed(filter.clone()),
            None if args.skip_failed => Take::Pending,
            None => Take::PendingAndFailed,
        },
        grace: humantime::parse_duration(&args.work.grace)?,
    })
}

/// `None`: nobody wants to be told.
pub(super) fn watchdog(args: &RunArgs, config: &Config) -> anyhow::Result<Option<Duration>> {
    let patience = time(args.work.watchdog.as_deref(), config.run.watchdog)?.unwrap_or(WATCHDOG);
    Ok((!patience.is_zero()).then_some(patience))
}

/// Where figures are served, if anywhere.
pub(super) fn metrics(args: &RunArgs, config: &Config) -> anyhow::Result<Option<SocketAddr>> {
    let text = args.metrics.as_deref().or(config.run.metrics.as_deref());
    text.map(listen).transpose().map_err(|reason| anyhow::anyhow!("[run] metrics: {reason}"))
}

/// Where the live page is served, if anywhere; where other machines can reach it only if that was asked for in as many words.
pub(super) fn dashboard(args: &RunArgs, config: &Config) -> anyhow::Result<Option<SocketAddr>> {
    let text = args.dashboard.as_deref().or(config.run.dashboard.as_deref());
    let address = text.map(listen).transpose().map_err(|reason| anyhow::anyhow!("[run] dashboard: {reason}"))?;
    let is_allowed = args.dashboard_allow_remote || config.run.dashboard_allow_remote.unwrap_or(false);
    match address {
        Some(address) if !address.ip().is_loopback() && !is_allowed => bail!(
            "the dashboard would be reached from other machines at {address}, over HTTP that nobody encrypts: say --dashboard {} and come by `ssh -L`, or --dashboard-allow-remote (dashboard_allow_remote in [run]) if that is wanted",
            address.port()
        ),
        address => Ok(address),
    }
}

/// What is said on stderr, and how.
pub(super) fn log_format(args: &RunArgs, config: &Config) -> anyhow::Result<LogFormat> {
    let of_config = config.run.log_format.as_deref().map(|text| {
        LogFormat::from_str(text, false)
            .map_err(|_| anyhow::anyhow!("[run] log_format is `{text}`: write \"text\" or \"json\""))
    });
    Ok(match args.log_format {
        Some(format) => format,
        None => of_config.transpose()?.unwrap_or_default(),
    })
}

/// Where traces and figures are sent, if anywhere.
pub(super) fn telemetry(args: &RunArgs, config: &Config) -> anyhow::Result<Option<telemetry::Settings>> {
    let config::Telemetry { otlp, sample, headers } = &config.telemetry;
    let Some(otlp) = args.otlp.as_ref().or(otlp.as_ref()) else { return Ok(None) };
    let variable = |name: &str| std::env::var(name).ok();
    telemetry::Settings::new(otlp, headers.iter(), sample.unwrap_or(1.0), variable).context("[telemetry]")
}

/// A port of this machine, or an address with its port.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let of_port = text.parse::<u16>().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let read = of_port.ok().or_else(|| text.parse().ok());
    read.ok_or_else(|| format!("`{text}` is no port and no address: write 9464, or 127.0.0.1:9464"))
}

/// Sandmill's part of the user's caches, as the XDG base directory specification has it. `None`: the user has no home.
pub(super) fn caches() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("sandmill"))
}

pub(super) fn store_dir(flag: Option<&Path>, config: &Config) -> PathBuf {
    flag.map(Path::to_path_buf).or_else(|| config.run.store.clone()).unwrap_or_else(|| PathBuf::from(STORE))
}

/// The plugin's configuration: the file, with each `--set` put over it.
pub(super) fn plugin_config(args: &RunArgs) -> anyhow::Result<String> {
    let mut config = match &args.plugin_config {
        None => serde_json::Map::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not a JSON object", path.display()))?
        }
    };
    for (key, text) in &args.set {
        let value = serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text.as_str()));
        config.insert(key.clone(), value);
    }
    Ok(serde_json::Value::Object(config).to_string())
}

/// `run`'s arguments, as they are if nobody gives any.
pub(super) fn no_flags() -> anyhow::Result<RunArgs> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }
    Ok(Line::try_parse_from(["", "-", "--input", "-"])?.args)
}

/// From plugin and input; two paths never share a name.
pub(super) fn default_job(plugin: &Path, input: &Path, shard: Option<ShardArg>) -> String {
    let word = |path: &Path| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let clean: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(40).collect();
        clean.trim_start_matches(['.', '-']).to_owned()
    };
    // A slash at the end of a folder's name makes no other job.
    let absolute = |path: &Path| -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components().collect()
    };
    let (plugin, plugin_word) = match Source::parse(plugin) {
        // A newer version goes on with the job, as a plugin that was built anew does.
        Ok(Source::Registry(reference)) => (PathBuf::from(reference.versionless()), word(Path::new(reference.name()))),
        Ok(Source::Path(_)) | Err(_) => (absolute(plugin), word(&absolute(plugin))),
    };
    let mut hasher = Sha256::new();
    for path in [plugin, absolute(input)] {
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update([0]);
    }
    let digest = hex::encode(&hasher.finalize()[..3]);
    let input_word = if input == Path::new("-") { "stdin".to_owned() } else { word(input) };
    let part = shard.map(|shard| format!("{}of{}", shard.number, shard.of)).unwrap_or_default();
    let words = [plugin_word, input_word, digest, part];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(listen("9464"), Ok("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(listen("0.0.0.0:80"), Ok("0.0.0.0:80".parse().unwrap()));
        assert_eq!(listen("[::1]:0"), Ok("[::1]:0".parse().unwrap()));
        for text in ["99999", "localhost:80", "10.0.0.1", ""] {
            assert!(listen(text).unwrap_err().contains("9464"), "{text}");
        }
    }

    #[test]
    fn a_dashboard_for_other_machines_is_asked_for_in_as_many_words() {
        let mut config = Config::default();
        let of = |text: &str, allowed: bool, config: &Config| {
            let args = no_flags().unwrap();
            dashboard(&RunArgs { dashboard: Some(text.into()), dashboard_allow_remote: allowed, ..args }, config)
        };
        assert_eq!(dashboard(&no_flags().unwrap(), &config).unwrap(), None);
        for text in ["9465", "127.0.0.1:9465", "[::1]:9465"] {
            assert_eq!(of(text, false, &config).unwrap().unwrap().port(), 9465, "{text}");
        }
        let remote = "0.0.0.0:9465";
        let error = of(remote, false, &config).unwrap_err().to_string();
        assert!(error.contains("--dashboard-allow-remote") && error.contains("ssh -L"), "{error}");
        assert_eq!(of(remote, true, &config).unwrap(), Some(remote.parse().unwrap()));
        config.run.dashboard_allow_remote = Some(true);
        assert_eq!(of(remote, false, &config).unwrap(), Some(remote.parse().unwrap()));
    }

    #[test]
    fn two_inputs_of_one_name_are_two_jobs() {
        let name = |input: &str| default_job(Path::new("plugins/p"), Path::new(input), None);
        assert!(name("a/items.jsonl").starts_with("p-items-"));
        assert_ne!(name("a/items.jsonl"), name("b/items.jsonl"));
        assert_eq!(name("a/items.jsonl"), name("a/items.jsonl"));
        let of_plugin = |plugin: &str| default_job(Path::new(plugin), Path::new("i.jsonl"), None);
        assert_eq!(of_plugin("oci://ghcr.io/acme/p:1.0"), of_plugin("oci://ghcr.io/acme/p:1.1"));
        assert_ne!(of_plugin("oci://ghcr.io/acme/p:1.0"), of_plugin("oci://ghcr.io/other/p:1.0"));
        assert!(of_plugin("oci://ghcr.io/acme/p:1.0").starts_with("p-i-"));
        assert!(crate::store::JobName::new(&name("ümlaut dir/ .x y.csv")).is_ok());
    }
}
