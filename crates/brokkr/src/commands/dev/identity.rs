//! The agent of a `brokkr dev`, the same at each start.

use anyhow::Context as _;
use brokkr_api::{Agent, CreateAgent, PakText, UpdateAgent};
use brokkr_client::{Client, ClientError};
use uuid::Uuid;

use super::place::Place;
use crate::commands::label;
use crate::connection::{Endpoint, read_pak};

pub(super) const NAME: &str = "dev";
pub(super) const CLUSTER: &str = "local";
pub(super) const LABEL: &str = "local";

/// The agent's id. Afterwards it is active, has its label, and its PAK is in its file.
pub(super) async fn prepare(client: &Client, place: &Place) -> anyhow::Result<Uuid> {
    let agent = match client.agent_by_name(NAME, CLUSTER).await {
        Ok(agent) => {
            renew_pak(client, place, agent.id).await?;
            agent
        }
        Err(error) if error.code() == Some("agent_not_found") => create(client, place).await?,
        Err(error) => return Err(error).context("could not look for the agent"),
    };
    label::add(client, agent.id, LABEL).await?;
    if agent.status != Agent::ACTIVE {
        let activate = UpdateAgent {
            status: Some(Agent::ACTIVE.to_owned()),
            ..UpdateAgent::default()
        };
        client
            .update_agent(agent.id, &activate)
            .await
            .context("could not activate the agent")?;
    }
    Ok(agent.id)
}

async fn create(client: &Client, place: &Place) -> anyhow::Result<Agent> {
    let request = CreateAgent {
        name: NAME.to_owned(),
        cluster_name: CLUSTER.to_owned(),
        generator_ids: None,
    };
    let created = client
        .create_agent(&request)
        .await
        .context("could not create the agent")?;
    place.keep(&place.agent_pak_file(), created.initial_pak.expose())?;
    Ok(created.agent)
}

/// Leaves a PAK that works alone; one that was lost is replaced.
async fn renew_pak(client: &Client, place: &Place, id: Uuid) -> anyhow::Result<()> {
    let file = place.agent_pak_file();
    if let Ok(pak) = read_pak(&file)
        && works(client, pak, id)
            .await
            .context("could not try the agent's PAK")?
    {
        return Ok(());
    }
    let rotated = client
        .rotate_agent_pak(id)
        .await
        .context("could not replace the agent's PAK")?;
    place.keep(&file, rotated.pak.expose())
}

async fn works(client: &Client, pak: PakText, id: Uuid) -> anyhow::Result<bool> {
    let endpoint = Endpoint {
        broker: client.base_url().to_string(),
        pak,
        origin: NAME.to_owned(),
    };
    match endpoint.client(None)?.whoami().await {
        Ok(answer) => Ok(answer.agent == Some(id)),
        Err(ClientError::Problem(answer)) if answer.status == 401 => Ok(false),
        Err(error) => Err(error.into()),
    }
}
