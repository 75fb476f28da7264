//! Brokers and agents as processes.

use std::fs;

use brokkr_broker::dal::Sql;
use brokkr_client::api::PakText;
use brokkr_client::{Client, ClientConfig};
use brokkr_testkit::{Backend, Cluster, TestDb};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Disk, Finished, Process, World};

/// Where brokers keep everything; it outlives them.
pub(crate) struct Database {
    url: String,
    postgres: Option<TestDb>,
}

impl Database {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn sqlite(world: &World) -> Database {
        Database {
            url: format!("sqlite:{}", world.path("broker.db").display()),
            postgres: None,
        }
    }

    /// Whether a broker has said to PostgreSQL that it serves the database.
    pub(crate) async fn served(&self) -> bool {
        static LOCKS: Sql = Sql::shared(
            "tests.locks",
            "SELECT COUNT(*) AS held FROM pg_locks
              WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        let db = self.postgres.as_ref().expect("it is on PostgreSQL");
        let mut tx = db.read().await.expect("a connection");
        let row = tx.fetch_one(&LOCKS, vec![]).await.expect("an answer");
        row.get::<i64>("held").expect("a number") > 0
    }

    /// A file on a disk of its own.
    pub(crate) fn sqlite_on(disk: &Disk) -> Database {
        Database {
            url: format!("sqlite:{}", disk.path().join("broker.db").display()),
            postgres: None,
        }
    }

    /// The database of a server that only the caller has.
    pub(crate) fn of(cluster: &Cluster) -> Database {
        Database {
            url: cluster.url().to_owned(),
            postgres: None,
        }
    }

    pub(crate) async fn postgres() -> Database {
        let db = TestDb::empty(Backend::Postgres).await;
        Database {
            url: db.url().to_owned(),
            postgres: Some(db),
        }
    }
}

/// A broker.
pub(crate) struct BrokerProcess {
    process: Process,
    address: String,
    pak_file: String,
}

impl BrokerProcess {
    /// Starts a broker on a free port.
    pub(crate) async fn start(world: &World, database: &Database) -> BrokerProcess {
        BrokerProcess::start_at(world, database, "127.0.0.1:0").await
    }

    /// Starts a broker where another one was.
    pub(crate) async fn start_at(world: &World, database: &Database, address: &str) -> BrokerProcess {
        let pak_file = world.path("admin.pak").display().to_string();
        let args = ["broker", "--listen", address, "--database-url", &database.url];
        let args = [
            args.as_slice(),
            &["--admin-pak-file", &pak_file, "--log-format", "json"],
        ]
        .concat();
        let mut process = world.start(&args);
        let address = process
            .until_written("an address", |_, log| log.lines().find_map(address_in))
            .await;
        BrokerProcess {
            process,
            address,
            pak_file,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The disk of the broker takes no more, for as long as the value lives.
    pub(crate) fn with_full_disk(&self) -> FullDisk<'_> {
        FullDisk::of(&self.process)
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// Asks it to stop, and waits for that.
    pub(crate) async fn stop(self) -> Finished {
        self.process.signal(Signal::SIGTERM);
        self.process.finish().await
    }

    /// Runs a command for people against it.
    pub(crate) async fn run(&self, world: &World, args: &[&str]) -> Finished {
        self.begin(world, args).finish().await
    }

    /// Starts a command for people against it.
    pub(crate) fn begin(&self, world: &World, args: &[&str]) -> Process {
        let variables = [
            ("BROKKR_BROKER", self.url()),
            ("BROKKR_PAK_FILE", self.pak_file.clone()),
        ];
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Process::start(world.root(), args, &variables)
    }

    /// A client with the administrator's PAK.
    pub(crate) fn client(&self) -> Client {
        let pak = fs::read_to_string(&self.pak_file).expect("the broker has written a PAK");
        let url = self.url().parse().expect("an address");
        Client::new(ClientConfig::new(url).with_pak(PakText::new(pak.trim()))).expect("a client")
    }

    /// Creates an agent with a label and starts it.
    pub(crate) async fn agent(&self, world: &World, name: &str, label: &str) -> AgentProcess {
        let pak_file = world.path(&format!("{name}.pak")).display().to_string();
        self.run(
            world,
            &["create", "agent", name, "-l", label, "--save-pak", &pak_file],
        )
        .await
        .with_code(0);
        AgentProcess::start(world, name, &self.url())
    }
}

fn address_in(line: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    entry
        .get("server.address")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// An agent that may run commands, with the shortest lease there is.
pub(crate) struct AgentProcess {
    process: Process,
}

impl AgentProcess {
    /// Starts the agent that was created with this name, in the state that an earlier process of it left.
    pub(crate) fn start(world: &World, name: &str, broker: &str) -> AgentProcess {
        let pak_file = world.path(&format!("{name}.pak")).display().to_string();
        let state = world.path(&format!("{name}.state")).display().to_string();
        let args = [
            "agent",
            "--broker",
            broker,
            "--pak-file",
            &pak_file,
            "--state-dir",
            &state,
        ];
        let more = [
            "--allow-commands",
            "--lease-seconds",
            "5",
            "--wait-seconds",
            "5",
            "--grace-seconds",
            "3",
        ];
        AgentProcess {
            process: world.start(&[args.as_slice(), &more].concat()),
        }
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// The disk of the agent takes no more, for as long as the value lives. What was started before is not concerned.
    pub(crate) fn with_full_disk(&self) -> FullDisk<'_> {
        FullDisk::of(&self.process)
    }
}

/// A disk that takes nothing.
#[must_use = "there is room again when it is dropped"]
pub(crate) struct FullDisk<'a>(&'a Process);

impl<'a> FullDisk<'a> {
    fn of(process: &'a Process) -> FullDisk<'a> {
        process.limit_files("0");
        FullDisk(process)
    }
}

impl Drop for FullDisk<'_> {
    fn drop(&mut self) {
        self.0.limit_files("unlimited");
    }
}
