//! What the broker counts. Each broker has counters of its own, so that several in one process do not mix.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::sync::Mutex;

const HTTP_REQUESTS: &str = "brokkr_http_requests_total";
const HTTP_DURATION: &str = "brokkr_http_request_duration_seconds";
const CLAIMS: &str = "brokkr_claims_total";
const ENDINGS: &str = "brokkr_endings_total";
const LOST_LEASES: &str = "brokkr_lost_leases_total";
const QUEUE_ORDERS: &str = "brokkr_queue_orders";
const QUEUE_OLDEST: &str = "brokkr_queue_oldest_age_seconds";
const WAITING_CLAIMS: &str = "brokkr_waiting_claims";
const POOL_CONNECTIONS: &str = "brokkr_database_pool_connections";
const POOL_MAX: &str = "brokkr_database_pool_connections_max";
const STATEMENTS: &str = "brokkr_database_statements_total";
const UNEXPLAINED: &str = "brokkr_explain_without_reason_total";
const EVENTS_HELD_BACK: &str = "brokkr_events_held_back_seconds";
const CLOCK_UNCERTAINTY: &str = "brokkr_database_clock_uncertainty_seconds";
const TASK_RUNS: &str = "brokkr_task_runs_total";
const TASK_CHANGED: &str = "brokkr_task_changed_total";
const TASK_DURATION: &str = "brokkr_task_duration_seconds";

/// Names, kinds and help texts, in the order of the page.
const COUNTERS: &[(&str, &str)] = &[
    (HTTP_REQUESTS, "Answered requests by route, method and status."),
    (CLAIMS, "Claims of work orders."),
    (ENDINGS, "Ended work orders by ending."),
    (
        LOST_LEASES,
        "Claims that were taken back because nobody renewed them.",
    ),
    (
        UNEXPLAINED,
        "Work orders for which no reason was found why they are where they are.",
    ),
    (STATEMENTS, "Statements sent to the database."),
    (TASK_RUNS, "Runs of background tasks by task and result."),
    (TASK_CHANGED, "Rows changed by background tasks."),
];
const GAUGES: &[(&str, &str)] = &[
    (QUEUE_ORDERS, "Work orders in the queue by status."),
    (
        QUEUE_OLDEST,
        "Age of the oldest work order in the queue by status.",
    ),
    (WAITING_CLAIMS, "Claims that wait for work at this broker."),
    (POOL_CONNECTIONS, "Database connections by pool and state."),
    (POOL_MAX, "The most database connections by pool."),
    (
        EVENTS_HELD_BACK,
        "For how long events have been waiting for transactions that are open.",
    ),
    (
        CLOCK_UNCERTAINTY,
        "How far from the truth the broker's clock may be.",
    ),
];
const HISTOGRAMS: &[(&str, &str)] = &[
    (HTTP_DURATION, "Time to answer a request, by route and method."),
    (TASK_DURATION, "Time of one run of a background task."),
];

const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The broker's counters. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    measuring: Mutex<()>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters that begin at nothing.
    #[must_use]
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // The buckets are constant and not empty, which is all that can be wrong with them.
        let recorder = match builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS) {
            Ok(builder) => builder.build_recorder(),
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        for (name, help) in COUNTERS {
            recorder.describe_counter((*name).into(), Some(Unit::Count), (*help).into());
        }
        for (name, help) in GAUGES {
            recorder.describe_gauge((*name).into(), None, (*help).into());
        }
        for (name, help) in HISTOGRAMS {
            recorder.describe_histogram((*name).into(), Some(Unit::Seconds), (*help).into());
        }
        let handle = recorder.handle();
        Self(Arc::new(Inner {
            recorder,
            handle,
            measuring: Mutex::new(()),
        }))
    }

    /// Everything counted so far, as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.handle.render()
    }

    /// Folds what histograms have gathered. Without it they grow as long as nobody looks.
    pub fn fold(&self) {
        self.0.handle.run_upkeep();
    }

    pub(crate) fn request(&self, endpoint: &str, method: &'static str, status: u16, took: Duration) {
        let route = || {
            vec![
                Label::new("endpoint", endpoint.to_owned()),
                Label::new("method", method),
            ]
        };
        let mut labels = route();
        labels.push(Label::new("status", status.to_string()));
        self.counter(HTTP_REQUESTS, labels).increment(1);
        self.histogram(HTTP_DURATION, route()).record(took.as_secs_f64());
    }

    /// Counts claims of orders.
    pub(crate) fn claimed(&self, orders: u64) {
        self.counter(CLAIMS, vec![]).increment(orders);
    }

    /// Counts orders that went to the log, by their ending.
    pub(crate) fn ended(&self, ending: &'static str, orders: u64) {
        self.counter(ENDINGS, vec![Label::new("ending", ending)])
            .increment(orders);
    }

    /// Counts claims that were taken back because their lease had passed.
    pub(crate) fn leases_lost(&self, claims: u64) {
        self.counter(LOST_LEASES, vec![]).increment(claims);
    }

    pub(crate) fn queue(&self, status: &'static str, orders: u64, oldest: Duration) {
        let label = || vec![Label::new("status", status)];
        self.gauge(QUEUE_ORDERS, label()).set(orders as f64);
        self.gauge(QUEUE_OLDEST, label()).set(oldest.as_secs_f64());
    }

    /// Held while what has to be asked for is measured.
    pub(super) fn measuring(&self) -> &Mutex<()> {
        &self.0.measuring
    }

    pub(crate) fn waiting_claims(&self, claims: usize) {
        self.gauge(WAITING_CLAIMS, vec![]).set(claims as f64);
    }

    pub(crate) fn pool(&self, pool: &'static str, open: u32, idle: u32, max: u32) {
        let state = |state| vec![Label::new("pool", pool), Label::new("state", state)];
        self.gauge(POOL_CONNECTIONS, state("idle")).set(f64::from(idle));
        self.gauge(POOL_CONNECTIONS, state("used"))
            .set(f64::from(open.saturating_sub(idle)));
        self.gauge(POOL_MAX, vec![Label::new("pool", pool)])
            .set(f64::from(max));
    }

    /// Counts an order for which no reason was found.
    pub(crate) fn unexplained(&self) {
        self.counter(UNEXPLAINED, vec![]).increment(1);
    }

    pub(crate) fn statements(&self, sent: u64) {
        self.counter(STATEMENTS, vec![]).absolute(sent);
    }

    pub(crate) fn events_held_back(&self, held_back: Duration) {
        self.gauge(EVENTS_HELD_BACK, vec![]).set(held_back.as_secs_f64());
    }

    pub(crate) fn clock_uncertainty(&self, uncertainty: Duration) {
        self.gauge(CLOCK_UNCERTAINTY, vec![])
            .set(uncertainty.as_secs_f64());
    }

    pub(crate) fn task_ran(&self, task: &'static str, result: &'static str, changed: u64, took: Duration) {
        let label = || vec![Label::new("task", task)];
        let mut labels = label();
        labels.push(Label::new("result", result));
        self.counter(TASK_RUNS, labels).increment(1);
        self.counter(TASK_CHANGED, label()).increment(changed);
        self.histogram(TASK_DURATION, label()).record(took.as_secs_f64());
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.0
            .recorder
            .register_counter(&Key::from_parts(name, labels), &METADATA)
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.0
            .recorder
            .register_gauge(&Key::from_parts(name, labels), &METADATA)
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.0
            .recorder
            .register_histogram(&Key::from_parts(name, labels), &METADATA)
    }
}
