//! Watching one object across everything that interrupts a watch.
//!
//! The object is listed, then watched from the version of that list; after an interruption the watch goes on from the last
//! version that was seen, and where the API has forgotten that version (410) it begins with a list again. So no last state is
//! missed, and a stream that ends never means anything. A watch that goes silent is noticed too: the API is asked to end each
//! one after a while, and one that outlives that has lost its connection.

use std::time::Duration;

use ::kube::Error;
use ::kube::api::{DynamicObject, ListParams, ObjectList, WatchEvent, WatchParams};
use ::kube::core::Request;
use ::kube::core::request::Error as RequestError;
use futures_util::stream::{BoxStream, unfold};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::calls::{built, requests, typed};
use super::send::{backoff, no_answer};
use crate::backoff::Backoff;
use crate::kube::{Cluster, ObjectRef};

impl Cluster {
    /// The object as it is now, then after every change; nothing when it is not there (any more). Never ends, whatever
    /// happens to the connection, and does nothing unless it is polled.
    pub fn watch(
        &self,
        at: &ObjectRef,
    ) -> impl Stream<Item = Option<DynamicObject>> + Send + 'static + use<> {
        unfold(
            Watching::new(self.clone(), at.clone()),
            |mut watching| async move {
                let state = watching.next().await;
                Some((state, watching))
            },
        )
    }
}

struct Watching {
    cluster: Cluster,
    at: ObjectRef,
    phase: Phase,
    backoff: Backoff,
    /// Whether the trouble that there is has been logged.
    troubled: bool,
    /// What was told last: the identity and version of the object, or that it is not there.
    told: Option<Option<(String, String)>>,
}

/// How far a watch is.
enum Phase {
    /// The state is not known.
    List,
    /// The state is known as of this version.
    Begin(String),
    /// Changes arrive.
    Follow(Following),
}

struct Following {
    version: String,
    events: BoxStream<'static, Result<WatchEvent<DynamicObject>, Error>>,
    since: Instant,
}

/// What one step brought.
enum Step {
    /// The object, or that it is not there.
    State(Option<Box<DynamicObject>>),
    /// Nothing to tell.
    Quiet,
    /// The end of a stream that lived for so long.
    Ended(Duration),
}

impl Watching {
    fn new(cluster: Cluster, at: ObjectRef) -> Self {
        let backoff = backoff(cluster.timing(), at.to_string());
        Self {
            cluster,
            at,
            phase: Phase::List,
            backoff,
            troubled: false,
            told: None,
        }
    }

    async fn next(&mut self) -> Option<DynamicObject> {
        loop {
            let steady = matches!(self.phase, Phase::Follow(_));
            match self.step().await {
                Ok(Step::State(object)) => {
                    if steady {
                        self.recovered();
                    }
                    if self.is_news(object.as_deref()) {
                        return object.map(|object| *object);
                    }
                }
                Ok(Step::Ended(lived)) if self.renewal() / 2 <= lived => self.recovered(),
                // Whatever ends the streams at once would otherwise be asked without a pause.
                Ok(Step::Ended(_)) => sleep(self.backoff.next(None)).await,
                Ok(Step::Quiet) => {}
                Err(error) => self.interrupted(error).await,
            }
        }
    }

    async fn step(&mut self) -> Result<Step, Error> {
        match std::mem::replace(&mut self.phase, Phase::List) {
            Phase::List => self.list().await,
            Phase::Begin(version) => self.begin(version).await,
            Phase::Follow(following) => self.follow(following).await,
        }
    }

    /// The present state, and the version to watch from.
    async fn list(&mut self) -> Result<Step, Error> {
        let params = ListParams::default().fields(&self.selector());
        let request = self.request(|requests| requests.list(&params))?;
        let mut list: ObjectList<DynamicObject> = self.cluster.send_once(&request).await?;
        self.phase = Phase::Begin(list.metadata.resource_version.unwrap_or_default());
        let object = list.items.pop().map(|object| typed(object, &self.at.kind));
        Ok(Step::State(object.map(Box::new)))
    }

    async fn begin(&mut self, version: String) -> Result<Step, Error> {
        let seconds = u32::try_from(self.renewal().as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default().fields(&self.selector()).timeout(seconds);
        let request = self.request(|requests| requests.watch(&params, &version))?;
        self.phase = Phase::Begin(version.clone());
        let limit = self.cluster.timing().request_limit;
        let events = timeout(limit, self.cluster.client().request_events(request))
            .await
            .unwrap_or_else(|_| Err(no_answer(limit)))?;
        self.phase = Phase::Follow(Following {
            version,
            events: events.boxed(),
            since: Instant::now(),
        });
        Ok(Step::Quiet)
    }

    async fn follow(&mut self, mut following: Following) -> Result<Step, Error> {
        let limit = self.renewal() + self.cluster.timing().request_limit;
        self.phase = Phase::Begin(following.version.clone());
        let Ok(Some(event)) = timeout(limit, following.events.next()).await else {
            return Ok(Step::Ended(following.since.elapsed()));
        };
        let (step, version) = match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let version = object.metadata.resource_version.clone();
                (Step::State(Some(Box::new(object))), version)
            }
            WatchEvent::Deleted(object) => (Step::State(None), object.metadata.resource_version),
            WatchEvent::Bookmark(bookmark) => (Step::Quiet, Some(bookmark.metadata.resource_version)),
            WatchEvent::Error(status) => return Err(Error::Api(status)),
        };
        following.version = version.unwrap_or(following.version);
        self.phase = Phase::Follow(following);
        Ok(step)
    }

    /// An answer of the API means that the version is of no use to it; everything else only cut the connection.
    async fn interrupted(&mut self, error: Error) {
        if let Error::Api(_) = error {
            self.phase = Phase::List;
        }
        let is_old_version = matches!(&error, Error::Api(status) if status.code == 410);
        if !is_old_version && !std::mem::replace(&mut self.troubled, true) {
            warn!(%error, "the watch of {} was interrupted, trying again until it goes on", self.at);
        }
        sleep(self.backoff.next(None)).await;
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.troubled) {
            info!("the watch of {} goes on", self.at);
        }
    }

    fn is_news(&mut self, object: Option<&DynamicObject>) -> bool {
        let told = object.map(|object| {
            let metadata = &object.metadata;
            (
                metadata.uid.clone().unwrap_or_default(),
                metadata.resource_version.clone().unwrap_or_default(),
            )
        });
        self.told.replace(told.clone()) != Some(told)
    }

    /// How long the API keeps one watch open.
    fn renewal(&self) -> Duration {
        let renewal = self.cluster.timing().request_limit * 2;
        renewal.max(Duration::from_secs(1))
    }

    fn selector(&self) -> String {
        format!("metadata.name={}", self.at.name)
    }

    fn request<T>(&self, build: impl FnOnce(Request) -> Result<T, RequestError>) -> Result<T, Error> {
        built("watch", requests(&self.at), build).map_err(|failure| failure.source)
    }
}
