//! What the client may not do. Whatever no test has forbidden is allowed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::status::Status;

/// All that is forbidden. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Authorization(Arc<Mutex<Vec<Forbidden>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Forbidden {
    verb: String,
    resource: String,
    namespace: Option<String>,
}

/// A question to the authoriser, in its own words: apply is `patch`, a log is `get` of `pods/log`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl Access<'_> {
    fn full_resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_owned(),
        }
    }
}

impl Authorization {
    pub(crate) fn forbid(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        self.lock().push(Forbidden::new(verb, resource, namespace));
    }

    pub(crate) fn allow(&self, verb: &str, resource: &str, namespace: Option<&str>) {
        let rule = Forbidden::new(verb, resource, namespace);
        self.lock().retain(|forbidden| *forbidden != rule);
    }

    pub(crate) fn allows(&self, access: Access<'_>) -> bool {
        !self.lock().iter().any(|forbidden| forbidden.covers(access))
    }

    pub(crate) fn check(&self, access: Access<'_>) -> Result<(), Status> {
        if self.allows(access) {
            return Ok(());
        }
        let Access {
            verb,
            group,
            namespace,
            name,
            ..
        } = access;
        let resource = access.full_resource();
        let qualified = if group.is_empty() {
            resource.clone()
        } else {
            format!("{resource}.{group}")
        };
        let named = if name.is_empty() {
            String::new()
        } else {
            format!(" {name:?}")
        };
        let place = namespace.map_or_else(
            || "at the cluster scope".to_owned(),
            |namespace| format!("in the namespace {namespace:?}"),
        );
        let message = format!(
            "{qualified}{named} is forbidden: User \"tester\" cannot {verb} resource {resource:?} in API group {group:?} {place}"
        );
        Err(Status::of_code(403, message).about(group, access.resource, name))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Forbidden>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forbidden {
    fn new(verb: &str, resource: &str, namespace: Option<&str>) -> Self {
        Self {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    fn covers(&self, access: Access<'_>) -> bool {
        (self.verb == "*" || self.verb == access.verb)
            && (self.resource == "*" || self.resource == access.full_resource())
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| access.namespace == Some(namespace))
    }
}
