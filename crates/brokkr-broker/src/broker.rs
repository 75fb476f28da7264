//! A whole broker: from its configuration to its end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use brokkr_core::pak::Pak;
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info};

use crate::api::{self, LinkTrace};
use crate::app::App;
use crate::app::database_clock::{ClockError, DatabaseClock};
use crate::app::random::{Random, SystemRandom};
use crate::app::restore::Restored;
use crate::app::startup::FirstAdminError;
use crate::app::webhooks::{SealingKeyError, Telling};
use crate::config::{AdminConfigError, BrokerConfig, HttpConfig, Limits, TlsConfig};
use crate::console;
use crate::dal::migrate::{self, MigrationError};
use crate::dal::presence::{self, Presence};
use crate::dal::{DalError, Db};
use crate::tasks::{
    ClockReader, DeadlineSweeper, Driver, LeaseSweeper, MetricsFolder, Nudger, Promoter, Pruner,
    StartBySweeper, Vacuumer, Waker, WebhookDeliverer,
};

/// One small query when there is no webhook.
const WEBHOOKS_TOLD_EVERY: Duration = Duration::from_secs(1);

/// How long a client may take to send a request's head. Slower ones only hold connections.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);

/// Often enough that histograms stay small under load.
const METRICS_FOLDED_EVERY: Duration = Duration::from_secs(5);

/// Deadlines are given minutes anyway, and are looked for among all that is claimed.
const DEADLINES_SWEPT_EVERY: Duration = Duration::from_secs(10);

/// While ten thousand orders are claimed in a second, claims pass as many dead entries as they are worth a vacuum.
const ROUTES_VACUUMED_EVERY: Duration = Duration::from_secs(5);

/// What a broker takes from its surroundings and not from its configuration.
#[derive(Clone)]
pub struct Surroundings {
    /// Where random bytes come from.
    pub random: Arc<dyn Random>,
    /// Joins requests to their callers' traces, where traces are exported.
    pub link_trace: Option<LinkTrace>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            random: Arc::new(SystemRandom),
            link_trace: None,
        }
    }
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration of the administrator's key makes no sense.
    #[error("the configuration of the administrator's key makes no sense")]
    AdminConfig(#[from] AdminConfigError),
    /// The key for the secrets of webhooks cannot be used.
    #[error("the key for the secrets of webhooks cannot be used")]
    WebhooksKey(#[from] SealingKeyError),
    /// The database could not be opened.
    #[error("could not open the database")]
    Database(#[source] DalError),
    /// The schema could not be brought up to date.
    #[error("could not bring the database's schema up to date")]
    Migration(#[from] MigrationError),
    /// A broker serves the database that was to be restored.
    #[error("a broker serves this database")]
    Served,
    /// Somebody is alone with the database.
    #[error("the database is being restored")]
    Restoring,
    /// The time could not be found out.
    #[error("could not read the database's clock")]
    Clock(#[from] ClockError),
    /// There is no administrator's key, and none could be made.
    #[error("could not make sure that there is an administrator's key")]
    FirstAdmin(#[from] FirstAdminError),
    /// The certificate or its key could not be used.
    #[error("could not use the certificate {} with the key {}", cert_file.display(), key_file.display())]
    Tls {
        /// The certificate.
        cert_file: PathBuf,
        /// Its key.
        key_file: PathBuf,
        /// What is wrong with them.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Starts brokers.
#[derive(Debug, Clone, Copy)]
pub struct Broker;

impl Broker {
    /// Brings the schema up to date and does what is to be done once the database was restored from a backup ([`App::restored`]),
    /// before any broker serves it. None can begin to meanwhile.
    ///
    /// # Errors
    /// [`StartError::Served`] when a broker serves it, and nothing was changed then; else as
    /// [`Broker::restored_beside_brokers`].
    pub async fn restored(db: &Db) -> Result<Restored, StartError> {
        let _alone = presence::exclude_brokers(db)
            .await
            .map_err(StartError::Database)?
            .ok_or(StartError::Served)?;
        Self::restored_beside_brokers(db).await
    }

    /// The same, whoever seems to serve the database. Attempts that a broker gives out meanwhile may be numbered as earlier ones were.
    ///
    /// # Errors
    /// [`StartError`]; no more than the schema was changed then.
    pub async fn restored_beside_brokers(db: &Db) -> Result<Restored, StartError> {
        migrate::run(db).await?;
        let clock = Arc::new(DatabaseClock::start(db).await?);
        let random = Surroundings::default().random;
        App::new(db.clone(), clock, random, Limits::default())
            .restored()
            .await
            .map_err(StartError::Database)
    }

    /// Opens the database, brings its schema up to date, makes the first administrator's key if none works, and serves.
    /// With TLS, the process must have chosen its crypto provider before.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(
        config: BrokerConfig,
        surroundings: Surroundings,
    ) -> Result<RunningBroker, StartError> {
        let first_admin = config.admin.first_admin()?;
        let telling = Telling::new(&config.webhooks)?;
        telling.announce();
        // Before the database: a port that is taken is the mistake that is made most, and is found at once.
        let listener = listen(config.http.listen)?;
        let tls = tls(config.http.tls.as_ref()).await?;
        let db = Db::connect(&config.database.url, &config.database.options())
            .await
            .map_err(StartError::Database)?;
        let presence = presence::announce(&db)
            .map_err(StartError::Database)?
            .ok_or(StartError::Restoring)?;
        migrate::run(&db).await?;
        let clock = Arc::new(DatabaseClock::start(&db).await?);
        let app = App::new(
            db.clone(),
            Arc::clone(&clock) as _,
            surroundings.random,
            config.limits.clone(),
        )
        .remembering_keys_for(Duration::from_secs(config.authentication.key_cache_seconds_max))
        .telling_webhooks(telling);
        let first_admin_pak = app.ensure_admin(&first_admin).await?;
        let tasks = spawn_tasks(&app, clock, &config);
        let pages = console::router(app.clone(), &config.console, tls.is_some());
        let router = api::router(app.clone(), surroundings.link_trace, pages);
        let (address, server) = listener;
        let handle = Handle::new();
        let serving = tokio::spawn(serve(server, tls.clone(), router, handle.clone()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        info!(server.address = %address, "the broker listens on {scheme}://{address}");
        Ok(RunningBroker {
            app,
            db,
            address,
            scheme,
            first_admin_pak,
            tasks,
            handle,
            serving: Some(serving),
            _presence: presence,
            http: config.http,
        })
    }
}

/// A broker that serves.
#[must_use = "a broker that is dropped without being stopped leaves its tasks behind"]
pub struct RunningBroker {
    /// The administrator's key that was made, or taken from its file, at this start; to be shown once.
    pub first_admin_pak: Option<Pak>,
    app: App,
    db: Db,
    address: SocketAddr,
    scheme: &'static str,
    tasks: Driver,
    handle: Handle<SocketAddr>,
    serving: Option<JoinHandle<io::Result<()>>>,
    _presence: Presence,
    http: HttpConfig,
}

impl RunningBroker {
    /// Where it listens, with the port that it found when it was to find one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for clients on this host.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback: std::net::IpAddr = match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            address.set_ip(loopback);
        }
        format!("{}://{address}", self.scheme)
    }

    /// The use cases, for who lives in the same process.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Waits until the broker no longer serves although nobody stopped it, which is a defect or the system's doing.
    pub async fn ended(&mut self) {
        if let Some(serving) = &mut self.serving {
            tell_end(serving.await);
            self.serving = None;
        }
    }

    /// Stops: accepts no more, answers those who wait for work with nothing, finishes what is in flight, and closes.
    pub async fn stop(self) {
        info!("the broker stops");
        self.app.stopping().cancel();
        self.handle
            .graceful_shutdown(Some(Duration::from_secs(self.http.stop_seconds_max)));
        if let Some(serving) = self.serving {
            tell_end(serving.await);
        }
        self.tasks.stop().await;
        self.db.close().await;
    }
}

fn tell_end(end: Result<io::Result<()>, JoinError>) {
    match end {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error!(error = %error, "the broker no longer accepts connections"),
        Err(panic) => error!(error = %panic, "the broker's listener panicked"),
    }
}

fn listen(address: SocketAddr) -> Result<(SocketAddr, axum_server::Server<SocketAddr>), StartError> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        Ok((bound, axum_server::from_tcp(listener)?))
    };
    open().map_err(|source| StartError::Listen { address, source })
}

async fn tls(config: Option<&TlsConfig>) -> Result<Option<RustlsConfig>, StartError> {
    let Some(TlsConfig { cert_file, key_file }) = config else {
        return Ok(None);
    };
    RustlsConfig::from_pem_file(cert_file, key_file)
        .await
        .map(Some)
        .map_err(|source| StartError::Tls {
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            source,
        })
}

async fn serve(
    server: axum_server::Server<SocketAddr>,
    tls: Option<RustlsConfig>,
    router: axum::Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = server.handle(handle);
    server.http_builder().http1().header_read_timeout(HEAD_PATIENCE);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(config) => server.acceptor(RustlsAcceptor::new(config)).serve(service).await,
        None => server.serve(service).await,
    }
}

fn spawn_tasks(app: &App, clock: Arc<DatabaseClock>, config: &BrokerConfig) -> Driver {
    let (sweeps, batch_max) = (&config.sweeps, config.sweeps.batch_max.max(1));
    let every_millis = |millis: u64| Duration::from_millis(millis.max(1));
    let mut driver = Driver::new(app.clone());
    driver.spawn(
        LeaseSweeper::new(app.clone(), batch_max),
        every_millis(sweeps.lease_millis),
    );
    driver.spawn(
        DeadlineSweeper::new(app.clone(), batch_max),
        DEADLINES_SWEPT_EVERY,
    );
    driver.spawn(
        Promoter::new(app.clone(), batch_max),
        every_millis(sweeps.promotion_millis),
    );
    driver.spawn(
        StartBySweeper::new(app.clone(), batch_max),
        every_millis(sweeps.start_by_millis),
    );
    let look = driver.spawn(Waker::new(app.clone()), every_millis(sweeps.wake_millis));
    driver.keep("nudger", Nudger::new(app.clone(), look).run());
    driver.keep("events", {
        let app = app.clone();
        async move { app.tail_events().await }
    });
    driver.spawn(Vacuumer::new(app.clone()), ROUTES_VACUUMED_EVERY);
    let pruner = Pruner::new(
        app.clone(),
        config.retention.clone(),
        config.webhooks.deliveries_days,
        batch_max,
    );
    driver.spawn(pruner, Duration::from_secs(sweeps.retention_seconds.max(1)));
    driver.spawn(
        ClockReader::new(app.clone(), clock),
        Duration::from_secs(sweeps.clock_seconds.max(1)),
    );
    let deliverer = WebhookDeliverer::new(app.clone(), config.webhooks.sending_max);
    driver.spawn(deliverer, WEBHOOKS_TOLD_EVERY);
    driver.spawn(MetricsFolder::new(app.clone()), METRICS_FOLDED_EVERY);
    driver
}
