//! Server-side apply, and who owns which field.
//!
//! Kubernetes knows from its schemas which lists are sets or maps and which objects are atomic; here a table of field
//! names stands for that ([`schema`]). Fields of controllers that write through the store have no owner.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use self::fields::{FieldSet, lookup};
use self::owners::Owners;
pub(crate) use self::owners::{Operation, Writer};
use crate::status::{Cause, Status};

mod fields;
mod merge;
mod owners;
mod schema;

/// What is applied, and how.
#[derive(Debug)]
pub(crate) struct Application<'a> {
    pub(crate) config: &'a Value,
    pub(crate) writer: Writer,
    /// Takes fields over that others own with another value.
    pub(crate) force: bool,
    pub(crate) now: DateTime<Utc>,
}

impl Application<'_> {
    /// The object after the application.
    pub(crate) fn to(&self, live: Option<&Value>) -> Result<Value, Status> {
        let nothing = json!({});
        let live = live.unwrap_or(&nothing);
        let mut owners = Owners::of(live);
        let wanted = FieldSet::of(self.config, self.writer.subresource.as_deref());
        let disputed = owners.disputes(&self.writer, |path| {
            wanted.contains(path) && lookup(live, path) != lookup(self.config, path)
        });
        if !disputed.is_empty() && !self.force {
            return Err(conflict(&disputed));
        }
        for (_, path) in &disputed {
            owners.release(&self.writer, path);
        }
        let mut object = live.clone();
        merge::merge(&mut object, self.config);
        let before = owners.replace(&self.writer, wanted.clone());
        for path in before.without(&wanted).iter() {
            if !owners.owns_within(path) {
                fields::remove(&mut object, path);
            }
        }
        owners.write(&mut object, live, &self.writer, self.now);
        Ok(object)
    }
}

/// Notes in `object` what a writer that does not apply has changed since `live`.
pub(crate) fn track(object: &mut Value, live: Option<&Value>, writer: &Writer, now: DateTime<Utc>) {
    let nothing = json!({});
    let live = live.unwrap_or(&nothing);
    let mut owners = Owners::of(live);
    let before = FieldSet::of(live, writer.subresource.as_deref());
    let after = FieldSet::of(object, writer.subresource.as_deref());
    let gone = before.without(&after);
    let changed = after.only(|path| lookup(object, path) != lookup(live, path));
    owners.forget(&gone);
    owners.take(writer, changed);
    owners.write(object, live, writer, now);
}

fn conflict(disputed: &[(Writer, fields::Path)]) -> Status {
    let causes: Vec<_> = disputed
        .iter()
        .map(|(owner, path)| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {owner}"),
            field: fields::display(path),
        })
        .collect();
    let each: Vec<_> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause.message, cause.field))
        .collect();
    let plural = if each.len() == 1 { "" } else { "s" };
    let message = format!(
        "Apply failed with {} conflict{plural}: {}",
        each.len(),
        each.join("\n")
    );
    Status::of_code(409, message).with_causes(causes)
}

#[cfg(test)]
mod tests;
