//! What brokers tell each other, as JSON. Members that a broker does not know are ignored, since its neighbours may be newer.

use brokkr_core::names::WorkType;
use brokkr_core::pak::ShortPart;
use brokkr_core::routing::Route;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::outbox::News;
use crate::app::waiters::Work;

/// Below what PostgreSQL takes, which is 7,999.
const BYTES_MAX: usize = 7_500;
/// What is longer than this many messages is told as "look".
const MESSAGES_MAX: usize = 8;

/// The routes of a piece of work, its type, and how many pieces like it there are.
type Pieces = (Vec<String>, Option<String>, u32);

/// One notification.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    /// Who tells it; nobody where that does not matter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) from: String,
    /// The teller begins to hear, and wants to know who else there is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hello: bool,
    /// The teller stops.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) bye: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) work: Vec<Pieces>,
    /// Agents whose routes or status have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) agents: Vec<Uuid>,
    /// Events were written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) events: bool,
    /// The short parts of keys that are dead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) forget: Vec<String>,
    /// There is more than was worth telling.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) look: bool,
}

impl Message {
    /// Says nothing but who speaks.
    pub(super) fn of(from: &str) -> Self {
        Self {
            from: from.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(super) fn to_json(&self) -> String {
        json(self)
    }

    /// The work, and how many pieces of it there are. What cannot be work is left out.
    pub(super) fn work(&self) -> impl Iterator<Item = (Work, u32)> {
        self.work.iter().filter_map(|(routes, work_type, count)| {
            let work_type = work_type.as_deref().map(WorkType::parse).transpose().ok()?;
            let routes = routes.iter().cloned().map(Route::stored).collect();
            Some((Work { routes, work_type }, *count))
        })
    }

    /// The keys to be forgotten.
    pub(super) fn forgotten(&self) -> Vec<ShortPart> {
        self.forget
            .iter()
            .filter_map(|short| ShortPart::parse(short))
            .collect()
    }
}

/// The payloads that make all brokers forget these keys, their sender included.
pub(in crate::app) fn to_forget(short: &[ShortPart]) -> Vec<String> {
    let mut messages = Messages::from("");
    for short in short {
        let short = short.as_str().to_owned();
        messages.add(short.len(), |message| message.forget.push(short));
    }
    messages.finish()
}

/// The payloads that tell all that is new.
pub(super) fn to_tell(from: &str, news: News) -> Vec<String> {
    let mut messages = Messages::from(from);
    messages.current.events = news.events;
    for agent in news.agents {
        let agent = agent.as_uuid();
        messages.add(json(&agent).len(), |message| message.agents.push(agent));
    }
    for (work, count) in news.work {
        let routes = work
            .routes
            .iter()
            .map(|route| route.as_str().to_owned())
            .collect();
        let pieces: Pieces = (routes, work.work_type.map(|name| name.as_str().to_owned()), count);
        messages.add(json(&pieces).len(), |message| message.work.push(pieces));
    }
    if news.too_much || messages.done.len() >= MESSAGES_MAX {
        let look = Message {
            look: true,
            events: news.events,
            ..Message::of(from)
        };
        return vec![look.to_json()];
    }
    messages.finish()
}

/// Messages that are being filled, one after the other.
struct Messages {
    current: Message,
    bytes: usize,
    done: Vec<String>,
}

/// The envelope of a message: its members' names, brackets and sender.
const ENVELOPE_BYTES: usize = 100;
/// The quotes and the comma around a text.
const AROUND_BYTES: usize = 3;

impl Messages {
    fn from(name: &str) -> Self {
        Self {
            current: Message::of(name),
            bytes: ENVELOPE_BYTES,
            done: Vec::new(),
        }
    }

    fn add(&mut self, bytes: usize, put: impl FnOnce(&mut Message)) {
        let bytes = bytes + AROUND_BYTES;
        if ENVELOPE_BYTES + bytes > BYTES_MAX {
            self.current.look = true;
            return;
        }
        if self.bytes + bytes > BYTES_MAX {
            self.next();
        }
        self.bytes += bytes;
        put(&mut self.current);
    }

    fn next(&mut self) {
        let next = Message::of(&self.current.from);
        let full = std::mem::replace(&mut self.current, next);
        self.done.push(full.to_json());
        self.bytes = ENVELOPE_BYTES;
    }

    fn finish(mut self) -> Vec<String> {
        let empty = Message::of(&self.current.from);
        if self.current != empty {
            self.next();
        }
        self.done
    }
}

/// Texts, numbers and lists of them always have a JSON form.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
