//! How people name orders, agents and generators, and how those are found.

use std::collections::BTreeMap;
use std::ffi::OsString;

use brokkr_agent::clock::{Clock as _, SystemClock};
use brokkr_api::{Agent, Generator, ListAgents, Time, Webhook};
use brokkr_client::{Client, ClientError, Page};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::exit::usage;
use crate::output::Around;

/// Lets `brokkr describe order/ID` mean `brokkr describe order ID`, as kubectl has it and as `-o name` prints it.
pub(crate) fn kinds_split(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut split: Vec<OsString> = Vec::new();
    for word in words {
        let after_verb = split.len() == 2
            && split[1]
                .to_str()
                .is_some_and(|verb| matches!(verb, "get" | "describe" | "delete"));
        match word.to_str().and_then(|word| word.split_once('/')) {
            Some((kind @ ("order" | "agent" | "generator" | "pak" | "webhook"), name))
                if after_verb && !name.is_empty() =>
            {
                split.extend([kind.into(), name.into()]);
            }
            _ => split.push(word),
        }
    }
    split
}

/// An order's id, as it is or as `order/<id>`.
pub(crate) fn order_id(text: &str) -> Result<Uuid, String> {
    let id = text.strip_prefix("order/").unwrap_or(text);
    id.parse()
        .map_err(|_| "not the id of an order, such as 01980a0c-7e1f-7c3a-9d52-0242ac120002".to_owned())
}

/// The present time of this host.
pub(crate) fn now() -> Time {
    SystemClock.now().into()
}

/// The time, and the names of all agents as far as the PAK lets them be seen.
pub(crate) async fn around(client: &Client) -> Around {
    let agents = all_agents(client).await.unwrap_or_default();
    Around {
        now: now(),
        agents: agents.into_iter().map(|agent| (agent.id, agent.name)).collect(),
    }
}

/// What a table needs that names no agents.
pub(crate) fn around_nobody() -> Around {
    Around {
        now: now(),
        agents: BTreeMap::new(),
    }
}

/// Every agent that the PAK may see.
pub(crate) async fn all_agents(client: &Client) -> anyhow::Result<Vec<Agent>> {
    every(async |query| client.agents(&query).await).await
}

/// Every generator.
pub(crate) async fn all_generators(client: &Client) -> anyhow::Result<Vec<Generator>> {
    every(async |query| client.generators(&query).await).await
}

/// Every webhook.
pub(crate) async fn all_webhooks(client: &Client) -> anyhow::Result<Vec<Webhook>> {
    every(async |query| client.webhooks(&query).await).await
}

/// Everything that comes page by page.
async fn every<T: DeserializeOwned>(
    next: impl AsyncFn(ListAgents) -> Result<Page<T>, ClientError>,
) -> anyhow::Result<Vec<T>> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let query = ListAgents {
            cursor,
            ..ListAgents::default()
        };
        let page = next(query).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

/// The webhook that is meant by an id, `webhook/<id>` or a name.
pub(crate) async fn webhook(client: &Client, text: &str) -> anyhow::Result<Webhook> {
    if let Ok(id) = text.strip_prefix("webhook/").unwrap_or(text).parse::<Uuid>() {
        return Ok(client.webhook(id).await?);
    }
    let mut webhooks = all_webhooks(client).await?.into_iter();
    webhooks.find(|webhook| webhook.name == text).ok_or_else(|| {
        usage(format!(
            "there is no webhook {text}; brokkr get webhooks lists them"
        ))
    })
}

/// The agent that is meant by an id, `agent/<id>`, a name, or `name/cluster`.
pub(crate) async fn agent(client: &Client, text: &str) -> anyhow::Result<Agent> {
    if let Ok(id) = text.strip_prefix("agent/").unwrap_or(text).parse::<Uuid>() {
        return Ok(client.agent(id).await?);
    }
    let agents = all_agents(client).await?;
    pick(agents, text).map_err(usage)
}

fn pick(agents: Vec<Agent>, text: &str) -> Result<Agent, String> {
    let is_meant =
        |agent: &Agent| agent.name == text || format!("{}/{}", agent.name, agent.cluster_name) == text;
    let mut meant: Vec<Agent> = agents.into_iter().filter(is_meant).collect();
    match (meant.pop(), meant.as_slice()) {
        (Some(agent), []) => Ok(agent),
        (None, _) => Err(format!("there is no agent {text}; brokkr get agents lists them")),
        (Some(last), others) => {
            let mut names: Vec<String> = others
                .iter()
                .chain([&last])
                .map(|agent| format!("{}/{}", agent.name, agent.cluster_name))
                .collect();
            names.sort();
            Err(format!(
                "several agents are called {text}; say which one: {}",
                names.join(", ")
            ))
        }
    }
}

/// The generator that is meant by an id, `generator/<id>` or a name.
pub(crate) async fn generator(client: &Client, text: &str) -> anyhow::Result<Generator> {
    if let Ok(id) = text.strip_prefix("generator/").unwrap_or(text).parse::<Uuid>() {
        return Ok(client.generator(id).await?);
    }
    let generators = all_generators(client).await?;
    let meant = generators.into_iter().find(|generator| generator.name == text);
    meant.ok_or_else(|| {
        usage(format!(
            "there is no generator {text}; brokkr get generators lists them"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, cluster: &str) -> Agent {
        let at = Time::from_micros(0);
        Agent {
            id: Uuid::nil(),
            created_at: at,
            updated_at: at,
            deleted_at: None,
            name: name.to_owned(),
            cluster_name: cluster.to_owned(),
            last_heartbeat: None,
            status: Agent::ACTIVE.to_owned(),
            k8s_reachable: None,
            k8s_api_latency_ms: None,
            k8s_reported_at: None,
            state: None,
            report: None,
            reported_at: None,
        }
    }

    #[test]
    fn an_agent_is_meant_by_its_name_and_where_that_is_not_enough_by_its_cluster_too() {
        let agents = || {
            vec![
                agent("runner", "eu"),
                agent("runner", "us"),
                agent("builder", "eu"),
            ]
        };
        assert_eq!(pick(agents(), "builder").unwrap().cluster_name, "eu");
        assert_eq!(pick(agents(), "runner/us").unwrap().cluster_name, "us");
        assert!(
            pick(agents(), "runner")
                .unwrap_err()
                .contains("runner/eu, runner/us")
        );
        assert!(pick(agents(), "nobody").is_err());
    }

    #[test]
    fn orders_are_named_by_id_with_or_without_their_kind() {
        let id = "01980a0c-7e1f-7c3a-9d52-0242ac120002";
        assert_eq!(order_id(id), order_id(&format!("order/{id}")));
        assert!(order_id("hello").is_err());
    }
}
