//! A broker as the binary starts it, with short limits, and everything that was asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use brokkr_broker::dal::{Db, Sql};
use brokkr_broker::{Broker, BrokerConfig, RunningBroker, Surroundings};
use brokkr_client::{Client, ClientConfig};
use brokkr_testkit::Answer;
use brokkr_testkit::db::test_options;
use serde_json::json;
use tokio::time::{Instant, sleep};

/// The limits of the broker that is tested: for a connection, for a lock, for a statement.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// Two waits for a connection and one for an answer, for the caller's key and for the batch before this one, and what a busy host adds.
const FAST: Duration = Duration::from_secs(30);
/// Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(120);

static COUNTS: Sql = Sql::shared(
    "tests.counts",
    "SELECT (SELECT COUNT(*) FROM work_orders) AS orders,
            (SELECT COUNT(*) FROM work_order_routes) AS routes,
            (SELECT COUNT(*) FROM audit WHERE action = 'work_order.create') AS audited",
);

pub(super) struct Scene {
    broker: RunningBroker,
    pak: String,
    http: reqwest::Client,
    /// What each submission was answered with; nothing where that is not known.
    submissions: BTreeMap<String, Option<String>>,
}

impl Scene {
    pub(super) async fn start(url: &str) -> Self {
        Self::start_with(url, |_| {}).await
    }

    pub(super) async fn start_with(url: &str, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut config = BrokerConfig::default();
        config.http.listen.set_port(0);
        url.clone_into(&mut config.database.url);
        config.database.connections_max = 4;
        config.database.read_connections_max = 2;
        config.database.acquire_seconds_max = LIMIT.as_secs();
        config.database.lock_seconds_max = LIMIT.as_secs();
        config.database.statement_seconds_max = LIMIT.as_secs();
        change(&mut config);
        let broker = Broker::start(config, Surroundings::default()).await.unwrap();
        let pak = broker.first_admin_pak.as_ref().unwrap().reveal();
        // It chooses the process's crypto provider, which the plain client needs too.
        let url = broker.url().parse().unwrap();
        Client::new(ClientConfig::new(url)).unwrap();
        Self {
            broker,
            pak,
            http: reqwest::Client::new(),
            submissions: BTreeMap::new(),
        }
    }

    /// Sends a submission that was not sent before.
    pub(super) async fn submit(&mut self) -> Answer {
        let key = format!("key-{}", self.submissions.len());
        let answer = self.send(&key).await;
        self.submissions.insert(key, id_in(&answer));
        answer
    }

    /// One that has to be accepted.
    pub(super) async fn accepted(&mut self) {
        let answer = self.submit().await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// One that is refused because of the database: soon, with the code, and with the time after which to come again.
    pub(super) async fn refused_fast(&mut self) {
        let began = Instant::now();
        let answer = self.submit().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (503, "database_unavailable"),
            "{answer:?}"
        );
        assert_eq!(answer.header("retry-after"), "1");
        assert!(began.elapsed() < FAST, "{:?}", began.elapsed());
    }

    /// Submits until it is accepted, as a client would, and is never answered anything but 503 until then.
    pub(super) async fn recovers(&mut self) {
        let began = Instant::now();
        loop {
            let answer = self.submit().await;
            if answer.status == 201 {
                return;
            }
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(
                began.elapsed() < PATIENCE,
                "the broker did not recover: {answer:?}"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn status_of(&self, path: &str) -> u16 {
        let request = self.http.get(format!("{}{path}", self.broker.url()));
        Answer::of(request.bearer_auth(&self.pak)).await.status
    }

    /// Waits until the broker says that it can serve.
    pub(super) async fn is_ready_again(&self) {
        let began = Instant::now();
        while self.status_of("/readyz").await != 200 {
            assert!(began.elapsed() < PATIENCE, "the broker is not ready");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Sends every submission again: what was accepted is the same order, and what was refused is there once, whole.
    pub(super) async fn nothing_is_lost_or_half_written(&mut self, url: &str) {
        for (key, id) in &self.submissions {
            let answer = self.send(key).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            assert!(
                id.is_none() || *id == id_in(&answer),
                "{key} has become another order"
            );
        }
        let db = Db::connect(url, &test_options()).await.unwrap();
        let row = db.read().await.unwrap().fetch_one(&COUNTS, vec![]).await.unwrap();
        let counts: [i64; 3] = ["orders", "routes", "audited"].map(|column| row.get(column).unwrap());
        assert_eq!(counts, [self.submissions.len() as i64; 3]);
    }

    pub(super) async fn stop(self) {
        self.broker.stop().await;
    }

    async fn send(&self, key: &str) -> Answer {
        let order = json!({"work_type": "command", "yaml_content": "a: 1", "targeting": {"labels": ["any"]}});
        let request = self
            .http
            .post(format!("{}/api/v1/work-orders", self.broker.url()));
        let request = request.bearer_auth(&self.pak).header("Idempotency-Key", key);
        Answer::of(request.json(&order)).await
    }
}

fn id_in(answer: &Answer) -> Option<String> {
    answer.json()["id"].as_str().map(str::to_owned)
}
