//! Databases on a PostgreSQL server: one thread makes them and drops them, since that needs a connection that outlives any
//! one test's runtime.
//!
//! Their names hold the number of the run (this process), and the run holds an advisory lock of that number. A later run drops
//! the databases of runs whose lock is free, so even a server that is not thrown away stays clean after tests were killed.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc as blocking};
use std::time::Duration;

use brokkr_testkit_postgres::Cluster;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::db::migrate_and_close;

/// Names the server to use instead of a throwaway cluster. Its user must be able to create databases.
const SERVER_URL: &str = "BROKKR_TEST_POSTGRES_URL";

const DROP_TIME_MAX: Duration = Duration::from_secs(30);

/// A database that is dropped with this value.
pub(crate) struct PostgresDatabase {
    name: String,
    url: String,
}

impl PostgresDatabase {
    pub(crate) async fn empty() -> Self {
        Self::create("template0".into()).await
    }

    pub(crate) async fn migrated() -> Self {
        Self::create(Server::get().template()).await
    }

    async fn create(template: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let server = Server::get();
        let name = server.database_name(&COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        let (reply, created) = oneshot::channel();
        server.send(Request::Create {
            name: name.clone(),
            template,
            reply,
        });
        created
            .await
            .expect("the thread that creates test databases has ended early; its panic is above");
        Self {
            url: server.url_of(&name),
            name,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let (reply, dropped) = blocking::channel();
        Server::get().send(Request::Drop {
            name: self.name.clone(),
            reply,
        });
        // A database that is left behind is dropped by the next run, or thrown away with the cluster.
        let _ = dropped.recv_timeout(DROP_TIME_MAX);
    }
}

enum Request {
    Create {
        name: String,
        template: String,
        reply: oneshot::Sender<()>,
    },
    Drop {
        name: String,
        reply: blocking::Sender<()>,
    },
}

/// The server that all tests of this process share. The cluster goes away when the process ends.
struct Server {
    url: Url,
    run: u32,
    requests: mpsc::UnboundedSender<Request>,
    _cluster: Option<Cluster>,
}

impl Server {
    fn get() -> &'static Self {
        static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
        match SERVER.get_or_init(Self::start) {
            Ok(server) => server,
            Err(reason) => panic!("there is no PostgreSQL server for this test: {reason}"),
        }
    }

    fn start() -> Result<Self, String> {
        let (url, cluster) = match std::env::var(SERVER_URL) {
            Ok(url) => (url, None),
            Err(_) => {
                let cluster = Cluster::start().map_err(|error| error.to_string())?;
                (cluster.url().to_owned(), Some(cluster))
            }
        };
        let url = Url::parse(&url).map_err(|error| format!("{SERVER_URL} is not a URL: {error}"))?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let server = Self {
            url,
            run: random_run(),
            requests,
            _cluster: cluster,
        };
        let (admin_url, template_url) = (server.url.to_string(), server.url_of(&server.template()));
        let (run, template) = (server.run, server.template());
        std::thread::spawn(move || serve(inbox, &admin_url, run, &template, &template_url));
        Ok(server)
    }

    fn send(&self, request: Request) {
        // The caller waits for the reply, and hears there that the thread has ended.
        let _ = self.requests.send(request);
    }

    fn template(&self) -> String {
        self.database_name("template")
    }

    fn database_name(&self, suffix: &str) -> String {
        format!("brokkr_test_{}_{suffix}", self.run)
    }

    fn url_of(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.into()
    }
}

fn serve(
    inbox: mpsc::UnboundedReceiver<Request>,
    admin_url: &str,
    run: u32,
    template: &str,
    template_url: &str,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let mut admin = Admin::connect(admin_url).await;
        admin.lock(run).await;
        admin.drop_left_behind().await;
        admin.create(template, "template0").await;
        migrate_and_close(template_url).await;
        admin.answer(inbox).await;
    });
}

struct Admin(PgConnection);

impl Admin {
    async fn connect(url: &str) -> Self {
        Self(
            PgConnection::connect(url)
                .await
                .expect("the PostgreSQL server for tests can be reached"),
        )
    }

    async fn answer(&mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        while let Some(request) = inbox.recv().await {
            match request {
                Request::Create {
                    name,
                    template,
                    reply,
                } => {
                    self.create(&name, &template).await;
                    let _ = reply.send(());
                }
                Request::Drop { name, reply } => {
                    self.drop(&name).await;
                    let _ = reply.send(());
                }
            }
        }
    }

    async fn create(&mut self, name: &str, template: &str) {
        self.execute(format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .await;
    }

    async fn drop(&mut self, name: &str) {
        self.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await;
    }

    async fn lock(&mut self, run: u32) -> bool {
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(i64::from(run))
            .fetch_one(&mut self.0)
            .await
            .expect("an advisory lock can be asked for")
    }

    async fn unlock(&mut self, run: u32) {
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(i64::from(run))
            .execute(&mut self.0)
            .await
            .expect("an advisory lock can be given back");
    }

    async fn drop_left_behind(&mut self) {
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT datname::text FROM pg_database WHERE datname LIKE 'brokkr\\_test\\_%'",
        )
        .fetch_all(&mut self.0)
        .await
        .expect("the databases can be listed");
        for name in names {
            let Some(run) = run_of(&name) else { continue };
            if self.lock(run).await {
                self.drop(&name).await;
                self.unlock(run).await;
            }
        }
    }

    async fn execute(&mut self, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut self.0)
            .await
            .unwrap_or_else(|error| panic!("`{statement}` failed: {error}"));
    }
}

/// Tests may not ask for real randomness, but two runs on one server must not have the same number.
fn random_run() -> u32 {
    let random = RandomState::new().build_hasher().finish();
    u32::try_from(random >> 32).unwrap_or(u32::MAX)
}

fn run_of(database: &str) -> Option<u32> {
    database
        .strip_prefix("brokkr_test_")?
        .split('_')
        .next()?
        .parse()
        .ok()
}
