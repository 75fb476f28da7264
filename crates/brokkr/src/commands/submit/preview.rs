//! Who could run an order: before it is submitted, and when nobody could once it is.

use anyhow::Context as _;
use brokkr_api::{CreateWorkOrder, ExplanationReason, Preview};
use brokkr_client::Client;
use uuid::Uuid;

use super::Document;
use crate::exit::Exit;
use crate::output::{Format, explanations, machine, one_line, print};

/// What says that nobody could ever run an order as things are.
const NOBODY: [&str; 3] = ["no_agents", "no_matching_agent", "agent_deleted"];

/// Checks the orders and tells who could run them. Nothing is submitted.
///
/// # Errors
/// When any would be refused.
pub(super) async fn run(
    client: &Client,
    documents: &[Document],
    requests: &[CreateWorkOrder],
    format: Format,
) -> anyhow::Result<Exit> {
    let mut previews = Vec::new();
    for (document, request) in documents.iter().zip(requests) {
        let preview = client.preview_work_order(request).await;
        previews.push(preview.with_context(|| format!("{} would be refused", document.file))?);
    }
    match format {
        Format::Json | Format::Yaml => match previews.as_slice() {
            [one] => machine(format, one)?,
            many => machine(format, &many)?,
        },
        Format::Table | Format::Wide | Format::Name => {
            let told = documents.iter().zip(&previews);
            let texts: Vec<_> = told
                .map(|(document, preview)| explanations::preview(&document.file, preview))
                .collect();
            print(&texts.join("\n"))?;
        }
    }
    previews.iter().for_each(warn);
    Ok(Exit::Succeeded)
}

fn warn(preview: &Preview) {
    if preview.matching == 0 {
        tell(&preview.reasons);
    }
}

/// Says on standard error when no agent matches what was submitted. All orders of a submission are for the same agents, so one
/// of them tells. That it cannot be told is no reason to say that the submission failed.
pub(super) async fn warn_of_nobody(client: &Client, submitted: &[Uuid]) {
    let Some(id) = submitted.first() else { return };
    let Ok(explanation) = client.explain(*id).await else {
        return;
    };
    // An agent that matches has a reason of its own, whatever is the matter with it.
    let about_matching =
        |reason: &ExplanationReason| reason.agents_total > 0 && !NOBODY.contains(&reason.code.as_str());
    if !explanation.reasons.iter().any(about_matching) {
        tell(&explanation.reasons);
    }
}

fn tell(reasons: &[ExplanationReason]) {
    let nobody = reasons
        .iter()
        .filter(|reason| NOBODY.contains(&reason.code.as_str()));
    for reason in nobody {
        eprintln!(
            "warning: nobody can run this yet. {} {}",
            one_line(&reason.sentence),
            one_line(&reason.remedy)
        );
    }
}
