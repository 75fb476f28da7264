//! Submitting an order by a form, after a look at who could run it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use brokkr_api::{CreateWorkOrder, Delivery, Preview, TargetingRequest};
use serde::Deserialize;

use super::page::{Shell, Trouble, page};
use super::session::{ConsoleAdmin, ConsoleReader, Session};
use crate::api::{Problem, submission};
use crate::app::App;
use crate::app::idempotency::{Answer, Idempotency};
use crate::app::work_orders::{QueuedOrder, Submission};

const EXAMPLE: &str =
    "apiVersion: brokkr.io/v1\nkind: Command\nspec:\n  shell: |\n    echo \"Hello from $(hostname).\"\n";

/// What stands in the form.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(super) struct OrderForm {
    /// The same in every copy of a form that is sent twice.
    token: String,
    yaml: String,
    work_type: String,
    labels: String,
    annotations: String,
    agents: String,
    max_retries: String,
    deadline_seconds: String,
    priority: String,
    delivery: String,
    /// Which button was pressed.
    act: String,
}

impl Default for OrderForm {
    fn default() -> Self {
        let empty = String::new;
        Self {
            token: empty(),
            yaml: EXAMPLE.to_owned(),
            work_type: "command".to_owned(),
            labels: empty(),
            annotations: empty(),
            agents: empty(),
            max_retries: empty(),
            deadline_seconds: empty(),
            priority: empty(),
            delivery: empty(),
            act: empty(),
        }
    }
}

#[derive(Template)]
#[template(path = "submit.html")]
struct SubmitPage {
    shell: Shell,
    form: OrderForm,
    refusal: Option<String>,
    line: Option<i64>,
    preview: Option<Preview>,
}

fn shown(
    session: &Session,
    form: OrderForm,
    refusal: Option<Problem>,
    preview: Option<Preview>,
) -> Result<Response, Trouble> {
    let body = refusal.as_ref().map(Problem::body);
    let line = body
        .as_ref()
        .and_then(|body| body.details.as_ref()?.get("line")?.as_i64());
    let status = refusal.map_or(StatusCode::OK, |problem| problem.code().status());
    let page = page(&SubmitPage {
        shell: Shell::new(session, "submit"),
        form,
        refusal: body.map(|body| body.message),
        line,
        preview,
    })?;
    Ok((status, page).into_response())
}

pub(super) async fn show(
    ConsoleReader(session): ConsoleReader,
    State(app): State<App>,
) -> Result<Response, Trouble> {
    let form = OrderForm {
        token: app.new_request_id(),
        ..OrderForm::default()
    };
    shown(&session, form, None, None)
}

/// Submits what the form says, or tells who could run it, or what is wrong with it beside the form as it was.
pub(super) async fn submit(
    State(app): State<App>,
    ConsoleAdmin { session, form }: ConsoleAdmin<OrderForm>,
) -> Result<Response, Trouble> {
    let request = match request(&form) {
        Ok(request) => request,
        Err(sentence) => return refused(&session, form, &sentence),
    };
    let body = serde_json::to_vec(&request).map_err(|error| Trouble::defect(&error))?;
    let submission = match submission(request, &app.limits) {
        Ok(submission) => submission,
        Err(problem) => return shown(&session, form, Some(problem), None),
    };
    if form.act == "preview" {
        return preview(&app, &session, form, submission).await;
    }
    let Ok(idempotency) = Idempotency::new(form.token.as_bytes(), "console", &body) else {
        return refused(&session, form, "The form has no token. Reload the page.");
    };
    let answer = |order: &QueuedOrder| Answer {
        status: 303,
        body: order.id().to_string(),
        replayed: false,
    };
    let created = app.create_work_order(&session.caller, submission, Some(idempotency), answer);
    match created.await {
        Ok(answer) => Ok(Redirect::to(&format!("/orders/{}", answer.body)).into_response()),
        Err(error) => shown(&session, form, Some(error.into()), None),
    }
}

async fn preview(
    app: &App,
    session: &Session,
    form: OrderForm,
    submission: Submission,
) -> Result<Response, Trouble> {
    match app.check_work_order(submission).await {
        Ok(submission) => {
            let preview = app.preview(&submission.targeting, &submission.work_type).await?;
            shown(session, form, None, Some(preview.into()))
        }
        Err(error) => shown(session, form, Some(error.into()), None),
    }
}

fn refused(session: &Session, form: OrderForm, sentence: &str) -> Result<Response, Trouble> {
    let problem = Problem::new(crate::api::Code::InvalidWorkOrder, sentence);
    shown(session, form, Some(problem), None)
}

/// From texts to the request that the API takes. A sentence says which text is none of its kind.
fn request(form: &OrderForm) -> Result<CreateWorkOrder, String> {
    let agents = words(&form.agents)
        .map(|word| {
            word.parse()
                .map_err(|_| format!("{word:?} is no id of an agent."))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let annotations = words(&form.annotations)
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(format!("{word:?} is not written as key=value.")),
        })
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let delivery = match form.delivery.as_str() {
        "" => None,
        "at_least_once" => Some(Delivery::AtLeastOnce),
        "at_most_once" => Some(Delivery::AtMostOnce),
        other => return Err(format!("{other:?} is no way of delivery.")),
    };
    Ok(CreateWorkOrder {
        work_type: form.work_type.trim().to_owned(),
        yaml_content: form.yaml.replace("\r\n", "\n"),
        targeting: Some(TargetingRequest {
            agent_ids: Some(agents),
            labels: Some(words(&form.labels).map(str::to_owned).collect()),
            annotations: Some(annotations),
        }),
        max_retries: number("Retries", &form.max_retries)?,
        deadline_seconds: number("Deadline", &form.deadline_seconds)?,
        priority: number("Priority", &form.priority)?,
        delivery,
        ..CreateWorkOrder::default()
    })
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\n', '\r', '\t'])
        .filter(|word| !word.is_empty())
}

fn number(field: &str, text: &str) -> Result<Option<i64>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{field} must be a whole number.")),
    }
}
