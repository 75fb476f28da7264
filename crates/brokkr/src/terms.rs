//! By what orders are chosen that are listed, cancelled or retried.

use brokkr_api::{WorkOrder, WorkOrderStatus};
use brokkr_client::Client;
use uuid::Uuid;

use crate::references;

/// What must hold for an order; what is not said holds for all.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "terms", multiple = true)]
pub(crate) struct TermsArgs {
    /// Only orders of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) work_type: Option<String>,

    /// Only what this agent holds, or held last: a name, name/cluster or id
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,

    /// Only orders for this label
    #[arg(short, long, value_name = "LABEL")]
    pub(crate) label: Option<String>,

    /// Only orders of this caller, such as admin:k3Jd82mQ
    #[arg(long, value_name = "CALLER")]
    pub(crate) submitted_by: Option<String>,

    /// Only orders with this text in their id, metadata or YAML, in letters of any case
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

impl TermsArgs {
    /// The agent that is meant.
    ///
    /// # Errors
    /// When there is no such agent, or the broker cannot be asked.
    pub(crate) async fn agent_id(&self, client: &Client) -> anyhow::Result<Option<Uuid>> {
        match &self.agent {
            Some(name) => Ok(Some(references::agent(client, name).await?.id)),
            None => Ok(None),
        }
    }

    /// Whether they hold for an order. `agent` is the one that they name.
    pub(crate) fn hold_for(&self, order: &WorkOrder, agent: Option<Uuid>) -> bool {
        let is = |wanted: &Option<String>, word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
        let labels = &order.targeting.labels;
        is(&self.work_type, &order.work_type)
            && is(&self.submitted_by, &order.submitted_by)
            && agent.is_none_or(|agent| order.claimed_by == Some(agent))
            && self.label.as_ref().is_none_or(|label| labels.contains(label))
            && self.text.as_deref().is_none_or(|text| has(order, text))
    }
}

fn has(order: &WorkOrder, text: &str) -> bool {
    let text = text.to_lowercase();
    let contains = |place: &str| place.to_lowercase().contains(&text);
    let facts = order.metadata.iter().flat_map(|(key, value)| [key, value]);
    contains(&order.id.to_string())
        || contains(&order.yaml_content)
        || facts.into_iter().any(|fact| contains(fact))
}

/// A state in the queue, as people write it.
///
/// # Errors
/// A sentence, when there is none such.
pub(crate) fn queue_status(text: &str) -> Result<WorkOrderStatus, String> {
    let value = serde_json::Value::String(text.to_ascii_uppercase().replace('-', "_"));
    let status: WorkOrderStatus = serde_json::from_value(value).map_err(|_| "no such state".to_owned())?;
    if status.ended() {
        Err("that is how orders end; see brokkr get log".to_owned())
    } else {
        Ok(status)
    }
}
