//! A database for simulations: one connection whose statements come when the simulation lets them, and then at once.
//!
//! Whoever waits for SQLite's own thread would be woken at a moment that nobody decides. Here the caller's thread stands still
//! until SQLite has answered, so that a single thread and a simulated clock decide the order of everything. Between two
//! statements a broker can be paused, or die: its transaction is then undone, and whoever is within it never comes back.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use sqlx::SqliteConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DalError;

/// What the simulation does before a statement.
pub type Pause<'p> = Pin<Box<dyn Future<Output = ()> + Send + 'p>>;

/// Decides when statements come.
pub trait Pace: Send + Sync {
    /// Completes when this statement, or `begin`, `commit` or `committed`, may go on.
    fn reached(&self, point: &'static str) -> Pause<'_>;
}

/// One broker's hold on the connection. All clones are one.
#[derive(Clone)]
pub struct Stage {
    connection: Arc<Mutex<Option<SqliteConnection>>>,
    turn: Arc<Semaphore>,
    pace: Arc<dyn Pace>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

impl Stage {
    /// The hold of a broker that has just started.
    #[must_use]
    pub fn new(connection: SqliteConnection, pace: Arc<dyn Pace>) -> Self {
        Self {
            connection: Arc::new(Mutex::new(Some(connection))),
            turn: Arc::new(Semaphore::new(1)),
            pace,
        }
    }

    /// Ends the broker's hold as its death does: what was not committed is undone, and its statements never return. Answers
    /// the connection for the next broker, once.
    pub fn pull_out(&self) -> Option<SqliteConnection> {
        let mut connection = self.connection().take()?;
        undo(&mut connection);
        Some(connection)
    }

    /// Waits for this broker's other transactions, and begins one.
    pub(super) async fn begin(&self, text: Option<&'static str>) -> Result<Scene, sqlx::Error> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        self.reached("begin").await;
        if let Some(text) = text {
            self.at_once(async |connection| sqlx::query(text).execute(connection).await)?;
        }
        Ok(Scene {
            stage: self.clone(),
            open: text.is_some(),
            _turn: turn,
        })
    }

    /// Waits for this broker's transactions, and has SQLite do something while none is open.
    ///
    /// # Errors
    /// Those of SQLite, and [`sqlx::Error::PoolClosed`] once the broker is dead.
    pub async fn between<T>(
        &self,
        act: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let turn = self.turn.acquire().await;
        let _turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        self.at_once(act)
    }

    pub(super) async fn reached(&self, point: &'static str) {
        self.pace.reached(point).await;
        if self.connection().is_none() {
            pending::<()>().await;
        }
    }

    /// Has SQLite do something while this thread stands still.
    pub(super) fn at_once<T>(
        &self,
        act: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut connection = self.connection();
        let connection = connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        stand_still(act(connection))
    }

    fn connection(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction on a stage.
pub(super) struct Scene {
    pub(super) stage: Stage,
    open: bool,
    _turn: OwnedSemaphorePermit,
}

impl Scene {
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        if !self.open {
            return Ok(());
        }
        self.stage.reached("commit").await;
        self.open = false;
        self.stage
            .at_once(async |connection| sqlx::query("COMMIT").execute(connection).await)?;
        self.stage.reached("committed").await;
        Ok(())
    }

    /// Keeps what was done so far and goes on in another transaction, as a broker without the guard of the one transaction.
    pub(super) async fn tear(&mut self) -> Result<(), DalError> {
        let torn = self.stage.at_once(async |connection| {
            sqlx::query("COMMIT").execute(&mut *connection).await?;
            sqlx::query("BEGIN IMMEDIATE").execute(connection).await
        });
        torn.map_err(|error| DalError::classify("tear", error))?;
        self.stage.reached("torn").await;
        Ok(())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.open
            && let Some(connection) = self.stage.connection().as_mut()
        {
            undo(connection);
        }
    }
}

fn undo(connection: &mut SqliteConnection) {
    // It fails when there is nothing to undo.
    let _ = stand_still(sqlx::query("ROLLBACK").execute(connection));
}

struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn stand_still<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
