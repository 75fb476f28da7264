//! Doing what the plan says, and undoing it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until};

use crate::plan::{Fault, Planned};
use crate::strays;
use crate::world::World;

/// How often each kind of fault happened.
pub(crate) type Counts = BTreeMap<&'static str, u32>;

/// Does everything in its time. When this comes back all is healed.
pub(crate) async fn inflict(world: &World, plan: &[Planned]) -> anyhow::Result<Counts> {
    let begun = Instant::now();
    let mut counts = Counts::new();
    let mut lasting = FuturesUnordered::new();
    for planned in plan {
        let due = sleep_until(begun + planned.at);
        tokio::pin!(due);
        loop {
            tokio::select! {
                () = &mut due => break,
                Some(done) = lasting.next() => count(&mut counts, done?),
            }
        }
        lasting.push(happen(world, *planned));
    }
    while let Some(done) = lasting.next().await {
        count(&mut counts, done?);
    }
    Ok(counts)
}

fn count(counts: &mut Counts, happened: Option<&'static str>) {
    if let Some(kind) = happened {
        *counts.entry(kind).or_default() += 1;
    }
}

/// Answers the kind of what happened: nothing, when another fault had the victim.
async fn happen(world: &World, planned: Planned) -> anyhow::Result<Option<&'static str>> {
    let Planned { fault, lasts, .. } = planned;
    let happened = match fault {
        Fault::KillBroker(broker) => world.brokers[broker].kill(sleep(lasts)).await?,
        Fault::PauseBroker(broker) => world.brokers[broker].pause(lasts).await,
        Fault::KillAgent(agent) => world.agents[agent].kill(sleep(lasts)).await?,
        Fault::KillHost(agent) => {
            let commands_too = async {
                strays::kill_under(&world.state_of(agent));
                sleep(lasts).await;
            };
            world.agents[agent].kill(commands_too).await?
        }
        Fault::PauseAgent(agent) => world.agents[agent].pause(lasts).await,
        Fault::KillSupervisors(agent) => {
            let supervisors = strays::supervisors(&world.state_of(agent));
            supervisors.iter().for_each(|id| strays::kill_one(*id));
            !supervisors.is_empty()
        }
        Fault::CrashPostgres => crash_postgres(world, lasts).await?,
        Fault::AgentLink(agent, weather) => world.agent_links[agent].suffer(weather, lasts).await,
        Fault::DatabaseLink(broker, weather) => world.database_links[broker].suffer(weather, lasts).await,
        Fault::SubmitterLink(weather) => world.submitter_link.suffer(weather, lasts).await,
    };
    Ok(happened.then_some(fault.kind()))
}

async fn crash_postgres(world: &World, lasts: Duration) -> anyhow::Result<bool> {
    let Ok(cluster) = Arc::clone(&world.cluster).try_lock_owned() else {
        return Ok(false);
    };
    let cluster = tokio::task::spawn_blocking(move || cluster.crash().map(|()| cluster))
        .await?
        .context("could not crash PostgreSQL")?;
    sleep(lasts).await;
    tokio::task::spawn_blocking(move || cluster.start_again())
        .await?
        .context("could not start PostgreSQL again")?;
    Ok(true)
}
