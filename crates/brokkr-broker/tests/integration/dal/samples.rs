//! Things to put into a database.

use brokkr_broker::dal::Tx;
use brokkr_broker::dal::agents::{self, AgentStatus, NewAgent};
use brokkr_broker::dal::generators::{self, Generator};
use brokkr_core::ids::{AgentId, GeneratorId};
use brokkr_core::names::{AgentName, ClusterName, GeneratorName};
use brokkr_core::time::Timestamp;
use uuid::Uuid;

/// The time `seconds` after the tests' time began.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_001).plus_seconds(seconds)
}

pub(super) fn agent_id(number: u128) -> AgentId {
    AgentId::new(Uuid::from_u128(number))
}

pub(super) fn generator_id(number: u128) -> GeneratorId {
    GeneratorId::new(Uuid::from_u128(number))
}

/// An agent named after its number, in the cluster `here`.
pub(super) fn agent(number: u128) -> NewAgent {
    NewAgent {
        id: agent_id(number),
        name: AgentName::parse(format!("agent {number}")).unwrap(),
        cluster_name: ClusterName::parse("here").unwrap(),
        status: AgentStatus::Active,
    }
}

/// Creates the agents 1 to `count`.
pub(super) async fn create_agents(tx: &mut Tx, count: u128) {
    for number in 1..=count {
        agents::create(tx, &agent(number), at(0)).await.unwrap();
    }
}

/// Creates a generator named after its number.
pub(super) async fn create_generator(tx: &mut Tx, number: u128) -> Generator {
    let name = GeneratorName::parse(format!("generator {number}")).unwrap();
    generators::create(tx, generator_id(number), &name, None, at(0))
        .await
        .unwrap()
}
