//! Following the changes of a resource.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::requests::{Api, Call, Form, Target, selector};
use crate::selector::Selector;
use crate::status::{Cause, Status};
use crate::store::{Change, ChangeKind, Store};

/// As long as a real server watches at most when nobody says otherwise.
const USUAL: u64 = 3600;

/// Answers with every change after the version that the client knows.
pub(crate) fn watch(api: &Api, call: &Call, target: &Target<'_>) -> Result<Response, Status> {
    if call.flag("sendInitialEvents") {
        let cause = Cause {
            reason: "FieldValueForbidden",
            message: "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
                .to_owned(),
            field: "sendInitialEvents".to_owned(),
        };
        return Err(Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause]));
    }
    let seconds = call.number("timeoutSeconds")?.unwrap_or(USUAL);
    let mut watcher = Watcher {
        store: api.store.clone(),
        // Before the first look, so that nothing falls between that look and the wait.
        changes: api.store.changes(),
        selector: selector(call, target.resource)?,
        resource: target.resource.plural.clone(),
        namespace: call.namespace.clone(),
        form: Form::of(call),
        bookmark: call
            .flag("allowWatchBookmarks")
            .then(|| json!({"kind": target.resource.kind, "apiVersion": target.resource.api_version()})),
        version: 0,
        lines: VecDeque::new(),
        end: Instant::now() + Duration::from_secs(seconds),
        ended: false,
    };
    match call.number("resourceVersion")? {
        // A version that is forgotten is told by an event, too, because the watch has begun by then.
        Some(version) if version > 0 => watcher.version = version,
        _ => watcher.begin(),
    }
    let lines = stream::unfold(watcher, async |mut watcher| {
        let line = watcher.next().await?;
        Some((Ok::<_, Infallible>(line), watcher))
    });
    Ok((
        [(header::CONTENT_TYPE, "application/json")],
        Body::from_stream(lines),
    )
        .into_response())
}

/// One client's place among the changes.
struct Watcher {
    store: Store,
    changes: Receiver<u64>,
    selector: Selector,
    resource: String,
    namespace: Option<String>,
    form: Form,
    /// What a bookmark looks like, when the client wants any.
    bookmark: Option<Value>,
    version: u64,
    lines: VecDeque<Bytes>,
    end: Instant,
    ended: bool,
}

impl Watcher {
    /// Begins with everything there is, as if it had just been made.
    fn begin(&mut self) {
        let (version, objects) = self.store.snapshot(&self.resource, self.namespace.as_deref());
        self.version = version;
        for object in objects.iter().filter(|object| self.selector.matches(object)) {
            self.lines.push_back(line("ADDED", &self.form.show(object)));
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.changes.borrow_and_update();
            self.look();
            if self.lines.is_empty()
                && !matches!(timeout_at(self.end, self.changes.changed()).await, Ok(Ok(())))
            {
                self.finish();
            }
        }
    }

    fn look(&mut self) {
        let changes = match self.store.since(self.version) {
            Ok(changes) => changes,
            Err(oldest) => {
                let gone = Status::expired(self.version, oldest).body();
                self.lines.push_back(line("ERROR", &gone));
                self.ended = true;
                return;
            }
        };
        for change in changes {
            self.version = change.version;
            if let Some(event) = self.event(&change) {
                let mut object = self.form.show(&change.object);
                object["metadata"]["resourceVersion"] = json!(change.version.to_string());
                self.lines.push_back(line(event, &object));
            }
        }
    }

    /// What a change looks like to this client: an object that its selector does not match any more is gone for it.
    fn event(&self, change: &Change) -> Option<&'static str> {
        let elsewhere = |namespace: &String| *namespace != change.key.namespace;
        if change.key.resource != self.resource || self.namespace.as_ref().is_some_and(elsewhere) {
            return None;
        }
        let matches = |object: &Arc<Value>| self.selector.matches(object);
        let before = change.before.as_ref().is_some_and(matches);
        let after = change.kind != ChangeKind::Deleted && matches(&change.object);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    /// Tells the client how far it has come, so that its next watch does not have to start too early.
    fn finish(&mut self) {
        self.ended = true;
        if let Some(mut bookmark) = self.bookmark.take() {
            bookmark["metadata"] =
                json!({"resourceVersion": self.version.to_string(), "creationTimestamp": null});
            self.lines.push_back(line("BOOKMARK", &bookmark));
        }
    }
}

fn line(event: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": event, "object": object})))
}
