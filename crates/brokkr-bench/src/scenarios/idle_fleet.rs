//! What agents cost that wait for work.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::crew::Crew;
use crate::fleet::{self, Seat};
use crate::recorder::{Measure, Recorder};
use crate::run::{Bench, Progress};
use crate::target::Target;
use crate::{BenchError, Outcome};

/// How long a claim waits: the longest that the contract allows.
pub(super) const WAIT: Duration = Duration::from_secs(60);
/// Ten thousand claims arrive within seconds.
const PARKING_MAX: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(100);
const WAITING: &str = "brokkr_waiting_claims";

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let agents = bench.options.agents(10_000, 20);
    let seconds = bench.options.seconds(20, 1);
    let target = bench.target().await?;
    bench.step(&format!("making {agents} agents"));
    let fleet = fleet::agents(&target, agents, bench.progress).await?;
    let before = target.resident_bytes();
    let recorder = Recorder::new()?;
    let mut crew = Crew::new();
    for (number, agent) in fleet.iter().enumerate() {
        crew.add(wait_for_work(
            Seat::new(&target, number, agent),
            Arc::clone(&recorder),
        ));
    }
    parked(&target, u64::from(agents), bench.progress).await?;
    let per_agent = target.resident_bytes().saturating_sub(before) / u64::from(agents);

    bench.step(&format!("{agents} agents wait for {seconds} seconds"));
    let mut rest = over(&target, &recorder, Duration::from_secs(seconds)).await?;
    rest.note(
        "memory per agent",
        format!("{:.1} KiB", per_agent as f64 / 1024.0),
    );
    let parked = target.metric(WAITING).await?;
    rest.expect("claims that wait", u64::from(agents), parked);
    let mut rows = vec![bench.named(
        rest,
        &format!("{agents} parked agents, nobody returns"),
        "claims answered",
        None,
    )];
    if !bench.options.short {
        bench.step(&format!(
            "{agents} agents wait again, each once within {} seconds",
            WAIT.as_secs()
        ));
        let renewed = over(&target, &recorder, WAIT).await?;
        let variant = format!(
            "{agents} parked agents, each asks again once in {} s",
            WAIT.as_secs()
        );
        rows.push(bench.named(renewed, &variant, "claims answered", None));
    }
    crew.dismiss().await;
    target.stop().await?;
    Ok(rows)
}

async fn wait_for_work(mut seat: Seat, recorder: Arc<Recorder>) {
    loop {
        match seat.claim(1, WAIT).await {
            Ok(held) if held.is_empty() => recorder.done(1),
            Ok(_) => recorder.error("there was work although none was created"),
            Err(error) => {
                recorder.error(&error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// What is used in so long a time.
async fn over(target: &Target<'_>, recorder: &Arc<Recorder>, time: Duration) -> Result<Outcome, BenchError> {
    let answered = recorder.operations();
    let measure = Measure::begin_with(target, Arc::clone(recorder)).await?;
    sleep(time).await;
    let mut outcome = measure.end(target).await?;
    outcome.operations -= answered;
    let per_second = |used: f64| used / outcome.seconds;
    let cpu = 100.0 * per_second(outcome.usage.broker_cpu_seconds);
    let database = 100.0 * per_second(outcome.usage.database_cpu_seconds);
    let statements = per_second(outcome.usage.statements as f64);
    outcome.note("broker", format!("{cpu:.1}% of a core"));
    outcome.note("database", format!("{database:.1}% of a core"));
    outcome.note("statements", format!("{statements:.1} per second"));
    Ok(outcome)
}

/// Waits until the brokers say that as many claims wait as there are agents.
pub(super) async fn parked(
    target: &Target<'_>,
    agents: u64,
    progress: &Progress<'_>,
) -> Result<(), BenchError> {
    let begun = Instant::now();
    loop {
        let found = target.metric(WAITING).await?;
        if agents <= found {
            return Ok(());
        }
        if PARKING_MAX < begun.elapsed() {
            return Err(BenchError::Unprepared {
                what: "parking all agents",
                expected: agents,
                found,
            });
        }
        progress.counted("agents wait", found, agents);
        sleep(LOOK).await;
    }
}
