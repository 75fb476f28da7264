//! The driver of background tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brokkr_broker::app::App;
use brokkr_broker::config::Limits;
use brokkr_broker::tasks::{Activity, Driver, Task, TaskError};
use brokkr_testkit::{Backend, FakeClock, SeededRandom, TestDb};
use tokio::sync::mpsc;

const NEVER: Duration = Duration::from_secs(3_600);

/// Asks for the outcome of each of its batches.
struct Scripted {
    runs: mpsc::UnboundedSender<()>,
    outcomes: mpsc::UnboundedReceiver<Result<Activity, TaskError>>,
}

impl Task for Scripted {
    const NAME: &'static str = "scripted";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        self.runs.send(()).unwrap();
        match self.outcomes.recv().await {
            Some(outcome) => outcome,
            None => std::future::pending().await,
        }
    }
}

struct Script {
    runs: mpsc::UnboundedReceiver<()>,
    outcomes: mpsc::UnboundedSender<Result<Activity, TaskError>>,
}

impl Script {
    fn new() -> (Scripted, Self) {
        let (told, runs) = mpsc::unbounded_channel();
        let (outcomes, given) = mpsc::unbounded_channel();
        (
            Scripted {
                runs: told,
                outcomes: given,
            },
            Self { runs, outcomes },
        )
    }

    async fn run(&mut self, outcome: Result<Activity, TaskError>) {
        tokio::time::timeout(Duration::from_secs(20), self.runs.recv())
            .await
            .unwrap()
            .unwrap();
        self.outcomes.send(outcome).unwrap();
    }
}

fn app(db: &TestDb) -> App {
    let (clock, random) = (Arc::new(FakeClock::new()), Arc::new(SeededRandom::new(1)));
    App::new(db.db().clone(), clock, random, Limits::default())
}

fn done() -> Result<Activity, TaskError> {
    Ok(Activity {
        changed: 1,
        more: false,
    })
}

#[tokio::test]
async fn a_task_runs_at_the_start_at_once_while_there_is_more_and_when_it_is_nudged() {
    let db = TestDb::start(Backend::Sqlite).await;
    let app = app(&db);
    let (task, mut script) = Script::new();
    let mut driver = Driver::new(app.clone());
    let nudge = driver.spawn(task, NEVER);

    script
        .run(Ok(Activity {
            changed: 5,
            more: true,
        }))
        .await;
    script.run(done()).await;
    nudge.nudge();
    script.run(done()).await;

    app.stopping().cancel();
    driver.stop().await;
    let metrics = app.metrics().render();
    assert!(
        metrics.contains(r#"brokkr_task_runs_total{task="scripted",result="ok"} 3"#),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"brokkr_task_changed_total{task="scripted"} 7"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_nudge_that_comes_while_a_batch_runs_is_not_missed() {
    let db = TestDb::start(Backend::Sqlite).await;
    let app = app(&db);
    let (task, mut script) = Script::new();
    let mut driver = Driver::new(app.clone());
    let nudge = driver.spawn(task, NEVER);

    script.runs.recv().await.unwrap();
    nudge.nudge();
    nudge.nudge();
    script.outcomes.send(done()).unwrap();
    script.run(done()).await;

    app.stopping().cancel();
    driver.stop().await;
    assert!(script.runs.try_recv().is_err(), "two nudges in one batch are one");
}

#[tokio::test]
async fn a_task_that_failed_is_tried_again_later_whoever_nudges_it() {
    let db = TestDb::start(Backend::Sqlite).await;
    let app = app(&db);
    let (task, mut script) = Script::new();
    let mut driver = Driver::new(app.clone());
    let nudge = driver.spawn(task, Duration::from_millis(1));

    let began = Instant::now();
    script
        .run(Err(TaskError::because(std::io::Error::other("no database"))))
        .await;
    nudge.nudge();
    script.run(done()).await;
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "it waits at least most of a second"
    );

    app.stopping().cancel();
    driver.stop().await;
    assert!(
        app.metrics()
            .render()
            .contains(r#"brokkr_task_runs_total{task="scripted",result="error"} 1"#)
    );
}
