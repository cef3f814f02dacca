//! From settings to what listens, and its end: within a bound, whatever the collector does.

use super::client::{Client, TIME_MAX};
use super::meters::{Look, Meters, RouteNames};
use super::queue::{Books, Queue, send};
use super::sampler::ByItem;
use super::{BadSettings, Settings};
use crate::domain::{EventSink, sanitize_line};
use crate::monitor::Standing;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Of the program's spans.
const TARGET: &str = "sandmill";
const FIGURES_EVERY: Duration = Duration::from_mins(1);
/// What the end of a run waits for all of it.
const END_WAIT: Duration = Duration::from_secs(5);
/// And of that for the job's own span, which ends with whoever watched the run.
const LAST_SPAN_WAIT: Duration = Duration::from_secs(1);
const COMPLAINT_BYTES_MAX: usize = 300;

/// What a run is, which every span and figure is told with.
#[derive(Debug, Clone)]
pub struct About {
    pub job: String,
    /// In place of the program's name, where the environment has another.
    pub service: Option<String>,
}

/// Traces and figures while a run goes on.
pub struct Telemetry {
    tracer: opentelemetry_sdk::trace::SdkTracer,
    /// Kept, or it would end.
    _tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    look: Arc<OnceLock<Look>>,
    books: Arc<Books>,
    ending: CancellationToken,
    sending: JoinHandle<()>,
}

impl Telemetry {
    /// Nothing is sent yet, and nobody is asked whether it will be taken.
    pub fn start(settings: &Settings, about: &About, runtime: &Runtime) -> Result<Self, BadSettings> {
        let client = Client::new(settings, runtime.handle().clone())?;
        let bad = |error: ExporterBuildError| BadSettings::of(format!("OTLP cannot be set up: {error}"));
        let mut spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.address("traces"))
            .with_timeout(TIME_MAX)
            .build()
            .map_err(bad)?;
        let figures = MetricExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.address("metrics"))
            .with_timeout(TIME_MAX)
            // The next ones say it all again.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(bad)?;
        let resource = resource(about);
        spans.set_resource(&resource);
        let (books, ending) = (Arc::new(Books::default()), CancellationToken::new());
        let (queue, waiting) = Queue::new(Arc::clone(&books));
        let sending = runtime.spawn(send(spans, waiting, Arc::clone(&books), ending.clone()));
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(ByItem { share: settings.sample })
            .with_span_processor(queue)
            .build();
        let reader = PeriodicReader::builder(figures).with_interval(FIGURES_EVERY).build();
        let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let tracer = tracers.tracer(TARGET);
        Ok(Self { tracer, _tracers: tracers, meters, look: Arc::default(), books, ending, sending })
    }

    /// What makes traces of the program's spans. Events are left out: providers and plugins have their say in them.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
    }

    /// What counts.
    pub fn listener(&self, routes: &[RouteNames]) -> Arc<dyn EventSink> {
        Arc::new(Meters::new(&self.meters.meter(TARGET), routes, Arc::clone(&self.look)))
    }

    /// From now on there is something to look at. Must not keep what it looks at: the job's span ends when nobody does.
    pub fn begin(&self, look: impl Fn() -> Option<Standing> + Send + Sync + 'static) {
        self.look.get_or_init(|| Box::new(look));
    }

    /// Sends what is left, within five seconds; what was not taken, for a person.
    pub fn finish(self, runtime: &Runtime) -> Option<String> {
        let Self { meters, books, ending, sending, .. } = self;
        // It waits for its own thread, and that for the collector.
        let (told, figures) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("figures".into()).spawn(move || {
            // Whoever waited may have gone.
            let _ = told.send(meters.shutdown_with_timeout(END_WAIT));
        });
        let abort = sending.abort_handle();
        let last = async {
            // Not there if the run never came to it.
            let _ = tokio::time::timeout(LAST_SPAN_WAIT, books.is_whole.notified()).await;
            ending.cancel();
            let ended = sending.await;
            (ended, figures.await)
        };
        let ended = runtime.block_on(async { tokio::time::timeout(END_WAIT, last).await });
        abort.abort();
        let figures = match (thread, ended) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(_), Err(_)) => Some("no answer within 5 s".to_owned()),
            (Ok(_), Ok((Err(error), _))) => Some(error.to_string()),
            (Ok(_), Ok((Ok(()), Ok(Err(error))))) => Some(error.to_string()),
            (Ok(_), Ok((Ok(()), Ok(Ok(())) | Err(_)))) => None,
        };
        let spans = books.lost();
        if spans == 0 && figures.is_none() {
            return None;
        }
        let what = match (spans, &figures) {
            (0, _) => "the last figures were not taken".to_owned(),
            (spans, None) => format!("{spans} spans were not taken"),
            (spans, Some(_)) => format!("{spans} spans and the last figures were not taken"),
        };
        let why = books.complaint().or(figures).unwrap_or_else(|| "the run ended before".to_owned());
        Some(format!("{what}: {}", sanitize_line(&why, COMPLAINT_BYTES_MAX)))
    }
}

fn resource(about: &About) -> Resource {
    let service = about.service.clone().unwrap_or_else(|| "sandmill".to_owned());
    let instance = format!("{}-{}", about.job, std::process::id());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("sandmill.job.name", about.job.clone()),
        ])
        .build()
}
