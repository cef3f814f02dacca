//! Keys, providers and models: present, reached, accepted, known.

use super::super::endpoint;
use super::super::findings::State;
use super::super::routes::{Planned, PlannedRoute};
use super::super::trying::Trying;
use super::Looking;
use crate::catalog::Catalog;
use crate::config::did_you_mean;
use crate::domain::{ErrorClass, sanitize_line};
use crate::provider::{Met, Probe, ProviderError};
use crate::resilience::dollars;
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// Of the models of a provider so many are told, where it has not the one that is wanted.
const TOLD: usize = 8;

impl Looking<'_> {
    /// How far the clock of whoever answered is ahead of ours, in milliseconds.
    pub(super) fn providers(&mut self, trying: &Trying, planned: &Planned) -> anyhow::Result<Option<i64>> {
        let catalog = Catalog::embedded().with_tables(&trying.config.model).map_err(anyhow::Error::msg)?;
        let mut seen = BTreeSet::new();
        let routes: Vec<&PlannedRoute> =
            planned.all().iter().filter(|it| seen.insert((it.provider.clone(), it.route.model.clone()))).collect();
        let probes = if self.args.offline {
            Vec::new()
        } else {
            let asked = routes.iter().map(|it| it.route.provider.probe(&it.route.model));
            trying.runtime.block_on(join_all(asked))
        };
        let mut told = BTreeSet::new();
        let mut skew = None;
        for (nth, planned) in routes.into_iter().enumerate() {
            let probe = probes.get(nth).and_then(Option::as_ref);
            if told.insert(&planned.provider) {
                self.key(trying, planned, probe);
                self.reached(planned, probe);
            }
            if !planned.is_mock {
                self.model(planned, probe, &catalog);
            }
            skew = skew.or(probe.and_then(|probe| probe.ahead_ms));
        }
        Ok(skew)
    }

    fn key(&mut self, trying: &Trying, planned: &PlannedRoute, probe: Option<&Probe>) {
        let (name, provider) = (&planned.provider, &planned.route.provider);
        if planned.is_mock {
            return;
        }
        let place = endpoint::key_place(name, &trying.args, &trying.config);
        if !provider.has_key() {
            if provider.is_vendors_own() {
                self.wrong(
                    "key",
                    format!(
                        "{name}: {place} is not set: put the key there, or name another with --api-key-env or key_env"
                    ),
                );
            } else {
                self.fine("key", format!("{name}: none is sent"));
            }
            return;
        }
        let failed = probe.and_then(|probe| if let Met::Failed(error) = &probe.met { Some(error) } else { None });
        match failed.map(|error| (error.class, &error.message)) {
            Some((ErrorClass::Authentication, said)) => {
                self.wrong("key", format!("{name}: the one of {place} is refused: {said}"));
            }
            Some((ErrorClass::QuotaExhausted, said)) => self.wrong("key", format!("{name}: {said}")),
            Some((ErrorClass::Permission, said)) => {
                self.warn("key", format!("{name}: the one of {place} may not ask for models, and whether it may ask them shows in a run: {said}"));
            }
            Some(_) => self.findings.add(
                "key",
                State::Skipped,
                format!("{name}: {place} is there; whether it is accepted is not known"),
            ),
            None if probe.is_none() => {
                self.fine("key", format!("{name}: {place} is there; nobody was asked to accept it"));
            }
            None => self.fine("key", format!("{name}: the one of {place} is accepted")),
        }
    }

    fn reached(&mut self, planned: &PlannedRoute, probe: Option<&Probe>) {
        let whom = sanitize_line(&planned.route.provider.describe(), 300);
        let Some(probe) = probe else {
            if planned.is_mock {
                self.fine("provider", "mock: in this process");
            } else {
                self.findings.add("provider", State::Skipped, format!("{whom}: not asked (--offline)"));
            }
            return;
        };
        let took = format!("in {:.2} s", probe.took.as_secs_f64());
        match &probe.met {
            Met::Failed(error) => match is_there(error) {
                Some(State::Fine) => self.fine("provider", format!("{whom}: answers {took}")),
                Some(_) => self.warn("provider", format!("{whom}: answers {took}, and is not well: {error}; a run waits for it")),
                None => self.wrong(
                    "provider",
                    format!("{whom}: not reached: {}: check the address (--base-url, base_url), the network, and a proxy (HTTPS_PROXY)", error.message),
                ),
            },
            Met::Knows(_) | Met::Lacks(_) | Met::Silent => self.fine("provider", format!("{whom}: answers {took}")),
        }
    }

    fn model(&mut self, planned: &PlannedRoute, probe: Option<&Probe>, catalog: &Catalog) {
        let PlannedRoute { route, prices, provider, .. } = planned;
        let model = &route.model;
        let entry = catalog.find(model);
        let facts = match probe.map(|probe| &probe.met) {
            Some(Met::Lacks(names)) => {
                self.lacks(provider, model, names);
                None
            }
            Some(Met::Knows(facts)) => Some(facts),
            Some(Met::Silent | Met::Failed(_)) | None => None,
        };
        let window = route.set.context.or(facts.and_then(|facts| facts.context)).or(route.listed.context);
        let mut parts = vec![match (facts, probe) {
            (Some(_), _) => format!("{model}: {provider} has it"),
            (None, _) => model.clone(),
        }];
        parts.push(
            window.map_or_else(|| "its window is not known".to_owned(), |window| format!("takes {window} tokens")),
        );
        parts.push(match prices.map(|prices| prices.rates) {
            None => "its prices are not known".to_owned(),
            Some(rates) => {
                format!("{} to read and {} to write a million tokens", dollars(rates.input), dollars(rates.output))
            }
        });
        let mut text = parts.join("; ");
        if let Some(date) = entry.and_then(|entry| entry.date.as_deref()) {
            text = format!("{text} (catalogue of {date})");
        }
        match (window, prices) {
            (Some(_), Some(_)) => self.fine("model", text),
            (None, _) => {
                self.warn("model", format!("{text}: set context and prices in the route, or [model.{model:?}]"));
            }
            (_, None) => {
                self.warn(
                    "model",
                    format!("{text}: no limit in money holds without: --prices, or prices in the route"),
                );
            }
        }
    }

    fn lacks(&mut self, provider: &str, model: &str, names: &[String]) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let meant = did_you_mean(model, &known);
        let listed = known.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
        let more = if known.len() > TOLD { format!(" and {} more", known.len() - TOLD) } else { String::new() };
        let has = if known.is_empty() { String::new() } else { format!("; it has {listed}{more}") };
        let text = format!("{model}: {provider} does not have it{has}{meant}");
        // A server of one model answers for it whatever the name, and some have names that they do not list.
        if known.len() == 1 { self.warn("model", text) } else { self.wrong("model", format!("{text}: check --model")) }
    }
}

/// Whether somebody is there who failed, and how well; `None`: nobody was reached.
fn is_there(error: &ProviderError) -> Option<State> {
    match error.class {
        ErrorClass::Connection | ErrorClass::Timeout => None,
        ErrorClass::RateLimited | ErrorClass::Overloaded | ErrorClass::ServerError => Some(State::Warning),
        ErrorClass::Authentication
        | ErrorClass::Permission
        | ErrorClass::QuotaExhausted
        | ErrorClass::ModelUnknown
        | ErrorClass::BadRequest
        | ErrorClass::Garbage
        | ErrorClass::Refused
        | ErrorClass::ContextOverflow
        | ErrorClass::MaxOutputTooLarge
        | ErrorClass::RequestTooLarge => Some(State::Fine),
    }
}
