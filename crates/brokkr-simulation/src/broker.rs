//! The broker: its real use cases, interface and sweeps over one database, which outlives every process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_broker::api;
use brokkr_broker::app::App;
use brokkr_broker::app::startup::FirstAdmin;
use brokkr_broker::config::Limits;
use brokkr_broker::dal::stage::{Pace, Pause, Stage};
use brokkr_broker::dal::{Db, DbOptions, migrate};
use brokkr_broker::tasks::{Driver, LeaseSweeper, Promoter, StartBySweeper, Waker};
use sqlx::SqliteConnection;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::clock::SimulatedClock;
use crate::dice::{Dice, SharedDice};
use crate::network::Network;
use crate::record::Record;

const SWEEP_ROWS_MAX: u32 = 500;
/// Keys are never revoked here.
const KEYS_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// A migrated database that is only in memory.
pub(crate) struct Database {
    pub(crate) db: Db,
    pub(crate) connection: SqliteConnection,
}

impl Database {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let db = Db::connect("sqlite::memory:", &DbOptions::default()).await?;
        migrate::run(&db).await?;
        let connection = db.detach().await?;
        Ok(Self { db, connection })
    }

    /// A connection to a database in memory that has nothing in it yet.
    pub(crate) async fn empty() -> anyhow::Result<SqliteConnection> {
        let db = Db::connect("sqlite::memory:", &DbOptions::default()).await?;
        Ok(db.detach().await?)
    }
}

/// When statements come, and at which of them the broker dies.
pub(crate) struct BrokerPace {
    dice: SharedDice,
    mine: Mutex<Option<Mine>>,
    /// The broker has come to the place at which it dies.
    pub(crate) died: Notify,
}

/// A place at which the broker dies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mine {
    /// The name of a statement, or a part of it.
    pub(crate) point: &'static str,
    /// How often it gets past it before.
    pub(crate) passed: u64,
}

impl BrokerPace {
    pub(crate) fn lay(&self, mine: Mine) {
        *self.mine() = Some(mine);
    }

    pub(crate) fn clear(&self) {
        *self.mine() = None;
    }

    fn dies_at(&self, point: &'static str) -> bool {
        let mut mine = self.mine();
        let Some(laid) = mine.as_mut().filter(|laid| point.contains(laid.point)) else {
            return false;
        };
        if laid.passed > 0 {
            laid.passed -= 1;
            return false;
        }
        *mine = None;
        true
    }

    fn mine(&self) -> MutexGuard<'_, Option<Mine>> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace for BrokerPace {
    fn reached(&self, point: &'static str) -> Pause<'_> {
        Box::pin(async move {
            let pause = {
                let mut dice = self.dice.throw();
                match dice.below(1_000) {
                    0..2 => Some(dice.millis(100..2_500)),
                    2..150 => Some(dice.millis(1..20)),
                    _ => None,
                }
            };
            if let Some(pause) = pause {
                sleep(pause).await;
            }
            if self.dies_at(point) {
                self.died.notify_one();
                std::future::pending::<()>().await;
            }
        })
    }
}

/// The broker, which is up or down.
pub(crate) struct Broker {
    db: Db,
    clock: SimulatedClock,
    random: Arc<SharedDice>,
    record: Record,
    network: Arc<Network>,
    pub(crate) pace: Arc<BrokerPace>,
    /// Nothing while somebody else has the database.
    state: Option<State>,
}

enum State {
    Up(Box<Process>),
    Down(SqliteConnection),
}

/// A process of the broker.
struct Process {
    app: App,
    stage: Stage,
    /// Ended when it is dropped.
    _tasks: Driver,
}

impl Broker {
    pub(crate) fn new(
        database: Database,
        clock: SimulatedClock,
        record: Record,
        network: Arc<Network>,
        seed: &Dice,
    ) -> Self {
        let pace = BrokerPace {
            dice: SharedDice::new(seed.of("statements")),
            mine: Mutex::default(),
            died: Notify::new(),
        };
        Self {
            db: database.db,
            clock,
            random: Arc::new(SharedDice::new(seed.of("ids"))),
            record,
            network,
            pace: Arc::new(pace),
            state: Some(State::Down(database.connection)),
        }
    }

    /// Starts a process, unless one runs or the database is in other hands.
    pub(crate) fn start(&mut self) {
        let connection = match self.state.take() {
            Some(State::Down(connection)) => connection,
            up => {
                self.state = up;
                return;
            }
        };
        let stage = Stage::new(connection, Arc::clone(&self.pace) as _);
        let app = App::new(
            self.db.on_stage(stage.clone()),
            Arc::new(self.clock),
            Arc::clone(&self.random) as _,
            Limits::default(),
        )
        .remembering_keys_for(KEYS_KEPT);
        let mut tasks = Driver::new(app.clone());
        let sweep = Duration::from_secs(1);
        tasks.spawn(LeaseSweeper::new(app.clone(), SWEEP_ROWS_MAX), sweep);
        tasks.spawn(Promoter::new(app.clone(), SWEEP_ROWS_MAX), sweep);
        tasks.spawn(StartBySweeper::new(app.clone(), SWEEP_ROWS_MAX), sweep);
        tasks.spawn(Waker::new(app.clone()), Duration::from_secs(5));
        self.network
            .attach(api::router(app.clone(), None, axum::Router::new()));
        self.record.note("broker    starts");
        self.state = Some(State::Up(Box::new(Process {
            app,
            stage,
            _tasks: tasks,
        })));
    }

    /// The running process's hold on the database.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match &self.state {
            Some(State::Up(process)) => Some(process.stage.clone()),
            _ => None,
        }
    }

    /// Takes the database of a broker that is down. No broker starts before it is given back.
    pub(crate) fn take_database(&mut self) -> Option<Database> {
        match self.state.take() {
            Some(State::Down(connection)) => Some(Database {
                db: self.db.clone(),
                connection,
            }),
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(crate) fn give_back(&mut self, database: Database) {
        self.state = Some(State::Down(database.connection));
    }

    /// Answers those who wait for work, as a broker does that is told to stop.
    pub(crate) fn tell_to_stop(&self) {
        if let Some(State::Up(process)) = &self.state {
            self.record.note("broker    is told to stop");
            process.app.stopping().cancel();
        }
    }

    /// Ends the process in the middle of whatever it does.
    pub(crate) fn die(&mut self) {
        self.state = match self.state.take() {
            Some(State::Up(process)) => {
                self.record.note("broker    dies");
                self.network.detach();
                process.stage.pull_out().map(State::Down)
            }
            down => down,
        };
    }

    /// Makes the administrator's key.
    pub(crate) async fn admin_pak(&self) -> anyhow::Result<String> {
        let Some(State::Up(process)) = &self.state else {
            anyhow::bail!("the broker is down");
        };
        let pak = process.app.ensure_admin(&FirstAdmin::Told).await?;
        let pak = pak.ok_or_else(|| anyhow::anyhow!("there is an administrator already"))?;
        Ok(pak.reveal())
    }
}
