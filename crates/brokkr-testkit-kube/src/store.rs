//! What the cluster holds, and everything that ever happened to it.
//!
//! One lock orders all changes, so a version is a moment: who lists at a version and reads the changes after it misses
//! nothing. Closures that are given to the store run under that lock and must not come back to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::admission;
use crate::resources::{self, Resource};
use crate::status::Status;
pub(crate) use deletion::{DeleteOptions, Deletion, Preconditions, Propagation};
use history::History;
pub(crate) use history::{Change, ChangeKind};

mod deletion;
mod history;
mod metadata;

/// All objects, and their changes. All clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    built_in: Vec<Resource>,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

/// Where an object is. The namespace of what is in none is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: name.to_owned(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Arc<Value>>,
    history: History,
    /// How many uids and generated names were given out.
    identities: u64,
}

impl State {
    fn commit(&mut self, kind: ChangeKind, key: Key, mut object: Value) -> Value {
        let version = self.history.next_version();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = Arc::new(object);
        let before = match kind {
            ChangeKind::Deleted => self.objects.remove(&key),
            ChangeKind::Added | ChangeKind::Modified => self.objects.insert(key.clone(), Arc::clone(&object)),
        };
        self.history.push(Change {
            version,
            kind,
            key,
            object: Arc::clone(&object),
            before,
        });
        Value::clone(&object)
    }
}

/// Whether a write is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Kept,
    /// Everything is looked at and answered, and nothing is changed.
    DryRun,
}

impl Store {
    pub(crate) fn new(shipwright: bool) -> Self {
        Self(Arc::new(Shared {
            built_in: resources::built_in(shipwright),
            state: Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    pub(crate) fn get(&self, resource: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        let key = Key::new(resource, namespace, name);
        self.lock().objects.get(&key).map(|object| Value::clone(object))
    }

    /// All objects of a resource, by namespace and name; of all namespaces unless one is given.
    pub(crate) fn list(&self, resource: &str, namespace: Option<&str>) -> Vec<Value> {
        let (_, objects) = self.snapshot(resource, namespace);
        objects.iter().map(|object| Value::clone(object)).collect()
    }

    /// A list, and the version it was true at.
    pub(crate) fn snapshot(&self, resource: &str, namespace: Option<&str>) -> (u64, Vec<Arc<Value>>) {
        let state = self.lock();
        let objects = state
            .objects
            .iter()
            .filter(|(key, _)| key.resource == resource)
            .filter(|(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        (state.history.version(), objects)
    }

    /// The changes after a version, or the oldest version that is still known.
    pub(crate) fn since(&self, version: u64) -> Result<Vec<Change>, u64> {
        self.lock().history.since(version)
    }

    /// Forgets all changes up to now.
    pub(crate) fn compact(&self) {
        self.lock().history.compact();
        self.notify();
    }

    /// Creates an object, with everything that an API server fills in.
    pub(crate) fn create(&self, resource: &str, object: Value) -> Result<Value, Status> {
        self.create_as(resource, object, Write::Kept)
    }

    pub(crate) fn create_as(&self, resource: &str, mut object: Value, write: Write) -> Result<Value, Status> {
        let resource = self.resource(resource).ok_or_else(Status::no_such_path)?;
        let now = self.now();
        let created = {
            let mut state = self.lock();
            let key = metadata::identify(&mut state, &resource, &mut object)?;
            if state.objects.contains_key(&key) {
                return Err(resource.already_exists(&key.name));
            }
            metadata::begin(&mut state, &mut object, now);
            admission::admit(&resource, &mut object, None)?;
            metadata::check_namespace(&state, &resource, &key)?;
            if write == Write::DryRun {
                return Ok(object);
            }
            state.commit(ChangeKind::Added, key, object)
        };
        self.notify();
        Ok(created)
    }

    /// Changes an object as its owner, without any check. Answers the object as it is then, whether or not that is a
    /// change; an object that only its last finalizer kept is gone afterwards.
    pub(crate) fn modify(
        &self,
        resource: &str,
        namespace: Option<&str>,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Option<Value> {
        let key = Key::new(resource, namespace, name);
        let modified = {
            let mut state = self.lock();
            let live = Arc::clone(state.objects.get(&key)?);
            let mut object = Value::clone(&live);
            change(&mut object);
            metadata::carry(&live, &mut object);
            settle(&mut state, key, &live, object)
        };
        self.notify();
        Some(modified)
    }

    /// Changes an object as a client does: what `change` makes of the live object is looked at as a whole.
    pub(crate) fn update(
        &self,
        resource: &Resource,
        key: &Key,
        write: Write,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Value, Status> {
        let updated = {
            let mut state = self.lock();
            let live = state
                .objects
                .get(key)
                .ok_or_else(|| resource.not_found(&key.name))?;
            let live = Arc::clone(live);
            let mut object = change(&live)?;
            metadata::check_preconditions(resource, &live, &object["metadata"])?;
            admission::admit(resource, &mut object, Some(&live))?;
            metadata::carry(&live, &mut object);
            if write == Write::DryRun {
                return Ok(object);
            }
            settle(&mut state, key.clone(), &live, object)
        };
        self.notify();
        Ok(updated)
    }

    /// Notified of every change, with the newest version.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    #[expect(
        clippy::disallowed_methods,
        clippy::unused_self,
        reason = "this is the cluster's clock; whoever needs its time asks the store"
    )]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        SystemTime::now().into()
    }

    /// Every resource that is served now.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let (_, definitions) = self.snapshot("customresourcedefinitions", None);
        let custom = definitions
            .iter()
            .filter_map(|definition| resources::of_definition(definition));
        self.0.built_in.iter().cloned().chain(custom).collect()
    }

    /// The resource with this plural.
    pub(crate) fn resource(&self, plural: &str) -> Option<Resource> {
        self.resources()
            .into_iter()
            .find(|resource| resource.plural == plural)
    }

    fn notify(&self) {
        let version = self.lock().history.version();
        // A controller that changes nothing must not be woken by that.
        self.0
            .changes
            .send_if_modified(|known| std::mem::replace(known, version.max(*known)) < version);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a changed object, unless nothing was changed or nothing holds it any more.
fn settle(state: &mut State, key: Key, live: &Arc<Value>, object: Value) -> Value {
    if deletion::nothing_holds(&object) {
        return state.commit(ChangeKind::Deleted, key, object);
    }
    if **live == object {
        return object;
    }
    state.commit(ChangeKind::Modified, key, object)
}

/// A time as objects hold it: in whole seconds.
pub(crate) fn timestamp(time: DateTime<Utc>) -> Value {
    json!(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
