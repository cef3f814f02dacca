//! The operator's policy: bounds that neither flags nor sandmill.toml go beyond.
//!
//! Read from the file that `SANDMILL_POLICY` names, else from `/etc/sandmill/policy.toml`, where there is one.

use super::run_args::RunArgs;
use crate::config::{self, Policy};
use crate::resilience::dollars;
use anyhow::bail;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "SANDMILL_POLICY";
const FILE: &str = "/etc/sandmill/policy.toml";

/// The policy in force; without a file it bounds nothing.
pub(super) struct InForce {
    policy: Policy,
    path: PathBuf,
}

/// Sets what the policy bounds and nobody set, and refuses what goes beyond it.
pub(super) fn apply(args: &mut RunArgs) -> anyhow::Result<InForce> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    if named.is_none() && !Path::new(FILE).exists() {
        return Ok(InForce { policy: Policy::default(), path: PathBuf::new() });
    }
    let path = named.unwrap_or_else(|| FILE.into());
    let policy = config::load_policy(&path)?;
    bound(args, &policy, &path)?;
    Ok(InForce { policy, path })
}

impl InForce {
    /// Also of the routes that sandmill.toml names.
    pub(super) fn check_models<'a>(&self, mut models: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
        let Some(allowed) = &self.policy.models else { return Ok(()) };
        match models.find(|model| !allowed.iter().any(|name| name == model)) {
            Some(model) => {
                bail!("model {model}: the policy ({}) allows {}", self.path.display(), allowed.join(", "))
            }
            None => Ok(()),
        }
    }
}

fn bound(args: &mut RunArgs, policy: &Policy, path: &Path) -> anyhow::Result<()> {
    let path = path.display();
    let (provider, work) = (&mut args.provider, &mut args.work);
    if let Some(most) = policy.max_cost {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount that a person wrote")]
        let most = (most * 1e6) as u64;
        match provider.max_cost {
            Some(asked) if asked > most => {
                bail!("--max-cost {}: the policy ({path}) allows {}", dollars(asked), dollars(most));
            }
            Some(_) => {}
            None => provider.max_cost = Some(most),
        }
    }
    at_most(&mut provider.max_calls, policy.max_calls, "--max-calls", &path)?;
    at_most(&mut provider.max_tokens, policy.max_tokens, "--max-tokens", &path)?;
    at_most(&mut work.concurrency, policy.max_concurrency, "--concurrency", &path)?;
    at_most(&mut work.limit_memory, policy.max_memory, "--limit-memory", &path)?;
    if let (Some(allowed), Some(asked)) = (&policy.providers, &provider.provider)
        && !allowed.contains(asked)
    {
        bail!("--provider {asked}: the policy ({path}) allows {}", allowed.join(", "));
    }
    Ok(())
}

/// What is beyond the bound is refused; what nobody set is the bound.
fn at_most<T: PartialOrd + Copy + std::fmt::Display>(
    asked: &mut Option<T>,
    most: Option<T>,
    flag: &str,
    path: &std::path::Display<'_>,
) -> anyhow::Result<()> {
    match (*asked, most) {
        (Some(asked), Some(most)) if asked > most => bail!("{flag} {asked}: the policy ({path}) allows {most}"),
        (None, Some(most)) => *asked = Some(most),
        _ => {}
    }
    Ok(())
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

    fn check(flags: &[&str], expected: Result<u64, &str>) {
        let line = ["x", "p", "--input", "i.jsonl"].iter().chain(flags);
        let mut args = Line::try_parse_from(line).unwrap().args;
        let policy = Policy { max_cost: Some(2.0), ..Policy::default() };
        let bounded = bound(&mut args, &policy, Path::new("policy.toml"));
        match (bounded, expected) {
            (Ok(()), Ok(cost)) => assert_eq!(args.provider.max_cost, Some(cost)),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (bounded, _) => panic!("{bounded:?}"),
        }
    }

    #[test]
    fn nothing_goes_beyond_the_policy_and_what_is_not_set_is_its_bound() {
        check(&[], Ok(2_000_000));
        check(&["--max-cost", "0.5"], Ok(500_000));
        check(&["--max-cost", "3"], Err("allows $2.00"));
        let models = Policy { models: Some(vec!["small".into()]), ..Policy::default() };
        let in_force = InForce { policy: models, path: "policy.toml".into() };
        assert!(in_force.check_models(["small"].into_iter()).is_ok());
        let error = in_force.check_models(["small", "large"].into_iter()).unwrap_err();
        assert!(error.to_string().contains("model large: the policy (policy.toml) allows small"), "{error}");
    }
}
