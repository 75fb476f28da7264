//! One simulation from its beginning to its end.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokkr_api::{Agent, CreateAgent, PakText, UpdateAgent, WorkOrderLog};
use brokkr_client::Client;
use sqlx::SqliteConnection;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use crate::broker::{Broker, Database};
use crate::clock::SimulatedClock;
use crate::dice::Dice;
use crate::evidence::{self, Evidence};
use crate::network::Network;
use crate::plan::{Fault, HEALED_AT, LABEL, Plan, RestorationPlan};
use crate::record::Record;
use crate::restoration::{Operator, Restoration, back_up};
use crate::seat::{Seat, Surroundings, Terms, client};
use crate::users::Users;

/// Longer than any order takes to end once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long late reports may take.
const AFTERMATH: Duration = Duration::from_secs(15);
/// How long a broker is down that died at a statement.
const MINED_DOWN: Duration = Duration::from_millis(700);
/// How long a broker has that is told to stop.
const STOPPING: Duration = Duration::from_millis(500);
/// How long a backup may wait for a broker's transactions.
const PATIENCE_OF_OPERATOR: Duration = Duration::from_secs(3);

/// Everything that is simulated.
struct World {
    began: Instant,
    record: Record,
    network: Arc<Network>,
    broker: Mutex<Broker>,
    seats: Vec<Seat>,
    inspector: Client,
    users: Arc<Users>,
    seen: Mutex<Vec<WorkOrderLog>>,
    operator: Operator,
    restoration: Mutex<Option<Restoration>>,
}

/// Simulates a plan.
///
/// # Errors
/// When the simulation itself does not work.
pub(crate) async fn simulate(
    plan: Plan,
    seed: &Dice,
    (database, empty): (Database, Option<SqliteConnection>),
    directory: &Path,
) -> anyhow::Result<(Record, Evidence)> {
    let clock = SimulatedClock::begin();
    let record = Record::new(clock);
    let network = Network::new(record.clone(), seed.of("network"));
    let mut broker = Broker::new(database, clock, record.clone(), Arc::clone(&network), seed);
    broker.start();
    let admin = PakText::new(broker.admin_pak().await?);
    let inspector = client(network.direct_wire(), &admin)?;
    let surroundings = Surroundings {
        clock,
        record: record.clone(),
        network: Arc::clone(&network),
        seed: seed.clone(),
        directory: directory.to_owned(),
    };
    let (mut seats, mut agents) = (Vec::new(), Vec::new());
    for (number, terms) in plan.seats.iter().enumerate() {
        let (seat, agent) = take_seat(&inspector, number + 1, terms, &surroundings).await?;
        seats.push(seat);
        agents.push(agent);
    }
    let operator = Operator {
        clock,
        record: record.clone(),
        seed: seed.clone(),
        admin: admin.clone(),
        empty: Mutex::new(empty),
    };
    let users = Users::new(client(network.wire("users"), &admin)?, record.clone(), seed);
    let world = Arc::new(World {
        began: Instant::now(),
        record: record.clone(),
        network,
        broker: Mutex::new(broker),
        seats,
        inspector,
        users,
        seen: Mutex::default(),
        operator,
        restoration: Mutex::default(),
    });
    world.begin(&plan, &agents)?;
    sleep_until(world.began + HEALED_AT).await;
    world.heal()?;
    let evidence = world.end().await?;
    Ok((record, evidence))
}

async fn take_seat(
    admin: &Client,
    number: usize,
    terms: &Terms,
    surroundings: &Surroundings,
) -> anyhow::Result<(Seat, Uuid)> {
    let name = format!("host-{number}");
    let request = CreateAgent {
        name: name.clone(),
        cluster_name: "simulated".to_owned(),
        generator_ids: None,
    };
    let created = admin.create_agent(&request).await?;
    let update = UpdateAgent {
        status: Some(Agent::ACTIVE.to_owned()),
        ..UpdateAgent::default()
    };
    admin.update_agent(created.agent.id, &update).await?;
    admin.add_agent_label(created.agent.id, LABEL).await?;
    let seat = Seat::new(&name, created.initial_pak, terms.clone(), surroundings.clone());
    Ok((seat, created.agent.id))
}

impl World {
    /// Lets everything begin that the plan has.
    fn begin(self: &Arc<Self>, plan: &Plan, agents: &[Uuid]) -> anyhow::Result<()> {
        self.network.set_noise(plan.noise);
        for seat in &self.seats {
            seat.start()?;
        }
        for (number, order) in plan.orders.iter().enumerate() {
            let (world, key) = (Arc::clone(self), order.key.clone());
            let (at, request) = (order.at, order.request(agents));
            tokio::spawn(async move {
                sleep_until(world.began + at).await;
                world.users.submit(number, &key, &request).await;
            });
        }
        for (at, act) in plan.acts.clone() {
            let world = Arc::clone(self);
            tokio::spawn(async move {
                sleep_until(world.began + at).await;
                world.users.act(act).await;
            });
        }
        for (at, fault) in plan.faults.clone() {
            let world = Arc::clone(self);
            tokio::spawn(async move {
                sleep_until(world.began + at).await;
                if let Err(error) = world.suffer(fault).await {
                    world.record.note(format!("a fault failed: {error:#}"));
                }
            });
        }
        if let Some(plan) = plan.restoration {
            let world = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = world.restore(plan).await {
                    world.record.note(format!("the restoration failed: {error:#}"));
                }
            });
        }
        tokio::spawn(Arc::clone(self).restart_after_mines());
        tokio::spawn(Arc::clone(self).look_at_the_log());
        Ok(())
    }

    /// Brings one fault about, and ends it.
    async fn suffer(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Cut { seat, duration } => self.network.cut(&self.seats[seat].host_name(), duration),
            Fault::CutUsers { duration } => self.network.cut("users", duration),
            Fault::BrokerDies { down } => {
                self.broker().die();
                sleep(down).await;
                self.broker().start();
            }
            Fault::BrokerStops { down } => {
                self.broker().tell_to_stop();
                sleep(STOPPING).await;
                self.broker().die();
                sleep(down).await;
                self.broker().start();
            }
            Fault::BrokerDiesAt { mine } => self.broker().pace.lay(mine),
            Fault::AgentDies { seat, down } => {
                self.seats[seat].kill();
                sleep(down).await;
                self.seats[seat].start()?;
            }
            Fault::AgentStops { seat, down } => {
                self.seats[seat].drain(down).await;
                self.seats[seat].start()?;
            }
            Fault::HostLost { seat, down } => {
                self.seats[seat].lose_host();
                sleep(down).await;
                self.seats[seat].start()?;
            }
            Fault::Twin { seat, duration } => {
                self.seats[seat].start_twin()?;
                sleep(duration).await;
                self.seats[seat].end_twin();
                self.seats[seat].start()?;
            }
            Fault::ClockStep { seat, millis } => self.seats[seat].step_clock(millis),
        }
        Ok(())
    }

    /// Backs the database up, and later puts that backup in its place.
    async fn restore(&self, plan: RestorationPlan) -> anyhow::Result<()> {
        sleep_until(self.began + plan.backup_at).await;
        let backup = self.back_up().await;
        let taken_at = self.began.elapsed();
        self.record.note("operator  backs the database up");
        sleep_until(self.began + plan.begins_at).await;
        let database = loop {
            self.broker().tell_to_stop();
            sleep(STOPPING).await;
            let mut broker = self.broker();
            broker.die();
            if let Some(database) = broker.take_database() {
                break database;
            }
        };
        sleep(plan.wait).await;
        let (database, restoration) = self.operator.restore(database, &backup).await?;
        self.record.note(format!(
            "operator  restores the backup of {:.3}",
            taken_at.as_secs_f64()
        ));
        self.restoration()
            .replace(restoration.with_seen(&mut self.seen()));
        let mut broker = self.broker();
        broker.give_back(database);
        broker.start();
        Ok(())
    }

    async fn back_up(&self) -> Vec<u8> {
        loop {
            let stage = self.broker().stage();
            if let Some(stage) = stage
                && let Ok(Ok(backup)) = timeout(PATIENCE_OF_OPERATOR, back_up(&stage)).await
            {
                return backup;
            }
            sleep(STOPPING).await;
        }
    }

    async fn restart_after_mines(self: Arc<Self>) {
        let pace = Arc::clone(&self.broker().pace);
        loop {
            pace.died.notified().await;
            self.broker().die();
            sleep(MINED_DOWN).await;
            self.broker().start();
        }
    }

    /// Remembers log entries, which never change.
    async fn look_at_the_log(self: Arc<Self>) {
        for _ in 0..4 {
            sleep(HEALED_AT / 4).await;
            if let Ok(entries) = evidence::log(&self.inspector).await {
                self.seen().extend(entries);
            }
        }
    }

    fn heal(&self) -> anyhow::Result<()> {
        self.record.note("everything is healed");
        self.network.heal();
        self.broker().pace.clear();
        self.broker().start();
        for seat in &self.seats {
            seat.end_twin();
            seat.start()?;
        }
        Ok(())
    }

    /// Starts agents again that have ended by themselves, as systemd and Kubernetes do: one that was cut off hears only now that a newer
    /// process, which is gone meanwhile, had taken over.
    fn supervise(&self) -> anyhow::Result<()> {
        self.seats.iter().try_for_each(Seat::start)
    }

    /// Waits until the queue is empty, and looks at everything.
    async fn end(&self) -> anyhow::Result<Evidence> {
        let limit = Instant::now() + PATIENCE;
        while Instant::now() < limit {
            sleep(Duration::from_secs(2)).await;
            self.supervise()?;
            if evidence::queue(&self.inspector).await?.is_empty() {
                sleep(AFTERMATH).await;
                if evidence::queue(&self.inspector).await?.is_empty() {
                    break;
                }
            }
        }
        self.record.note("the simulation ends");
        let seen = std::mem::take(&mut *self.seen());
        let mut evidence = Evidence::collect(&self.inspector, seen).await?;
        evidence.restoration = self.restoration().take().map(Box::new);
        Ok(evidence)
    }

    fn broker(&self) -> MutexGuard<'_, Broker> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restoration(&self) -> MutexGuard<'_, Option<Restoration>> {
        self.restoration.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Vec<WorkOrderLog>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
