//! Several brokers on one database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brokkr_api::{BatchCreate, ClaimRequest, CreateWorkOrder, EventsQuery, PakText, WorkOrder};
use brokkr_broker::dal::nudges::Channel;
use brokkr_broker::{Broker, BrokerConfig, Surroundings};
use brokkr_client::Client;
use brokkr_core::pak::Pak;
use brokkr_testkit::{Backend, TestAgent, TestBroker};
use futures_util::StreamExt as _;
use rstest::rstest;
use serde_json::Value;
use uuid::Uuid;

use super::call::{delete, post};

const MINUTE: i64 = 60;

async fn claim_waiting(client: &Client, agent: &TestAgent, max: i64) -> Vec<WorkOrder> {
    let request = ClaimRequest {
        wait_seconds: Some(MINUTE),
        max: Some(max),
        ..agent.claim_request()
    };
    let claimed = client.claim(agent.id, &request).await.unwrap();
    claimed.into_iter().map(|claim| claim.work_order).collect()
}

/// What is to come comes; a test that waits in vain is ended by its caller.
async fn until(what: &str, mut come: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !come().await {
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(50), waiting).await;
    came.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

async fn parked(broker: &TestBroker, claims: usize) {
    until("claims that wait", async || {
        broker.app().parked_claims() == claims
    })
    .await;
}

/// Brokers on one PostgreSQL that hear each other and never look for work by themselves.
async fn replicas<const N: usize>() -> [TestBroker; N] {
    let first = TestBroker::start(Backend::Postgres).await;
    let mut all = Vec::with_capacity(N);
    for _ in 1..N {
        all.push(first.replica().await);
    }
    all.insert(0, first);
    for broker in &all {
        broker.listen().await;
    }
    all.try_into().unwrap()
}

/// Lets an agent wait at `broker` while `then` happens, and answers what it got.
async fn waiting_while(
    broker: &TestBroker,
    agent: &TestAgent,
    then: impl Future<Output = ()>,
) -> Vec<WorkOrder> {
    let client = broker.client(&agent.pak);
    let act = async {
        parked(broker, 1).await;
        then.await;
    };
    tokio::join!(claim_waiting(&client, agent, 1), act).0
}

async fn create_many(broker: &TestBroker, work_orders: Vec<CreateWorkOrder>) {
    let batch = BatchCreate { work_orders };
    let answer = broker.admin().create_work_orders(&batch, None).await.unwrap();
    assert!(answer.items.iter().all(|item| item.status == 201));
}

/// Ends the connections on which the brokers hear each other, as a database does that goes away for a moment.
async fn interrupt(broker: &TestBroker) {
    let connection = sqlx::PgPool::connect(broker.db().url()).await.unwrap();
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid)
           FROM pg_stat_activity
          WHERE datname = current_database()
            AND application_name = 'brokkr nudges'",
    );
    let ended = ended.fetch_all(&connection).await.unwrap();
    assert!(!ended.is_empty());
    connection.close().await;
}

#[tokio::test]
async fn work_that_one_replica_accepts_wakes_a_claim_that_waits_at_another() {
    let [here, there] = replicas().await;
    let agent = here.agent().await;
    for _ in 0..3 {
        let claimed = waiting_while(&here, &agent, async {
            there.work_order().for_agent(&agent).create().await;
        })
        .await;
        assert_eq!(claimed.len(), 1);
    }
}

#[tokio::test]
async fn as_many_claims_are_woken_elsewhere_as_there_are_orders() {
    let [here, there] = replicas().await;
    let (one, other) = (here.agent().await, here.agent().await);
    for agent in [&one, &other] {
        here.admin().add_agent_label(agent.id, "gpu").await.unwrap();
    }
    let order = there.work_order().label("gpu").request();
    let act = async {
        parked(&here, 2).await;
        create_many(&there, vec![order.clone(), order]).await;
    };
    let (first, second, ()) = tokio::join!(
        claim_waiting(&one.client, &one, 1),
        claim_waiting(&other.client, &other, 1),
        act
    );
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].id, second[0].id);
}

#[tokio::test]
async fn a_label_that_an_agent_gets_at_one_replica_counts_for_its_claim_at_another() {
    let [here, there] = replicas().await;
    let agent = here.agent().await;
    let order = there.work_order().label("gpu").create().await;
    let claimed = waiting_while(&here, &agent, async {
        there.admin().add_agent_label(agent.id, "gpu").await.unwrap();
    })
    .await;
    assert_eq!(claimed[0].id, order.id);
}

#[tokio::test]
async fn work_that_came_while_a_replica_was_deaf_is_found_when_it_hears_again() {
    let here = TestBroker::start(Backend::Postgres).await;
    let mute = here.replica().await;
    here.listen().await;
    let agent = here.agent().await;
    let claimed = waiting_while(&here, &agent, async {
        mute.work_order().for_agent(&agent).create().await;
        interrupt(&here).await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn replicas_wake_each_other_again_after_an_interruption() {
    let [here, there] = replicas().await;
    let agent = here.agent().await;
    interrupt(&here).await;
    let claimed = waiting_while(&here, &agent, async {
        there.work_order().for_agent(&agent).create().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
}

/// What is told of work next.
async fn told(channel: &mut Channel) -> Vec<Value> {
    loop {
        let told: Value = serde_json::from_str(&channel.hear().await.unwrap()).unwrap();
        if let Some(work) = told["work"].as_array() {
            return work.clone();
        }
    }
}

#[tokio::test]
async fn a_thousand_orders_are_told_in_one_nudge() {
    let [here, _there] = replicas().await;
    let mut channel = Channel::open(here.db()).await.unwrap().unwrap();
    create_many(&here, vec![here.work_order().label("gpu").request(); 1_000]).await;
    let work = told(&mut channel).await;
    assert_eq!(work.len(), 1);
    assert_eq!(
        (&work[0][0][0], &work[0][2]),
        (&"label:gpu".into(), &1_000.into())
    );
    channel.close().await;
}

#[tokio::test]
async fn whoever_listens_at_one_replica_hears_at_once_what_happens_at_another() {
    const CHANGES: u32 = 20;
    let [here, there] = replicas().await;
    let mut told = here.admin().follow_events(&EventsQuery::default()).await.unwrap();
    told.next().await.unwrap().unwrap();
    let began = Instant::now();
    for _ in 0..CHANGES {
        there.work_order().label("gpu").create().await;
        told.next().await.unwrap().unwrap();
    }
    // Whoever only looks does so once a second, and each change came right after a look.
    assert!(
        began.elapsed() < Duration::from_secs(1) * CHANGES / 2,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn nudges_about_events_are_few_however_many_there_are() {
    let [here, _there] = replicas().await;
    let mut channel = Channel::open(here.db()).await.unwrap().unwrap();
    let began = Instant::now();
    for _ in 0..300 {
        here.work_order().label("gpu").create().await;
    }
    let bound = began.elapsed().as_millis() / 25 + 2;
    here.app().stopping().cancel();
    let mut nudges = 0;
    loop {
        let told: Value = serde_json::from_str(&channel.hear().await.unwrap()).unwrap();
        nudges += u128::from(told["events"] == true);
        if told["bye"] == true {
            break;
        }
    }
    assert!(nudges > 0 && nudges <= bound, "{nudges} of {bound}");
    channel.close().await;
}

#[tokio::test]
async fn a_broker_that_is_alone_tells_nothing_until_another_one_comes() {
    let here = TestBroker::start(Backend::Postgres).await;
    let there = here.replica().await;
    there.listen().await;
    let agent = here.agent().await;
    drop(there);
    here.listen().await;
    let after = here.replica().await;
    let claimed = waiting_while(&here, &agent, async {
        after.listen().await;
        after.work_order().for_agent(&agent).create().await;
    })
    .await;
    assert_eq!(claimed.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_claim_whose_caller_hung_up_waits_no_longer_and_takes_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let (client, waiting) = (agent.client.clone(), agent.clone());
    let hung_up = tokio::spawn(async move { claim_waiting(&client, &waiting, 1).await });
    parked(&broker, 1).await;
    hung_up.abort();
    parked(&broker, 0).await;
    let order = broker.work_order().for_agent(&agent).create().await;
    assert_eq!(agent.claim_next(1).await.unwrap()[0].work_order.id, order.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_and_many_agents_never_share_an_order() {
    const ORDERS: usize = 120;
    let brokers: [TestBroker; 3] = replicas().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let mut agents = Vec::new();
    for number in 0..12_usize {
        let broker = &brokers[number % brokers.len()];
        let agent = broker.agent().await;
        broker.admin().add_agent_label(agent.id, "any").await.unwrap();
        let taken = Arc::clone(&taken);
        agents.push(tokio::spawn(async move {
            let mut own: Vec<Uuid> = Vec::new();
            while taken.load(Ordering::SeqCst) < ORDERS {
                for order in claim_waiting(&agent.client, &agent, 3).await {
                    taken.fetch_add(1, Ordering::SeqCst);
                    own.push(order.id);
                    agent.succeed(&order).await.unwrap();
                }
            }
            own
        }));
    }
    for number in 0..ORDERS {
        brokers[number % brokers.len()]
            .work_order()
            .label("any")
            .create()
            .await;
    }
    until("all orders", async || taken.load(Ordering::SeqCst) >= ORDERS).await;
    for broker in &brokers {
        broker.app().stopping().cancel();
    }
    let mut all = Vec::new();
    for agent in agents {
        all.extend(agent.await.unwrap());
    }
    assert_eq!(all.len(), ORDERS);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), ORDERS);
}

async fn lookups(broker: &TestBroker, pak: &PakText, times: usize) -> u64 {
    let pak = Pak::parse(pak.expose()).unwrap();
    let before = broker.db().statements_sent();
    for _ in 0..times {
        broker.app().authenticate(&pak).await.unwrap();
    }
    broker.db().statements_sent() - before
}

#[tokio::test]
async fn a_key_is_looked_up_once_by_a_broker_that_hears_which_ones_are_revoked() {
    let alone = TestBroker::start(Backend::Sqlite).await;
    let viewer = alone.viewer().await;
    assert_eq!(lookups(&alone, &viewer.pak, 5).await, 1);

    let broker = TestBroker::start(Backend::Postgres).await;
    let viewer = broker.viewer().await;
    assert_eq!(lookups(&broker, &viewer.pak, 5).await, 5);
    broker.listen().await;
    assert_eq!(lookups(&broker, &viewer.pak, 5).await, 1);
}

#[tokio::test]
async fn a_broker_that_becomes_deaf_forgets_all_keys() {
    let broker = TestBroker::start(Backend::Postgres).await;
    broker.listen().await;
    let viewer = broker.viewer().await;
    assert_eq!(lookups(&broker, &viewer.pak, 2).await, 1);
    let mut hears = broker.app().hears_others();
    hears.mark_unchanged();
    interrupt(&broker).await;
    hears.changed().await.unwrap();
    hears.wait_for(|hears| *hears).await.unwrap();
    assert_eq!(lookups(&broker, &viewer.pak, 2).await, 1);
}

/// Every way in which a key dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    Revoked,
    AgentRotated,
    AgentDeleted,
    GeneratorRotated,
    GeneratorDeleted,
}

impl Death {
    /// A new key at `broker`, and what kills it.
    async fn prepare(self, broker: &TestBroker) -> (PakText, String) {
        match self {
            Self::Revoked => {
                let pak = broker.viewer().await.pak;
                let short = Pak::parse(pak.expose()).unwrap().short().to_string();
                (pak, format!("/api/v1/paks/{short}"))
            }
            Self::AgentRotated | Self::AgentDeleted => {
                let agent = broker.agent().await;
                (agent.pak, format!("/api/v1/agents/{}", agent.id))
            }
            Self::GeneratorRotated | Self::GeneratorDeleted => {
                let generator = broker.generator().await;
                (generator.pak, format!("/api/v1/generators/{}", generator.id))
            }
        }
    }

    async fn kill(self, broker: &TestBroker, path: &str) {
        let admin = broker.admin_pak();
        let status = match self {
            Self::AgentRotated | Self::GeneratorRotated => {
                let path = format!("{path}/rotate-pak");
                post(broker, admin, &path, serde_json::json!({})).await.status
            }
            Self::Revoked | Self::AgentDeleted | Self::GeneratorDeleted => {
                delete(broker, admin, path).await.status
            }
        };
        assert!((200..300).contains(&status), "{self:?}: {status}");
    }
}

async fn accepted(broker: &TestBroker, pak: &PakText) -> bool {
    let pak = Pak::parse(pak.expose()).unwrap();
    broker.app().authenticate(&pak).await.is_ok()
}

#[rstest]
#[tokio::test]
async fn a_key_that_dies_at_one_replica_is_refused_by_the_others(
    #[values(
        Death::Revoked,
        Death::AgentRotated,
        Death::AgentDeleted,
        Death::GeneratorRotated,
        Death::GeneratorDeleted
    )]
    death: Death,
) {
    let [here, there] = replicas().await;
    let (pak, path) = death.prepare(&here).await;
    assert!(accepted(&here, &pak).await && accepted(&there, &pak).await);
    death.kill(&there, &path).await;
    assert!(!accepted(&there, &pak).await);
    until("the key to be dead", async || !accepted(&here, &pak).await).await;
}

#[rstest]
#[tokio::test]
async fn a_key_that_was_accepted_a_moment_ago_is_refused_once_it_is_dead(
    #[values(
        Death::Revoked,
        Death::AgentRotated,
        Death::AgentDeleted,
        Death::GeneratorRotated,
        Death::GeneratorDeleted
    )]
    death: Death,
) {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let (pak, path) = death.prepare(&broker).await;
    assert!(accepted(&broker, &pak).await);
    death.kill(&broker, &path).await;
    assert!(!accepted(&broker, &pak).await);
}

#[tokio::test]
async fn a_broker_as_the_binary_starts_it_hears_the_others() {
    let test = TestBroker::start(Backend::Postgres).await;
    test.listen().await;
    let mut config = BrokerConfig::default();
    config.http.listen.set_port(0);
    config.database.url = test.db().url().to_owned();
    config.database.connections_max = 2;
    config.database.read_connections_max = 2;
    let broker = Broker::start(config, Surroundings::default()).await.unwrap();
    let mut hears = broker.app().hears_others();
    hears.wait_for(|hears| *hears).await.unwrap();

    let viewer = test.viewer().await;
    let pak = Pak::parse(viewer.pak.expose()).unwrap();
    broker.app().authenticate(&pak).await.unwrap();
    Death::Revoked
        .kill(&test, &format!("/api/v1/paks/{}", pak.short()))
        .await;
    until("the key to be dead", async || {
        broker.app().authenticate(&pak).await.is_err()
    })
    .await;
    broker.stop().await;
    assert!(!*hears.borrow_and_update());
}
