//! Where traces go. OpenTelemetry's library reads more of its own variables; the README names them.

use clap::Args;

/// Where traces go.
#[derive(Debug, Args)]
pub struct Traces {
    /// An OpenTelemetry collector, which takes traces by OTLP over HTTP under this URL, at
    /// `v1/traces`. When left out, nothing is traced.
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The same, with the whole path; comes before `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// What the service is called in traces; `customer-accounts` where nothing names it.
    #[arg(long, env, value_name = "NAME")]
    pub otel_service_name: Option<String>,
}
