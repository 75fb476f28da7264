//! A broker for one test: the real use cases behind a real HTTP server, with a clock that the test moves.

mod actors;
mod http;
mod server;
mod work_order;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brokkr_api::{Agent, CreateAgent, CreateGenerator, CreatePak, PakRole, PakText, UpdateAgent, WorkOrder};
use brokkr_broker::app::App;
use brokkr_broker::app::clock::Clock;
use brokkr_broker::app::startup::FirstAdmin;
use brokkr_broker::app::webhooks::{InHand, Telling};
use brokkr_broker::config::Limits;
use brokkr_broker::tasks::{Driver, Nudger, Waker};
use brokkr_client::{Client, ClientConfig};
use brokkr_core::time::Timestamp;
use tokio::task::JoinHandle;
use url::Url;

pub use actors::{LEASE, TestAgent, TestGenerator, TestViewer};
pub use http::Answer;
pub use work_order::WorkOrderBuilder;

use crate::db::test_options;
use crate::{Backend, FakeClock, SeededRandom, TestDb};
use server::Server;

const SWEEP_ROWS_MAX: u32 = 100;
const EVENTS_SETTLE: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(100 * 24 * 3_600);

/// A running broker. Nothing happens by itself, except that events are read while somebody listens: sweeps run in [`TestBroker::sweep`] and [`TestBroker::advance`].
pub struct TestBroker {
    admin: Client,
    admin_pak: PakText,
    app: App,
    clock: FakeClock,
    http: reqwest::Client,
    names: Arc<AtomicU32>,
    nudging: OnceLock<Driver>,
    tailing: JoinHandle<()>,
    // Before the database, so that the server is gone when that is dropped.
    server: Server,
    db: Arc<TestDb>,
}

impl TestBroker {
    /// A broker with default limits on a database of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, Limits::default()).await
    }

    /// A broker with these limits on a database of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(backend: Backend, limits: Limits) -> Self {
        Self::start_as(backend, limits, |app| app).await
    }

    /// A broker with default limits that tells webhooks with `telling`, in [`TestBroker::tell_webhooks`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_telling(backend: Backend, telling: Telling) -> Self {
        Self::start_as(backend, Limits::default(), |app| app.telling_webhooks(telling)).await
    }

    async fn start_as(backend: Backend, limits: Limits, made: impl FnOnce(App) -> App) -> Self {
        let db = Arc::new(TestDb::start(backend).await);
        let (clock, names) = (FakeClock::new(), Arc::new(AtomicU32::new(1)));
        let app = App::new(
            db.db().clone(),
            Arc::new(clock.clone()),
            Arc::new(SeededRandom::new(1)),
            limits,
        );
        let app = made(app);
        let admin_pak = first_admin(&app).await;
        Self::serve(app, db, clock, names, admin_pak).await
    }

    /// Another broker on the same database, with the same clock and the same administrator.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn replica(&self) -> Self {
        self.replica_as(|app| app).await
    }

    /// Another broker on the same database, which tells webhooks with `telling`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn replica_telling(&self, telling: Telling) -> Self {
        self.replica_as(|app| app.telling_webhooks(telling)).await
    }

    async fn replica_as(&self, made: impl FnOnce(App) -> App) -> Self {
        let seed = u64::from(self.next_number()) << 32;
        let (db, clock) = (self.db.connect(&test_options()).await, self.clock.clone());
        let app = App::new(
            db,
            Arc::new(clock.clone()),
            Arc::new(SeededRandom::new(seed)),
            Limits::default(),
        );
        Self::serve(
            made(app),
            Arc::clone(&self.db),
            clock,
            Arc::clone(&self.names),
            self.admin_pak.clone(),
        )
        .await
    }

    /// Lets this broker exchange nudges with its replicas, as brokers do outside of tests, and waits until it hears them. It looks
    /// for work by itself only when it begins to hear or is asked to.
    ///
    /// # Panics
    /// On SQLite, and when this was done before.
    pub async fn listen(&self) {
        let mut driver = Driver::new(self.app.clone());
        let look = driver.spawn(Waker::new(self.app.clone()), NEVER);
        driver.keep("nudger", Nudger::new(self.app.clone(), look).run());
        assert!(self.nudging.set(driver).is_ok(), "a broker listens once");
        let mut hears = self.app.hears_others();
        hears.wait_for(|hears| *hears).await.expect("the broker lives");
    }

    async fn serve(
        app: App,
        db: Arc<TestDb>,
        clock: FakeClock,
        names: Arc<AtomicU32>,
        admin_pak: PakText,
    ) -> Self {
        let server = Server::start(app.clone()).await;
        let tail = app.clone();
        let tailing = tokio::spawn(async move { tail.tail_events().await });
        let admin = client(server.url(), Some(&admin_pak));
        Self {
            admin,
            admin_pak,
            app,
            clock,
            http: reqwest::Client::new(),
            names,
            nudging: OnceLock::new(),
            tailing,
            server,
            db,
        }
    }

    /// Calls as the administrator.
    #[must_use]
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// The order as the administrator sees it now, from the queue or from the log.
    ///
    /// # Panics
    /// When there is none.
    pub async fn shown(&self, order: &WorkOrder) -> WorkOrder {
        let shown = self.admin.work_order(order.id).await;
        shown.expect("the order is there")
    }

    /// The administrator's key.
    #[must_use]
    pub fn admin_pak(&self) -> &PakText {
        &self.admin_pak
    }

    /// Calls with this key.
    #[must_use]
    pub fn client(&self, pak: &PakText) -> Client {
        client(self.url(), Some(pak))
    }

    /// Calls without a key.
    #[must_use]
    pub fn nobody(&self) -> Client {
        client(self.url(), None)
    }

    /// A new agent that may claim.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn agent(&self) -> TestAgent {
        let agent = self.inactive_agent().await;
        let update = UpdateAgent {
            status: Some(Agent::ACTIVE.to_owned()),
            ..UpdateAgent::default()
        };
        self.admin
            .update_agent(agent.id, &update)
            .await
            .expect("an agent can be activated");
        agent
    }

    /// A new agent as the contract makes it: it may not claim yet.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn inactive_agent(&self) -> TestAgent {
        let name = format!("agent-{}", self.next_number());
        let request = CreateAgent {
            name,
            cluster_name: "test".to_owned(),
            generator_ids: None,
        };
        let created = self
            .admin
            .create_agent(&request)
            .await
            .expect("an agent can be created");
        TestAgent::new(
            created.agent.id,
            self.client(&created.initial_pak),
            created.initial_pak,
        )
    }

    /// A new generator.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn generator(&self) -> TestGenerator {
        let request = CreateGenerator {
            name: format!("generator-{}", self.next_number()),
            description: None,
        };
        let created = self
            .admin
            .create_generator(&request)
            .await
            .expect("a generator can be created");
        TestGenerator {
            id: created.generator.id,
            client: self.client(&created.pak),
            pak: created.pak,
        }
    }

    /// A new viewer.
    ///
    /// # Panics
    /// When the broker refuses.
    pub async fn viewer(&self) -> TestViewer {
        let name = format!("viewer-{}", self.next_number());
        let request = CreatePak {
            name,
            role: PakRole::Viewer,
            expires_at: None,
        };
        let created = self
            .admin
            .create_pak(&request)
            .await
            .expect("a viewer can be created");
        TestViewer {
            client: self.client(&created.pak),
            pak: created.pak,
        }
    }

    /// A work order to be submitted by the administrator. It has no target until it is given one.
    pub fn work_order(&self) -> WorkOrderBuilder<'_> {
        WorkOrderBuilder::new(&self.admin)
    }

    /// The time by the broker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward and runs the sweeps, as a broker would in that time.
    ///
    /// # Panics
    /// When a sweep fails.
    pub async fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
        self.sweep().await;
    }

    /// Runs every sweep until it finds nothing more to do.
    ///
    /// # Panics
    /// When a sweep fails.
    pub async fn sweep(&self) {
        const SWEPT: &str = "the sweep does its work";
        let app = &self.app;
        while app.release_expired_leases(SWEEP_ROWS_MAX).await.expect(SWEPT) > 0 {}
        while app.end_overdue_attempts(SWEEP_ROWS_MAX).await.expect(SWEPT) > 0 {}
        while app.promote_due(SWEEP_ROWS_MAX).await.expect(SWEPT) > 0 {}
        while app.expire_unstarted(SWEEP_ROWS_MAX).await.expect(SWEPT) > 0 {}
        while app.prune(SWEEP_ROWS_MAX).await.expect(SWEPT) > 0 {}
        app.wake_waiting_claims().await.expect(SWEPT);
    }

    /// Makes the deliveries of all webhooks, and sends those that are due, one after the other, until none is. Answers how many it
    /// sent.
    ///
    /// # Panics
    /// When the broker cannot do so.
    pub async fn tell_webhooks(&self) -> usize {
        const TOLD: &str = "webhooks are told";
        let (app, in_hand) = (&self.app, InHand::default());
        let mut sent = 0;
        // On PostgreSQL the transactions of other tests, which end soon, may hold events back.
        loop {
            let made = app.make_webhook_deliveries(SWEEP_ROWS_MAX).await.expect(TOLD);
            if made.events == 0 && made.caught_up {
                break;
            }
            tokio::time::sleep(EVENTS_SETTLE).await;
        }
        loop {
            let due = app
                .take_webhook_deliveries(&in_hand, SWEEP_ROWS_MAX)
                .await
                .expect(TOLD);
            if due.is_empty() {
                return sent;
            }
            for delivery in due {
                app.send_webhook_delivery(delivery).await.expect(TOLD);
                sent += 1;
            }
        }
    }

    /// A request to a path such as `/api/v1/agents`, with anything in it. [`Answer::of`] sends it.
    pub fn http(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(
            method,
            format!("{}{path}", self.url().as_str().trim_end_matches('/')),
        )
    }

    /// Where the broker listens.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.server.url()
    }

    /// The use cases, for what has no endpoint.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The clock, which can be moved without sweeps.
    #[must_use]
    pub fn clock(&self) -> &FakeClock {
        &self.clock
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &TestDb {
        &self.db
    }

    fn next_number(&self) -> u32 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        self.tailing.abort();
        self.app.stopping().cancel();
    }
}

impl fmt::Debug for TestBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBroker")
            .field("url", &self.url().as_str())
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

fn client(url: &Url, pak: Option<&PakText>) -> Client {
    let mut config = ClientConfig::new(url.clone());
    config.pak = pak.cloned();
    Client::new(config).expect("a client can be made")
}

/// Makes the first administrator's key.
async fn first_admin(app: &App) -> PakText {
    let made = app
        .ensure_admin(&FirstAdmin::Told)
        .await
        .expect("the first key can be made");
    let pak = made.expect("a new database has no administrator");
    PakText::new(pak.reveal())
}
