//! From an HTTP request to its answer.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use self::call::Place;
pub(crate) use self::call::{Call, Target};
pub(crate) use self::read::{Form, selector};
use crate::authorization::{Access, Authorization};
use crate::connection::Connection;
use crate::discovery;
use crate::faults::{Effect, Faults, Request, Verb};
use crate::logs::Logs;
use crate::status::Status;
use crate::store::Store;

mod call;
mod cut;
mod delete;
mod log;
mod patch;
mod read;
mod write;

/// As etcd's usual limit lets them be.
const BODY_MAX: usize = 3 * 1024 * 1024;

/// What requests are answered from.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) logs: Logs,
    pub(crate) faults: Faults,
    pub(crate) authorization: Authorization,
}

/// Answers any request.
pub(crate) async fn answer(
    State(api): State<Api>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: axum::extract::Request,
) -> Response {
    match api.try_answer(&connection, request).await {
        Ok(response) => response,
        Err(status) => status.into_response(),
    }
}

impl Api {
    async fn try_answer(
        &self,
        connection: &Connection,
        request: axum::extract::Request,
    ) -> Result<Response, Status> {
        let (head, body) = request.into_parts();
        let too_large = |_| Status::of_code(413, "the request is too large");
        let body = to_bytes(body, BODY_MAX).await.map_err(too_large)?;
        let call = Call::new(&self.store, &head, &body)?;
        let Some((effect, removed)) = self.faults.meet(call.record()) else {
            return self.act(&call).await;
        };
        match effect {
            Effect::Answer(status) => Err(status.about(call.group(), call.plural(), call.name())),
            Effect::Hang => {
                removed.cancelled().await;
                self.act(&call).await
            }
            Effect::Cut => connection.cut().await,
            Effect::LoseAnswer => {
                let _lost = self.act(&call).await;
                connection.cut().await
            }
            Effect::CutAfter(bytes) => {
                let response = self.act(&call).await?;
                Ok(response.map(|body| cut::after(body, bytes, connection.clone())))
            }
        }
    }

    async fn act(&self, call: &Call) -> Result<Response, Status> {
        match &call.place {
            Place::Path(path) => self.discover(call, path),
            Place::Review => Ok(self.review(&call.body)),
            Place::Resource(_) => {
                self.authorization.check(call.access())?;
                self.act_on_resource(call).await
            }
        }
    }

    async fn act_on_resource(&self, call: &Call) -> Result<Response, Status> {
        let target = call.target()?;
        match call.verb {
            Verb::Get | Verb::Discover => read::get(self, call, &target),
            Verb::List => read::list(self, call, &target),
            Verb::Watch => crate::watch::watch(self, call, &target),
            Verb::Create => write::create(self, call, &target),
            Verb::Update => write::update(self, call, &target),
            Verb::Patch => write::patch(self, call, &target),
            Verb::Apply => write::apply(self, call, &target),
            Verb::Delete => delete::one(self, call, &target),
            Verb::DeleteCollection => delete::all(self, call, &target),
            Verb::Log => log::log(self, call, &target),
        }
    }

    fn discover(&self, call: &Call, path: &str) -> Result<Response, Status> {
        let resources = self.store.resources();
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let aggregated = call.accept.contains("g=apidiscovery.k8s.io;v=v2;");
        let body = match parts.as_slice() {
            ["version"] => Some(discovery::version()),
            ["readyz" | "livez" | "healthz"] => return Ok("ok".into_response()),
            ["api"] | ["apis"] if aggregated => {
                let body = discovery::aggregated(&resources, parts == ["api"]);
                let content = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                return Ok(([(header::CONTENT_TYPE, content)], Body::from(body.to_string())).into_response());
            }
            ["api"] => Some(discovery::core_versions()),
            ["apis"] => Some(discovery::groups(&resources)),
            ["api", version] => discovery::resource_list(&resources, "", version),
            ["apis", group] => discovery::one_group(&resources, group),
            ["apis", group, version] => discovery::resource_list(&resources, group, version),
            _ => None,
        };
        body.map(|body| Json(body).into_response())
            .ok_or_else(Status::no_such_path)
    }

    /// A `SelfSubjectAccessReview` asks what the client may do.
    fn review(&self, body: &Value) -> Response {
        let asked = &body["spec"]["resourceAttributes"];
        let text = |field: &str| asked[field].as_str().unwrap_or_default();
        let allowed = self.authorization.allows(Access {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: Some(text("subresource")).filter(|subresource| !subresource.is_empty()),
            namespace: asked["namespace"]
                .as_str()
                .filter(|namespace| !namespace.is_empty()),
            name: text("name"),
        });
        let mut review = body.clone();
        review["status"] = json!({"allowed": allowed});
        (StatusCode::CREATED, Json(review)).into_response()
    }
}
