//! What a request is about.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde_json::Value;

use super::Request;
use crate::apply::{Operation, Writer};
use crate::authorization::Access;
use crate::faults::Verb;
use crate::resources::Resource;
use crate::status::Status;
use crate::store::{Key, Store, Write};

/// One request, understood.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    pub(crate) place: Place,
    pub(crate) namespace: Option<String>,
    name: Option<String>,
    pub(crate) subresource: Option<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    agent: String,
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) enum Place {
    Resource(Resource),
    /// Discovery, health and whatever is not there.
    Path(String),
    Review,
}

/// The resource, and the object if the path names one.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) key: Key,
}

impl Call {
    pub(crate) fn new(store: &Store, head: &Parts, body: &[u8]) -> Result<Self, Status> {
        let path = head.uri.path();
        let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(&head.uri)
            .map_err(|_| Status::bad_request("the query cannot be read"))?;
        let route = Route::find(store, path);
        let content_type = text(&head.headers, header::CONTENT_TYPE.as_str());
        let mut call = Self {
            verb: Verb::Discover,
            place: route.place,
            namespace: route.namespace,
            name: route.name,
            subresource: route.subresource,
            query,
            body: Value::Null,
            accept: text(&head.headers, header::ACCEPT.as_str()),
            content_type,
            agent: text(&head.headers, header::USER_AGENT.as_str()),
        };
        call.verb = call.find_verb(&head.method)?;
        if !body.is_empty() {
            call.read_body(body)?;
        }
        Ok(call)
    }

    fn read_body(&mut self, body: &[u8]) -> Result<(), Status> {
        let known = [
            "application/json",
            "application/yaml",
            "application/apply-patch+yaml",
            "+json",
        ];
        if !self.content_type.is_empty() && !known.iter().any(|known| self.content_type.contains(known)) {
            let message = format!(
                "the body of the request was in an unknown format: {}",
                self.content_type
            );
            return Err(Status::of_code(415, message));
        }
        self.body = serde_json::from_slice(body).map_err(|error| {
            Status::bad_request(format!("the body of the request cannot be read: {error}"))
        })?;
        if self.name.is_none() && self.verb == Verb::Create {
            self.name = self.body["metadata"]["name"].as_str().map(str::to_owned);
        }
        Ok(())
    }

    fn find_verb(&self, method: &Method) -> Result<Verb, Status> {
        match self.place {
            Place::Resource(_) => {}
            Place::Review => return Ok(Verb::Create),
            Place::Path(_) if *method == Method::GET => return Ok(Verb::Discover),
            Place::Path(_) => return Err(Status::no_such_path()),
        }
        let named = self.name.is_some();
        let follows = self.flag("watch");
        Ok(match *method {
            Method::GET if self.subresource.as_deref() == Some("log") => Verb::Log,
            Method::GET if named => Verb::Get,
            Method::GET if follows => Verb::Watch,
            Method::GET => Verb::List,
            Method::POST if !named => Verb::Create,
            Method::PUT if named => Verb::Update,
            Method::PATCH if named && self.content_type.contains("apply-patch") => Verb::Apply,
            Method::PATCH if named => Verb::Patch,
            Method::DELETE if named => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => {
                return Err(Status::of_code(
                    405,
                    "the server does not allow this method on the requested resource",
                ));
            }
        })
    }

    /// What tests see of the request.
    pub(crate) fn record(&self) -> Request {
        let resource = match (&self.place, &self.subresource) {
            (Place::Resource(resource), Some(subresource)) if self.verb != Verb::Log => {
                format!("{}/{subresource}", resource.plural)
            }
            (Place::Resource(resource), _) => resource.plural.clone(),
            (Place::Path(path), _) => path.clone(),
            (Place::Review, _) => "selfsubjectaccessreviews".to_owned(),
        };
        Request {
            verb: self.verb,
            resource,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            query: self.query.clone(),
            body: self.body.clone(),
        }
    }

    /// What the authoriser is asked.
    pub(crate) fn access(&self) -> Access<'_> {
        Access {
            verb: match self.verb {
                Verb::Get | Verb::Log | Verb::Discover => "get",
                Verb::List => "list",
                Verb::Watch => "watch",
                Verb::Create => "create",
                Verb::Update => "update",
                Verb::Patch | Verb::Apply => "patch",
                Verb::Delete => "delete",
                Verb::DeleteCollection => "deletecollection",
            },
            group: self.group(),
            resource: self.plural(),
            subresource: self.subresource.as_deref(),
            namespace: self.namespace.as_deref(),
            name: if self.verb == Verb::Create {
                ""
            } else {
                self.name()
            },
        }
    }

    pub(crate) fn target(&self) -> Result<Target<'_>, Status> {
        let Place::Resource(resource) = &self.place else {
            return Err(Status::no_such_path());
        };
        let served = match self.subresource.as_deref() {
            None => true,
            Some("status") => resource.status,
            Some("log") => resource.plural == "pods" && self.verb == Verb::Log,
            Some(_) => false,
        };
        if !served
            || (resource.namespaced
                && self.namespace.is_none()
                && self.name.is_some()
                && self.verb != Verb::Create)
        {
            return Err(Status::no_such_path());
        }
        Ok(Target {
            resource,
            key: Key::new(&resource.plural, self.namespace.as_deref(), self.name()),
        })
    }

    /// Who writes, and how: clients that do not say get the name of their program.
    pub(crate) fn writer(&self, target: &Target<'_>) -> Writer {
        let program = self.agent.split('/').next().unwrap_or_default();
        let program = if program.is_empty() { "unknown" } else { program };
        Writer {
            manager: self.parameter("fieldManager").unwrap_or(program).to_owned(),
            operation: if self.verb == Verb::Apply {
                Operation::Apply
            } else {
                Operation::Update
            },
            api_version: target.resource.api_version(),
            subresource: self.subresource.clone(),
        }
    }

    pub(crate) fn write(&self) -> Write {
        if self.parameter("dryRun") == Some("All") {
            Write::DryRun
        } else {
            Write::Kept
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("true" | "1"))
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        let refused = |text: &str| Status::bad_request(format!("{name} is no number: {text}"));
        let parse = |text: &str| text.parse().map_err(|_| refused(text));
        self.parameter(name).map(parse).transpose()
    }

    pub(crate) fn group(&self) -> &str {
        self.resource().map_or("", |resource| &resource.group)
    }

    pub(crate) fn plural(&self) -> &str {
        self.resource().map_or("", |resource| &resource.plural)
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn resource(&self) -> Option<&Resource> {
        match &self.place {
            Place::Resource(resource) => Some(resource),
            Place::Path(_) | Place::Review => None,
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// A path, taken apart.
struct Route {
    place: Place,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl Route {
    fn find(store: &Store, path: &str) -> Self {
        Self::of_resource(store, path).unwrap_or_else(|| Self {
            place: match path {
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => Place::Review,
                _ => Place::Path(path.to_owned()),
            },
            namespace: None,
            name: None,
            subresource: None,
        })
    }

    fn of_resource(store: &Store, path: &str) -> Option<Self> {
        let parts: Vec<_> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(decode)
            .collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // What follows a namespace's name is a resource in it, or a part of the namespace itself.
            ["namespaces", namespace, rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
                (Some((*namespace).to_owned()), rest)
            }
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(*name), None),
            [plural, name, subresource] => (plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        let resource = store.resources().into_iter().find(|resource| {
            resource.plural == *plural && resource.group == group && resource.version == version
        })?;
        if namespace.is_some() && !resource.namespaced {
            return None;
        }
        Some(Self {
            place: Place::Resource(resource),
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}

/// Undoes percent-encoding.
fn decode(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
