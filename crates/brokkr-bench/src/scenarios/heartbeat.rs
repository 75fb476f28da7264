//! What it costs to keep what is held, while others wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::crew::Crew;
use crate::fleet::{self, Agent, Held, Seat};
use crate::orders::{self, Backlog};
use crate::recorder::{Budget, Measure, Recorder};
use crate::run::Bench;
use crate::target::Target;
use crate::{BenchError, Outcome};

pub(super) async fn run(bench: &Bench<'_>) -> Result<Vec<Outcome>, BenchError> {
    let claims = bench.options.batch();
    let agents = bench.options.agents(72, 3);
    let calls = bench.options.orders(2_000, 20);
    let mut rows = Vec::new();
    for backlog in bench.options.backlogs(&[0, 100_000], &[10]) {
        let target = bench.target().await?;
        let fleet = fleet::agents(&target, agents, bench.progress).await?;
        orders::fill(
            &target,
            Backlog::SameLabel,
            backlog + u64::from(claims),
            bench.progress,
        )
        .await?;

        bench.step(&format!(
            "{calls} renewals of {claims} claims, {backlog} orders wait"
        ));
        let renewals = renewals(&target, &fleet[0], claims, calls).await?;
        let variant = format!("renewals of {claims} claims by one agent, {backlog} waiting");
        rows.push(bench.named(renewals, &variant, "renewals", None));

        bench.step(&format!(
            "{calls} heartbeats of {agents} agents, {backlog} orders wait"
        ));
        let heartbeats = heartbeats(&target, &fleet, calls).await?;
        let variant = format!("heartbeats of {agents} agents, {backlog} waiting");
        rows.push(bench.named(heartbeats, &variant, "heartbeats", None));
        target.stop().await?;
    }
    Ok(rows)
}

async fn renewals(
    target: &Target<'_>,
    agent: &Agent,
    claims: u32,
    calls: u64,
) -> Result<Outcome, BenchError> {
    let mut seat = Seat::new(target, 0, agent);
    let held = seat.claim(claims, Duration::ZERO).await;
    let held = held.map_err(|error| BenchError::Wire("claim what is renewed", error))?;
    let measure = Measure::begin(target).await?;
    let recorder = measure.recorder();
    for _ in 0..calls {
        renew(&mut seat, &held, &recorder).await;
    }
    let mut outcome = measure.end(target).await?;
    outcome.expect("claims held", u64::from(claims), held.len() as u64);
    Ok(outcome)
}

async fn renew(seat: &mut Seat, held: &[Held], recorder: &Recorder) {
    let begun = Instant::now();
    match seat.renew(held).await {
        Ok(renewed) if renewed == held.len() as u64 => recorder.done(1),
        Ok(renewed) => recorder.error(&format!("only {renewed} claims were renewed")),
        Err(error) => recorder.error(&error),
    }
    recorder.timed(begun);
}

async fn heartbeats(target: &Target<'_>, fleet: &[Agent], calls: u64) -> Result<Outcome, BenchError> {
    let budget = Budget::new(calls);
    let measure = Measure::begin(target).await?;
    let mut crew = Crew::new();
    for (number, agent) in fleet.iter().enumerate() {
        let mut seat = Seat::new(target, number, agent);
        let (budget, recorder) = (Arc::clone(&budget), measure.recorder());
        crew.add(async move {
            while budget.take().is_some() {
                let begun = Instant::now();
                match seat.heartbeat().await {
                    Ok(()) => recorder.done(1),
                    Err(error) => recorder.error(&error),
                }
                recorder.timed(begun);
            }
        });
    }
    crew.finish().await?;
    let mut outcome = measure.end(target).await?;
    outcome.expect("heartbeats", calls, outcome.operations);
    Ok(outcome)
}
