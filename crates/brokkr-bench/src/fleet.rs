//! The agents of a scenario, and the calls that they make.

use std::time::Duration;

use brokkr_client::api::{CreateAgent, UpdateAgent, paths};
use brokkr_client::{Client, ClientError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::BenchError;
use crate::orders::LABEL;
use crate::run::Progress;
use crate::target::Target;
use crate::wire::{Connection, WireError};

/// How many agents are made at the same time.
const MAKERS: usize = 32;
/// Long enough that nothing is lost while it is measured, as nothing is renewed.
const LEASE_SECONDS: u64 = 3_600;

/// An agent that is active and has the label of those that work.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    id: Uuid,
    pak: String,
}

/// An order that an agent holds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Held {
    pub(crate) id: Uuid,
    pub(crate) attempt: i64,
}

/// How a call to complete an order was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completed {
    Ended,
    WillBeRetried,
}

/// Makes `count` agents.
pub(crate) async fn agents(
    target: &Target<'_>,
    count: u32,
    progress: &Progress<'_>,
) -> Result<Vec<Agent>, BenchError> {
    let client = target.admin_client()?;
    stream::iter(0..count)
        .map(|number| {
            let client = &client;
            async move {
                let agent = make(client, number).await;
                progress.counted("agents", u64::from(number) + 1, u64::from(count));
                agent.map_err(|error| BenchError::Broker("make an agent", error))
            }
        })
        .buffered(MAKERS)
        .try_collect()
        .await
}

async fn make(client: &Client, number: u32) -> Result<Agent, ClientError> {
    let created = client
        .create_agent(&CreateAgent {
            name: format!("agent-{number}"),
            cluster_name: "bench".to_owned(),
            generator_ids: None,
        })
        .await?;
    let id = created.agent.id;
    let update = UpdateAgent {
        name: None,
        cluster_name: None,
        status: Some("ACTIVE".to_owned()),
    };
    client.update_agent(id, &update).await?;
    client.add_agent_label(id, LABEL).await?;
    Ok(Agent {
        id,
        pak: created.initial_pak.expose().to_owned(),
    })
}

/// An agent's connection, with the paths and bodies of its calls written once.
pub(crate) struct Seat {
    connection: Connection,
    id: Uuid,
    claims: String,
    endings: String,
    renewals: String,
    pending: String,
    heartbeat: String,
    instance: String,
}

impl Seat {
    /// Puts an agent at broker `number`.
    pub(crate) fn new(target: &Target<'_>, number: usize, agent: &Agent) -> Seat {
        let path = |template| paths::with_id(template, agent.id);
        Seat {
            connection: Connection::new(target.address(number), &agent.pak),
            id: agent.id,
            claims: path(paths::AGENT_CLAIMS),
            endings: path(paths::AGENT_ENDINGS),
            renewals: path(paths::AGENT_RENEWALS),
            pending: path(paths::AGENT_PENDING),
            heartbeat: path(paths::AGENT_HEARTBEAT),
            instance: agent.id.to_string(),
        }
    }

    /// Claims up to `max` orders, and waits for some for up to `wait`.
    pub(crate) async fn claim(&mut self, max: u32, wait: Duration) -> Result<Vec<Held>, WireError> {
        let body = format!(
            r#"{{"max":{max},"lease_seconds":{LEASE_SECONDS},"wait_seconds":{},"instance_id":"{}"}}"#,
            wait.as_secs(),
            self.instance
        );
        self.connection
            .post(&self.claims, body.as_bytes())
            .await?
            .ok()?
            .json()
    }

    /// Ends orders with success, and answers how many ended.
    pub(crate) async fn end(&mut self, held: &[Held]) -> Result<u64, WireError> {
        let mut body = String::from(r#"{"endings":["#);
        for (number, Held { id, attempt }) in held.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            body += &format!(r#"{comma}{{"id":"{id}","attempt":{attempt},"success":true,"message":"done"}}"#);
        }
        body += "]}";
        let items: Items = self
            .connection
            .post(&self.endings, body.as_bytes())
            .await?
            .ok()?
            .json()?;
        Ok(items.with_status(200))
    }

    /// The ids of the oldest orders that the agent could claim, in their order, and the length of the whole answer in bytes.
    pub(crate) async fn pending(&mut self, ids_max: usize) -> Result<(Vec<Uuid>, usize), WireError> {
        let answer = self.connection.get(&self.pending).await?.ok()?;
        let items = answer
            .body
            .strip_prefix(b"[")
            .ok_or(WireError::Malformed("it is no list"))?;
        Ok((first_ids(items, ids_max)?, answer.body.len()))
    }

    /// Claims one known order; none when another agent has it.
    pub(crate) async fn claim_known(&mut self, id: Uuid) -> Result<Option<Held>, WireError> {
        let body = format!(r#"{{"agent_id":"{}"}}"#, self.id);
        let path = paths::with_id(paths::WORK_ORDER_CLAIM, id);
        let answer = self.connection.post(&path, body.as_bytes()).await?;
        match answer.status {
            404 => Ok(None),
            _ => Ok(Some(answer.ok()?.json()?)),
        }
    }

    /// Completes an order as the contract has it, without naming the attempt.
    pub(crate) async fn complete(&mut self, id: Uuid, success: bool) -> Result<Completed, WireError> {
        let body = format!(r#"{{"success":{success},"message":"done"}}"#);
        let path = paths::with_id(paths::WORK_ORDER_COMPLETE, id);
        let answer = self.connection.post(&path, body.as_bytes()).await?.ok()?;
        match answer.status {
            202 => Ok(Completed::WillBeRetried),
            _ => Ok(Completed::Ended),
        }
    }

    /// Renews what is held, and answers how many leases became longer.
    pub(crate) async fn renew(&mut self, held: &[Held]) -> Result<u64, WireError> {
        let claims: Vec<_> = held
            .iter()
            .map(|held| json!({"id": held.id, "attempt": held.attempt}))
            .collect();
        let body = json!({"instance_id": self.instance, "lease_seconds": LEASE_SECONDS, "claims": claims})
            .to_string();
        let renewed: Renewed = self
            .connection
            .post(&self.renewals, body.as_bytes())
            .await?
            .ok()?
            .json()?;
        Ok(renewed.renewed.len() as u64)
    }

    /// Gives a sign of life.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), WireError> {
        self.connection.post(&self.heartbeat, b"{}").await?.ok()?;
        Ok(())
    }
}

/// Reads no more of a list than the orders that are wanted.
fn first_ids(items: &[u8], ids_max: usize) -> Result<Vec<Uuid>, WireError> {
    #[derive(Deserialize)]
    struct Identified {
        id: Uuid,
    }
    let mut ids = Vec::new();
    let mut rest = items;
    while ids.len() < ids_max && rest.first().is_some_and(|byte| *byte != b']') {
        let mut orders = serde_json::Deserializer::from_slice(rest).into_iter::<Identified>();
        let Some(order) = orders.next() else { break };
        ids.push(order?.id);
        let read = orders.byte_offset();
        rest = &rest[read..];
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
    Ok(ids)
}

/// The answer to a batch, as far as it is counted.
#[derive(Debug, Deserialize)]
pub(crate) struct Items {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    status: u16,
}

impl Items {
    pub(crate) fn with_status(&self, status: u16) -> u64 {
        self.items.iter().filter(|item| item.status == status).count() as u64
    }
}

#[derive(Deserialize)]
struct Renewed {
    renewed: Vec<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_ids_of_a_list_are_read() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let items = format!(r#"{{"id":"{one}","x":[1]}},{{"id":"{two}"}},nonsense]"#);
        let ids = first_ids(items.as_bytes(), 2).expect("the first two can be read");
        assert_eq!(ids, [one, two]);
        assert!(first_ids(b"]", 2).expect("it is empty").is_empty());
    }
}
