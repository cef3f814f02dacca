//! The operator's policy: bounds that neither flags nor sandmill.toml go beyond.
//!
//! Read from `/etc/sandmill/policy.toml` and from the file that `SANDMILL_POLICY` names; where there are both, both hold. It bounds
//! what is in force, whoever set it, in each run anew: nothing of it is stored with a job.

use super::routes::Planned;
use super::run_args::RunArgs;
use super::{limits, settings};
use crate::config::{self, Config, Policy};
use crate::resilience::dollars;
use anyhow::bail;
use std::fmt::Display;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "SANDMILL_POLICY";
const FILE: &str = "/etc/sandmill/policy.toml";

/// The policies in force; without a file nothing is bounded.
#[derive(Debug, Default)]
pub(super) struct InForce {
    files: Vec<(PathBuf, Policy)>,
}

/// A bound, and the file that sets it.
type Bound<'a, T> = (T, &'a Path);

/// What somebody set, and where: a flag or a key.
type Set<T> = Option<(T, &'static str)>;

pub(super) fn load() -> anyhow::Result<InForce> {
    let of_machine = Some(PathBuf::from(FILE)).filter(|path| path.exists());
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let read = |path: PathBuf| anyhow::Ok((path.clone(), config::load_policy(&path)?));
    Ok(InForce { files: of_machine.into_iter().chain(named).map(read).collect::<anyhow::Result<_>>()? })
}

impl InForce {
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &Policy)> {
        self.files.iter().map(|(path, policy)| (path.as_path(), policy))
    }

    /// Refuses what was set beyond a bound, and lowers what nobody set to it. What is lower stays as it is.
    pub(super) fn bound(&self, args: &mut RunArgs, config: &Config) -> anyhow::Result<()> {
        let provider = &mut args.provider;
        let money = self.strictest(|policy| policy.max_cost.map(micro));
        if let (Some(asked), Some((most, path))) = (provider.max_cost, money)
            && asked > most
        {
            bail!("--max-cost {}: the policy ({}) allows {}", dollars(asked), path.display(), dollars(most));
        }
        provider.max_cost = provider.max_cost.or(money.map(|(most, _)| most));
        let flag = |asked: Option<u64>, name: &'static str| asked.map(|asked| (asked, name));
        let calls = flag(provider.max_calls, "--max-calls");
        lower(&mut provider.max_calls, at_most(calls, None, self.strictest(|policy| policy.max_calls))?);
        let tokens = flag(provider.max_tokens, "--max-tokens");
        lower(&mut provider.max_tokens, at_most(tokens, None, self.strictest(|policy| policy.max_tokens))?);
        self.bound_limits(args, config)?;
        self.bound_traps(args, config)?;
        self.bound_concurrency(args, config)
    }

    /// 0, which never stops, is beyond every bound.
    fn bound_traps(&self, args: &mut RunArgs, config: &Config) -> anyhow::Result<()> {
        let Some((most, path)) = self.strictest(|policy| policy.max_traps.filter(|most| *most > 0)) else {
            return Ok(());
        };
        let asked = (args.work.max_traps.map(|number| (number, "--max-traps")))
            .or_else(|| config.run.max_traps.map(|number| (number, "[run] max_traps")));
        match asked {
            Some((asked, name)) if asked == 0 || asked > most => {
                bail!("{name} {asked}: the policy ({}) allows {most}", path.display())
            }
            None if settings::TRAPS > most => args.work.max_traps = Some(most),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Every limit in `[limits]` of a policy bounds the one of the same key.
    fn bound_limits(&self, args: &mut RunArgs, config: &Config) -> anyhow::Result<()> {
        let (flags, file) = (args.limits.given()?.values(), config.limits.values());
        for (path, policy) in self.files() {
            let of_memory = config::Limits { memory: policy.max_memory.map(config::Size), ..config::Limits::default() };
            let most = policy.limits.lower(of_memory);
            for ((key, most), ((_, flag), (_, file))) in most.values().into_iter().zip(flags.iter().zip(&file)) {
                let (asked, name) = match (flag, file) {
                    (Some(asked), _) => (*asked, limits::flag(key)),
                    (None, Some(asked)) => (*asked, format!("[limits] {key}")),
                    (None, None) => continue,
                };
                if let Some(most) = most.filter(|most| asked > *most) {
                    bail!("{name} {asked}: the policy ({}) allows {most}", path.display());
                }
            }
            args.limits.bound(&most);
        }
        Ok(())
    }

    fn bound_concurrency(&self, args: &mut RunArgs, config: &Config) -> anyhow::Result<()> {
        let most = self.strictest(|policy| policy.max_concurrency);
        let of_file = config.run.concurrency.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let asked = (args.work.concurrency.map(|number| (number, "--concurrency")))
            .or_else(|| of_file.map(|number| (number, "[run] concurrency")));
        lower(&mut args.work.concurrency, at_most(asked, Some(settings::CONCURRENCY), most)?);
        // Those that nobody sets follow the concurrency, or are found out below a bound of their own.
        let instances = args.work.max_instances.map(|number| (number, "--max-instances"));
        at_most(instances, Some(0), most)?;
        let calls = args.provider.call_concurrency.map(|number| (number, "--call-concurrency"));
        at_most(calls, Some(0), most)?;
        Ok(())
    }

    /// The providers and models of every route that may be asked, those that step in among them; their calls at once are bounded.
    pub(super) fn bound_routes(&self, planned: &mut Planned) -> anyhow::Result<()> {
        for (path, policy) in self.files() {
            for route in planned.all() {
                check_listed(policy.providers.as_deref(), "provider", &route.provider, &route.route.name, path)?;
                check_listed(policy.models.as_deref(), "model", &route.route.model, &route.route.name, path)?;
            }
        }
        if let Some((most, _)) = self.strictest(|policy| policy.max_concurrency) {
            planned.bound_calls(most);
        }
        Ok(())
    }

    fn strictest<T: PartialOrd + Copy>(&self, of: impl Fn(&Policy) -> Option<T>) -> Option<Bound<'_, T>> {
        let bounds = self.files().filter_map(|(path, policy)| Some((of(policy)?, path)));
        bounds.reduce(|one, other| if other.0 < one.0 { other } else { one })
    }
}

/// The bound, where it takes the place of what nobody set. `default`: what is in force then; `None`: no limit at all.
fn at_most<T: PartialOrd + Copy + Display>(
    set: Set<T>,
    default: Option<T>,
    most: Option<Bound<'_, T>>,
) -> anyhow::Result<Option<T>> {
    match (set, most) {
        (Some((asked, name)), Some((most, path))) if asked > most => {
            bail!("{name} {asked}: the policy ({}) allows {most}", path.display())
        }
        (None, Some((most, _))) if default.is_none_or(|default| default > most) => Ok(Some(most)),
        _ => Ok(None),
    }
}

fn lower<T>(value: &mut Option<T>, bound: Option<T>) {
    if bound.is_some() {
        *value = bound;
    }
}

fn check_listed(allowed: Option<&[String]>, kind: &str, name: &str, route: &str, path: &Path) -> anyhow::Result<()> {
    match allowed {
        Some(allowed) if !allowed.iter().any(|known| known == name) => {
            bail!("{kind} {name} of route `{route}`: the policy ({}) allows {}", path.display(), allowed.join(", "))
        }
        Some(_) | None => Ok(()),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount that a person wrote")]
fn micro(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    fn in_force(policies: &[&str]) -> InForce {
        let read = |(nth, text): (usize, &&str)| (PathBuf::from(format!("{nth}.toml")), toml::from_str(text).unwrap());
        InForce { files: policies.iter().enumerate().map(read).collect() }
    }

    fn bounded(policies: &[&str], flags: &[&str], file: &str) -> Result<RunArgs, String> {
        let line = ["x", "p", "--input", "i.jsonl"].iter().chain(flags);
        let mut args = Line::try_parse_from(line).unwrap().args;
        let config: Config = toml::from_str(file).unwrap();
        in_force(policies).bound(&mut args, &config).map(|()| args).map_err(|error| error.to_string())
    }

    #[test]
    fn what_nobody_set_is_bounded_and_what_is_lower_stays() {
        let cost = |flags: &[&str]| bounded(&["max_cost = 2.0"], flags, "").map(|args| args.provider.max_cost);
        assert_eq!(cost(&[]), Ok(Some(2_000_000)));
        assert_eq!(cost(&["--max-cost", "0.5"]), Ok(Some(500_000)));
        assert!(cost(&["--max-cost", "3"]).unwrap_err().contains("allows $2.00"));
        let many = |policy: &str, file: &str| bounded(&[policy], &[], file).map(|args| args.work.concurrency);
        assert_eq!(many("max_concurrency = 1000", ""), Ok(None), "a policy raises nothing");
        assert_eq!(many("max_concurrency = 1000", "[run]\nconcurrency = 4"), Ok(None));
        assert_eq!(many("max_concurrency = 8", ""), Ok(Some(8)), "the default is beyond it");
        assert!(many("max_concurrency = 8", "[run]\nconcurrency = 9").unwrap_err().contains("[run] concurrency 9"));
    }

    #[test]
    fn crashes_are_bounded_and_never_stopping_is_beyond_every_bound() {
        let traps = |policy: &str, flags: &[&str]| bounded(&[policy], flags, "").map(|args| args.work.max_traps);
        assert_eq!(traps("max_traps = 20", &[]), Ok(None), "the default is within it");
        assert_eq!(traps("max_traps = 3", &[]), Ok(Some(3)));
        assert_eq!(traps("max_traps = 3", &["--max-traps", "2"]), Ok(Some(2)));
        for asked in ["4", "0"] {
            assert!(traps("max_traps = 3", &["--max-traps", asked]).unwrap_err().contains("allows 3"));
        }
    }

    #[test]
    fn calls_and_instances_are_bounded_as_items_in_flight_are() {
        let most = "max_concurrency = 8";
        for flag in ["--call-concurrency", "--max-instances"] {
            assert!(bounded(&[most], &[flag, "9"], "").unwrap_err().contains(flag));
            assert!(bounded(&[most], &[flag, "8"], "").is_ok());
        }
    }

    #[test]
    fn each_limit_is_bounded_by_its_key() {
        let in_force = |policies: &[&str], flags: &[&str], file: &str| {
            let of_file = toml::from_str::<Config>(file).unwrap().limits;
            bounded(policies, flags, file).map(|args| args.limits.in_force(&of_file).unwrap())
        };
        let memory = |bytes: u64| Some(config::Size(bytes));
        assert_eq!(in_force(&["max_memory = \"64MiB\""], &[], "").unwrap().memory, memory(64 << 20));
        let both = ["max_memory = \"64MiB\"", "[limits]\nmemory = \"48MiB\"\nhost_calls = 10"];
        let bounds = in_force(&both, &[], "").unwrap();
        assert_eq!((bounds.memory, bounds.host_calls), (memory(48 << 20), Some(10)));
        assert_eq!(in_force(&both, &[], "[limits]\nmemory = \"32MiB\"").unwrap().memory, memory(32 << 20));
        let error = in_force(&both, &["--limit-host-calls", "11"], "").unwrap_err();
        assert_eq!(error, "--limit-host-calls 11: the policy (1.toml) allows 10");
        assert!(in_force(&both, &[], "[limits]\nhost_calls = 11").unwrap_err().contains("[limits] host_calls 11"));
    }

    #[test]
    fn of_two_policies_the_stricter_holds() {
        let args = bounded(&["max_calls = 5\nmax_tokens = 10", "max_calls = 7\nmax_tokens = 9"], &[], "").unwrap();
        assert_eq!((args.provider.max_calls, args.provider.max_tokens), (Some(5), Some(9)));
        let error = bounded(&["max_calls = 5", "max_calls = 7"], &["--max-calls", "6"], "").unwrap_err();
        assert!(error.contains("(0.toml) allows 5"), "{error}");
    }

    #[test]
    fn every_provider_and_model_must_be_listed() {
        let allowed = ["small".to_owned()];
        let check = |name: &str| check_listed(Some(&allowed), "model", name, "r", Path::new("policy.toml"));
        assert!(check("small").is_ok());
        let error = check("large").unwrap_err().to_string();
        assert_eq!(error, "model large of route `r`: the policy (policy.toml) allows small");
    }
}
