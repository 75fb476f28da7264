//! What an API server makes of an object before it keeps it: defaults, then checks.

use serde_json::Value;

use crate::resources::Resource;
use crate::status::Status;

mod defaults;
mod validation;

/// Fills in defaults and looks for what may not be; `live` is the object that is to be replaced.
pub(crate) fn admit(resource: &Resource, object: &mut Value, live: Option<&Value>) -> Result<(), Status> {
    defaults::fill(resource, object, live.is_none());
    let causes = validation::problems(resource, object, live);
    if causes.is_empty() {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::invalid(&resource.group, &resource.kind, name, causes))
}
