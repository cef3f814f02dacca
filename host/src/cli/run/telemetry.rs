//! `--otlp`: traces and figures of a run, from before the plugin is made ready until the summary is written.

use super::super::routes::{Planned, PlannedRoute};
use super::super::settings;
use super::{Failure, RunArgs};
use crate::config::Config;
use crate::store::JobName;
use crate::telemetry::{About, RouteNames, Telemetry};
use tokio::runtime::Runtime;

/// In place of the program's name, with OpenTelemetry's other variables.
const SERVICE_VARIABLE: &str = "OTEL_SERVICE_NAME";

/// Once its layer is heard, the program's spans are. That a collector is there is not asked: the batch does not need one.
pub(super) fn start(
    args: &RunArgs,
    config: &Config,
    job: &JobName,
    runtime: &Runtime,
) -> Result<Option<Telemetry>, Failure> {
    let Some(settings) = settings::telemetry(args, config)?.filter(|_| !args.dry_run) else { return Ok(None) };
    let service = std::env::var(SERVICE_VARIABLE).ok().filter(|_| settings.is_of_environment());
    Ok(Some(Telemetry::start(&settings, &About { job: job.to_string(), service }, runtime)?))
}

/// Whom each route asks.
pub(super) fn names(planned: &Planned) -> Vec<RouteNames> {
    let of_route = |planned: &PlannedRoute| RouteNames {
        route: planned.route.name.clone(),
        provider: planned.provider.clone(),
        model: planned.route.model.clone(),
        server: planned.route.provider.describe().split_once(" at ").map(|(_, server)| server.to_owned()),
    };
    planned.all().iter().map(of_route).collect()
}
