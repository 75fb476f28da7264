//! What people write to make or change a webhook.

use brokkr_api::{CreateWebhook, UpdateWebhook, Webhook};
use brokkr_core::events::EventType;
use serde::Deserialize;
use uuid::Uuid;

use super::submit::words;
use crate::api::{Code, Problem};

/// The texts of a form, as they were written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct WebhookFields {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) event_types: String,
    pub(super) agents: String,
    pub(super) labels: String,
    /// Kept as it is when this is empty.
    pub(super) auth_header: String,
}

impl WebhookFields {
    /// The texts that say what a webhook is. Its `Authorization` is never shown.
    pub(super) fn of(webhook: &Webhook) -> WebhookFields {
        let agents: Vec<String> = webhook.agent_ids.iter().map(Uuid::to_string).collect();
        WebhookFields {
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            event_types: webhook.event_types.join(" "),
            agents: agents.join(" "),
            labels: webhook.labels.join(" "),
            auth_header: String::new(),
        }
    }

    pub(super) fn to_create(&self) -> Result<CreateWebhook, Problem> {
        Ok(CreateWebhook {
            name: self.name.trim().to_owned(),
            url: self.url.trim().to_owned(),
            event_types: owned(&self.event_types),
            agent_ids: agents(&self.agents)?,
            labels: owned(&self.labels),
            auth_header: Some(self.auth_header.trim().to_owned()),
        })
    }

    /// `without_auth_header` says that none is to be sent any more.
    pub(super) fn to_update(&self, without_auth_header: bool) -> Result<UpdateWebhook, Problem> {
        let create = self.to_create()?;
        let written = create.auth_header.filter(|text| !text.is_empty());
        Ok(UpdateWebhook {
            name: Some(create.name),
            url: Some(create.url),
            event_types: Some(create.event_types),
            agent_ids: Some(create.agent_ids),
            labels: Some(create.labels),
            auth_header: written.or(without_auth_header.then(String::new)),
        })
    }

    /// Every type of event, for people who look for a word.
    pub(super) fn types(&self) -> impl Iterator<Item = &'static str> {
        EventType::ALL.into_iter().map(EventType::as_str)
    }
}

fn owned(text: &str) -> Vec<String> {
    words(text).map(str::to_owned).collect()
}

fn agents(text: &str) -> Result<Vec<Uuid>, Problem> {
    let parse = |word: &str| {
        let refusal = || Problem::new(Code::InvalidWebhook, format!("{word:?} is no id of an agent."));
        word.parse().map_err(|_| refusal())
    };
    words(text).map(parse).collect()
}
