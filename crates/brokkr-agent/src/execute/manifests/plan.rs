//! What is sent to the cluster, in which order, and what is waited for.

use ::kube::api::DynamicObject;
use serde_json::Value;
use uuid::Uuid;

use super::document::{Document, ManifestError, Name, Order, Place, Problem};
use super::job::{self, is_job};
use super::options::{FieldError, ObjectCondition, Options, Wait};
use super::pod_template;
use crate::attempt::AttemptId;
use crate::kube::labels::Owner;
use crate::kube::names::{generated_base, run_name};
use crate::kube::{Kind, ObjectRef};
use crate::policy::ClusterPolicy;

mod definitions;

use definitions::{Definitions, comes_first};

/// Everything that an attempt at an order does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How the order wants to be done.
    pub options: Options,
    /// What is sent, one after the other: namespaces and definitions of kinds first, the rest as it was submitted.
    pub steps: Vec<Step>,
}

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Where in the order it stands.
    pub place: Place,
    /// Where in the cluster it goes, under the name that it has there.
    pub at: ObjectRef,
    /// What is sent.
    pub object: DynamicObject,
    /// How it is sent.
    pub act: Act,
    /// What is waited for.
    pub watch: Watch,
    /// What was changed about it, for people.
    pub notes: Vec<String>,
    /// Whether later steps wait until this one is ready, since they may need it: a namespace or the definition of a kind.
    pub gate: bool,
    /// Whether it needs a namespace or a kind that the same order brings, so that it cannot be tried before.
    pub depends_on_earlier: bool,
}

/// How an object is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Created, once for each attempt.
    Create,
    /// Applied on the server.
    Apply,
}

/// What is waited for after an object was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The end of a Job.
    Job,
    /// That it is ready, if it is of a kind that can be.
    Ready,
    /// A condition.
    Condition {
        /// Its type.
        condition: String,
        /// Its status.
        status: String,
    },
    /// Nothing.
    Nothing,
}

/// What a plan depends on besides the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// The rules of the cluster.
    pub policy: &'a ClusterPolicy,
    /// The agent's namespace, where objects go that name none.
    pub default_namespace: &'a str,
    /// The attempt whose name the objects carry. After a takeover that is the attempt that was taken over.
    pub id: AttemptId,
    /// The agent.
    pub agent: Uuid,
    /// The longest that a Job may run, from the order.
    pub deadline_seconds: Option<u64>,
}

/// What an API server writes into an object. In one that was copied from a cluster it belongs to the original.
const SERVER_FIELDS: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

impl Plan {
    /// Plans the order. `kinds` has for each document what the cluster knows of its kind. A kind that the cluster does not know
    /// is found among the definitions that come with the order.
    ///
    /// # Errors
    /// When anything in the order cannot be done or may not be done here; then nothing of it is sent.
    pub(crate) fn of(
        order: Order,
        kinds: &[Option<Kind>],
        setting: &Setting<'_>,
    ) -> Result<Self, ManifestError> {
        let definitions = Definitions::of(&order.documents);
        let mut steps = Vec::new();
        for (index, document) in order.documents.iter().enumerate() {
            let known = kinds.get(index).and_then(Option::as_ref);
            let defined = definitions.kind(&document.api_version, &document.kind);
            let kind = known.or(defined).ok_or_else(|| unknown(document))?;
            let mut step = step(document, kind, setting)?;
            let in_new_namespace = step.at.namespace.as_deref();
            step.depends_on_earlier =
                known.is_none() || in_new_namespace.is_some_and(|name| definitions.has_namespace(name));
            refuse_twice(document, &step, &steps)?;
            steps.push(step);
        }
        watch(&order, &mut steps)?;
        // The sort is stable: beyond this, what comes first in the order comes first.
        steps.sort_by_key(|step| !step.gate);
        Ok(Self {
            options: order.options,
            steps,
        })
    }
}

fn unknown(document: &Document) -> ManifestError {
    document.error(Problem::UnknownKind {
        api_version: document.api_version.clone(),
        kind: document.kind.clone(),
    })
}

fn step(document: &Document, kind: &Kind, setting: &Setting<'_>) -> Result<Step, ManifestError> {
    let at = ObjectRef {
        kind: kind.clone(),
        namespace: namespace(document, kind, setting)?,
        name: name(document, kind, setting.id),
    };
    let mut object = document.object.clone();
    place(&mut object, &at);
    let (policy, own) = (setting.policy, setting.default_namespace);
    let allowed = policy.check(kind, at.namespace.as_deref(), &object, own);
    allowed.map_err(|error| document.error(Problem::Policy(error)))?;
    let account = at
        .namespace
        .as_deref()
        .and_then(|name| policy.default_service_account(name));
    if let Some(account) = account {
        pod_template::default_service_account(kind, &mut object, account);
    }
    let (act, notes) = if is_job(kind) {
        let owner = setting.owner(document.place);
        let notes = job::prepare(document, &mut object, &owner, setting.deadline_seconds)?;
        (Act::Create, notes)
    } else {
        (Act::Apply, Vec::new())
    };
    let object = serde_json::from_value(object).map_err(|_| {
        document.field_error(
            "metadata",
            "has a field of another type than Kubernetes has there",
        )
    })?;
    Ok(Step {
        place: document.place,
        gate: comes_first(kind),
        at,
        object,
        act,
        watch: Watch::Nothing,
        notes,
        depends_on_earlier: false,
    })
}

impl Setting<'_> {
    /// Whose the object at this place of the order is.
    fn owner(&self, place: Place) -> Owner {
        Owner {
            id: self.id,
            agent: self.agent,
            document: place.number,
        }
    }
}

fn namespace(
    document: &Document,
    kind: &Kind,
    setting: &Setting<'_>,
) -> Result<Option<String>, ManifestError> {
    match (&document.namespace, kind.namespaced) {
        (Some(namespace), true) => Ok(Some(namespace.clone())),
        (None, true) => Ok(Some(setting.default_namespace.to_owned())),
        (None, false) => Ok(None),
        (Some(_), false) => Err(document.field_error(
            "metadata.namespace",
            "is set, but such objects are in no namespace",
        )),
    }
}

/// What runs once, or has no name yet, gets one that belongs to the attempt.
fn name(document: &Document, kind: &Kind, id: AttemptId) -> String {
    match &document.name {
        Name::Given(name) if is_job(kind) => run_name(name, id),
        Name::Given(name) => name.clone(),
        Name::Prefix(prefix) => {
            let Place { number, item, .. } = document.place;
            let document = match item {
                Some(item) => format!("{number}-{}", item + 1),
                None => number.to_string(),
            };
            run_name(&generated_base(prefix, &document), id)
        }
    }
}

/// Says in the object where it goes, and takes out of it what an API server has written.
fn place(object: &mut Value, at: &ObjectRef) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else {
        return;
    };
    for field in SERVER_FIELDS.into_iter().chain(["generateName"]) {
        metadata.remove(field);
    }
    metadata.insert("name".to_owned(), at.name.as_str().into());
    if let Some(namespace) = &at.namespace {
        metadata.insert("namespace".to_owned(), namespace.as_str().into());
    }
}

/// An object that is sent twice would be changed by its second document, or a Job would be taken for its own.
fn refuse_twice(document: &Document, step: &Step, earlier: &[Step]) -> Result<(), ManifestError> {
    let identity = |at: &ObjectRef| {
        let resource = &at.kind.resource;
        (
            resource.group.clone(),
            resource.kind.clone(),
            at.namespace.clone(),
            at.name.clone(),
        )
    };
    match earlier
        .iter()
        .find(|other| identity(&other.at) == identity(&step.at))
    {
        None => Ok(()),
        Some(other) => Err(document.error(Problem::Duplicate {
            what: step.at.to_string(),
            other: other.place,
        })),
    }
}

/// Decides what is waited for. Every condition has to name something, and nothing may be named by two.
fn watch(order: &Order, steps: &mut [Step]) -> Result<(), ManifestError> {
    for step in steps.iter_mut() {
        step.watch = if is_job(&step.at.kind) {
            Watch::Job
        } else if step.gate || order.options.wait == Wait::Ready {
            Watch::Ready
        } else {
            Watch::Nothing
        };
    }
    for (index, condition) in order.options.conditions.iter().enumerate() {
        let problem = watch_condition(order, steps, condition);
        problem.map_err(|problem| ManifestError {
            place: order.options_place,
            problem: Problem::Field(FieldError {
                field: format!("spec.conditions[{index}]"),
                problem,
            }),
        })?;
    }
    Ok(())
}

fn watch_condition(order: &Order, steps: &mut [Step], wanted: &ObjectCondition) -> Result<(), &'static str> {
    let mut meant = false;
    // The steps are still in the order of the documents.
    for (document, step) in order.documents.iter().zip(steps) {
        if !is_meant(wanted, document) {
            continue;
        }
        match step.watch {
            Watch::Job => return Err("names a Job, and those are watched to their end anyway"),
            Watch::Condition { .. } => return Err("names an object that an earlier condition names as well"),
            Watch::Ready | Watch::Nothing => {}
        }
        meant = true;
        step.watch = Watch::Condition {
            condition: wanted.condition.clone(),
            status: wanted.status.clone(),
        };
    }
    if meant {
        Ok(())
    } else {
        Err("names no object of the order")
    }
}

fn is_meant(wanted: &ObjectCondition, document: &Document) -> bool {
    let (Name::Given(name) | Name::Prefix(name)) = &document.name;
    wanted.kind == document.kind
        && wanted
            .api_version
            .as_ref()
            .is_none_or(|version| *version == document.api_version)
        && wanted.name.as_ref().is_none_or(|wanted| wanted == name)
}

#[cfg(test)]
mod tests;
