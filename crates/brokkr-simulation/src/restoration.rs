//! A database that is restored from an older backup, in the steps of docs/operating.md.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokkr_api::{PakText, WorkOrderLog};
use brokkr_broker::api;
use brokkr_broker::app::App;
use brokkr_broker::config::Limits;
use brokkr_broker::dal::Db;
use brokkr_broker::dal::stage::{Pace, Pause, Stage};
use sqlx::sqlite::SqliteOwnedBuf;
use sqlx::{Connection as _, SqliteConnection};

use crate::broker::Database;
use crate::clock::SimulatedClock;
use crate::dice::{Dice, SharedDice};
use crate::evidence::Evidence;
use crate::network::Network;
use crate::record::Record;
use crate::seat::client;

/// What was known when the database was restored.
#[derive(Debug)]
pub(crate) struct Restoration {
    pub(crate) at: Duration,
    /// How many entries the record had then.
    pub(crate) position: usize,
    /// What attempts are numbered above since.
    pub(crate) epoch: i64,
    /// What the database said that was given up.
    pub(crate) before: Evidence,
    /// What the backup says.
    pub(crate) backup: Evidence,
}

impl Restoration {
    /// Divides the log entries that were seen: what was given up may be gone, what the backup has must stay.
    pub(crate) fn with_seen(mut self, seen: &mut Vec<WorkOrderLog>) -> Self {
        self.before.seen = std::mem::replace(seen, self.backup.log.clone());
        self
    }
}

/// Takes a copy of the database, between two transactions.
///
/// # Errors
/// When the broker died meanwhile.
pub(crate) async fn back_up(stage: &Stage) -> Result<Vec<u8>, sqlx::Error> {
    stage
        .between(async |connection| Ok(connection.serialize(None).await?.to_vec()))
        .await
}

/// Whoever restores the database.
pub(crate) struct Operator {
    pub(crate) clock: SimulatedClock,
    pub(crate) record: Record,
    pub(crate) seed: Dice,
    pub(crate) admin: PakText,
    /// Where the backup is restored: what is open on the old database knows its tables.
    pub(crate) empty: Mutex<Option<SqliteConnection>>,
}

impl Operator {
    /// Looks at the database, puts the backup in its place, looks at that, and says that it was restored.
    pub(crate) async fn restore(
        &self,
        database: Database,
        backup: &[u8],
    ) -> anyhow::Result<(Database, Restoration)> {
        let (database, before) = self.look(database).await?;
        let (database, backup) = self.look(self.replace(database, backup).await?).await?;
        let (at, position) = (self.clock.elapsed(), self.record.length());
        let (stage, app) = self.prepare(&database.db, database.connection);
        let restored = app.restored().await?;
        let restoration = Restoration {
            at,
            position,
            epoch: restored.epoch.number(),
            before,
            backup,
        };
        Ok((hand_back(database.db, &stage)?, restoration))
    }

    /// Everything that the database says, while no broker serves it.
    async fn look(&self, database: Database) -> anyhow::Result<(Database, Evidence)> {
        let (stage, app) = self.prepare(&database.db, database.connection);
        let private = Network::new(Record::new(self.clock), self.seed.of("inspection"));
        private.attach(api::router(app, None, axum::Router::new()));
        let inspector = client(private.direct_wire(), &self.admin)?;
        let evidence = Evidence::collect(&inspector, Vec::new()).await?;
        private.detach();
        Ok((hand_back(database.db, &stage)?, evidence))
    }

    async fn replace(&self, database: Database, backup: &[u8]) -> anyhow::Result<Database> {
        let empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner).take();
        let empty = empty.ok_or_else(|| anyhow::anyhow!("a database is restored once only"))?;
        let stage = Stage::new(empty, Arc::new(Prompt));
        let copy = SqliteOwnedBuf::try_from(backup)?;
        stage
            .between(async |connection| {
                connection.clear_cached_statements().await?;
                connection.deserialize(None, copy, false).await
            })
            .await?;
        hand_back(database.db, &stage)
    }

    fn prepare(&self, db: &Db, connection: SqliteConnection) -> (Stage, App) {
        let stage = Stage::new(connection, Arc::new(Prompt));
        let app = App::new(
            db.on_stage(stage.clone()),
            Arc::new(self.clock),
            Arc::new(SharedDice::new(self.seed.of("restoration ids"))),
            Limits::default(),
        );
        (stage, app)
    }
}

fn hand_back(db: Db, stage: &Stage) -> anyhow::Result<Database> {
    let connection = stage.pull_out();
    let connection = connection.ok_or_else(|| anyhow::anyhow!("the database is in other hands"))?;
    Ok(Database { db, connection })
}

/// The pace of somebody whom nothing interrupts.
struct Prompt;

impl Pace for Prompt {
    fn reached(&self, _point: &'static str) -> Pause<'_> {
        Box::pin(std::future::ready(()))
    }
}
