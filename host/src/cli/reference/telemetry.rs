//! `[telemetry]`.

use super::{Default, Kind, Section, key, parser};
use crate::config;

pub(super) const TELEMETRY: Section = Section {
    heading: "`[telemetry]`",
    before: "Traces and figures of a run, for a collector: [telemetry](telemetry.md).",
    after: "",
    shown_as: "telemetry",
    parser: parser::<config::Telemetry>(),
    keys: &[
        key(
            "otlp",
            Kind::Text("URL, `env` or `off`"),
            Default::Shown,
            "the collector, over HTTP; `env`: as `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_HEADERS` say",
        )
        .flag("`--otlp`"),
        key("sample", Kind::Fraction, Default::Shown, "the share of items that are traced"),
        key(
            "headers",
            Kind::Table("table of texts"),
            Default::Said("none"),
            "sent with every request; taken as secret",
        ),
    ],
};
