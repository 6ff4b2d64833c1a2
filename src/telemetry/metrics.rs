//! Metrics for Prometheus. No label has unbounded values: routes are the templates of the route page,
//! statuses and actions are few.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests answered, by `method`, `route` and `status`.
pub const REQUESTS: &str = "http_requests_total";
/// How long they took, by `method`, `route` and `status`.
pub const REQUEST_SECONDS: &str = "http_request_duration_seconds";
/// Requests under way.
pub const IN_FLIGHT: &str = "http_requests_in_flight";
/// Entries appended to histories, by `action`.
pub const WRITES: &str = "customer_writes_total";
/// Connections to the database, by `state`: `idle` or `busy`.
pub const POOL: &str = "database_connections";
/// How long statements waited for a connection; of joined ones, who waited longest.
pub const POOL_WAIT_SECONDS: &str = "database_connection_wait_seconds";
/// Tokens looked up among the verified ones, by `outcome`: `hit` or `miss`.
pub const TOKEN_CACHE_LOOKUPS: &str = "token_cache_lookups_total";
/// How many requests one statement served, by `statement`: `read`, `create` or `append`.
pub const BATCH_SIZE: &str = "database_batch_size";
/// Requests that wait for their statement, by `statement`; by `turn`, those that wait until another
/// one has written their customer.
pub const QUEUE_LENGTH: &str = "database_queue_length";
/// Requests refused because their caller made too many.
pub const RATE_LIMITED: &str = "rate_limited_requests_total";
/// Tries at security answers that were refused, after too many wrong ones.
pub const REFUSED_TRIES: &str = "refused_answer_tries_total";
/// 1, with the `version` of the program.
pub const BUILD_INFO: &str = "customer_accounts_build_info";

/// From a read out of the cache to a statement at its limit.
const BUCKETS: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// From a request alone to the largest batch that the settings allow.
const BATCHES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];
/// How often samples are taken into the histograms while nobody reads them.
const UPKEEP: Duration = Duration::from_secs(5);

/// What was measured since the process started. One a process, shared by its clones.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

static METRICS: OnceLock<Metrics> = OnceLock::new();

impl Metrics {
    /// Starts measuring, if nobody did yet in this process.
    #[must_use]
    pub fn start() -> Self {
        METRICS.get_or_init(Self::install).clone()
    }

    fn install() -> Self {
        let buckets: [(_, &[f64]); 3] =
            [(REQUEST_SECONDS, &BUCKETS), (POOL_WAIT_SECONDS, &BUCKETS), (BATCH_SIZE, &BATCHES)];
        let builder =
            buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
                let matcher = Matcher::Full(name.to_owned());
                // Buckets are refused only where there are none.
                builder.set_buckets_for_metric(matcher, buckets).unwrap_or_default()
            });
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics go to another recorder of this process");
        }
        describe_counter!(REQUESTS, "Requests answered.");
        describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "How long requests took.");
        describe_gauge!(IN_FLIGHT, "Requests under way.");
        describe_counter!(WRITES, "Entries appended to the histories of customers.");
        describe_gauge!(POOL, "Connections to the database.");
        describe_histogram!(
            POOL_WAIT_SECONDS,
            Unit::Seconds,
            "How long statements waited for a connection."
        );
        describe_counter!(TOKEN_CACHE_LOOKUPS, "Tokens looked up among the verified ones.");
        describe_histogram!(BATCH_SIZE, "How many requests one statement served.");
        describe_gauge!(QUEUE_LENGTH, "Requests that wait for their statement.");
        describe_counter!(RATE_LIMITED, "Requests refused because their caller made too many.");
        describe_counter!(REFUSED_TRIES, "Tries at security answers that were refused.");
        describe_gauge!(BUILD_INFO, "The program's version.");
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self(handle)
    }

    /// The metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps the samples of histograms from piling up while nobody reads the metrics. Never ends.
    pub async fn keep_up(&self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}
