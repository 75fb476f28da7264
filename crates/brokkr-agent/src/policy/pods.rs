//! The pods that an object brings about, wherever in it they are described.

use serde_json::{Map, Value};

/// Fields that hold the containers of a pod.
const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// Fields of a pod with which it shares what is the node's.
const HOST_NAMESPACES: [&str; 3] = ["hostNetwork", "hostPID", "hostIPC"];
/// What a container may have added to what it can do (Pod Security Standards, profile "baseline").
const HARMLESS_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The description of a pod, and where in the object it is.
pub(super) struct PodSpec<'a> {
    spec: &'a Map<String, Value>,
    path: String,
}

/// Everything in the object that describes a pod. It is known by its lists of containers, so that kinds are covered that
/// nobody has heard of yet.
pub(super) fn found_in(object: &Value) -> Vec<PodSpec<'_>> {
    let mut found = Vec::new();
    find(object, String::new(), &mut found);
    found
}

fn find<'a>(value: &'a Value, path: String, found: &mut Vec<PodSpec<'a>>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let separator = if path.is_empty() { "" } else { "." };
                find(inner, format!("{path}{separator}{name}"), found);
            }
            if CONTAINER_LISTS
                .iter()
                .any(|list| map.get(*list).is_some_and(Value::is_array))
            {
                found.push(PodSpec { spec: map, path });
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                find(inner, format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

impl<'a> PodSpec<'a> {
    /// Every image that runs or is mounted, and its field. One that is missing is an empty text.
    pub(super) fn images(&self) -> Vec<(String, &'a str)> {
        let containers = self.containers().into_iter().map(|(path, container)| {
            let image = container["image"].as_str().unwrap_or_default();
            (format!("{path}.image"), image)
        });
        let mounted = self.items("volumes").into_iter().filter_map(|(path, volume)| {
            let image = volume.get("image")?;
            let reference = image["reference"].as_str().unwrap_or_default();
            Some((format!("{path}.image.reference"), reference))
        });
        containers.chain(mounted).collect()
    }

    /// The service account that it names, and its field. The older name of the field counts as well.
    pub(super) fn service_account(&self) -> Option<(String, &'a str)> {
        ["serviceAccountName", "serviceAccount"]
            .into_iter()
            .find_map(|name| {
                let account = self
                    .spec
                    .get(name)?
                    .as_str()
                    .filter(|account| !account.is_empty())?;
                Some((self.field(name), account))
            })
    }

    /// The first field that gives the pod something of its node (what the Pod Security Standards forbid from "baseline" on:
    /// namespaces, paths and ports of the host, privileged containers, capabilities, unmasked /proc).
    pub(super) fn opening(&self) -> Option<String> {
        let namespace = HOST_NAMESPACES
            .into_iter()
            .find(|name| is_true(self.spec.get(*name)))
            .map(|name| self.field(name));
        let host_process = || {
            let context = self.spec.get("securityContext")?;
            is_true(context.pointer("/windowsOptions/hostProcess"))
                .then(|| self.field("securityContext.windowsOptions.hostProcess"))
        };
        let host_path = || {
            let volumes = self.items("volumes");
            let (path, _) = volumes
                .iter()
                .find(|(_, volume)| volume.get("hostPath").is_some())?;
            Some(format!("{path}.hostPath"))
        };
        let container = || {
            self.containers()
                .into_iter()
                .find_map(|(path, container)| Some(format!("{path}.{}", container_opening(container)?)))
        };
        namespace
            .or_else(host_process)
            .or_else(host_path)
            .or_else(container)
    }

    fn containers(&self) -> Vec<(String, &'a Value)> {
        CONTAINER_LISTS
            .into_iter()
            .flat_map(|list| self.items(list))
            .collect()
    }

    fn items(&self, list: &str) -> Vec<(String, &'a Value)> {
        let items = self
            .spec
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        items
            .enumerate()
            .map(|(index, item)| (format!("{}[{index}]", self.field(list)), item))
            .collect()
    }

    fn field(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

fn container_opening(container: &Value) -> Option<String> {
    let context = &container["securityContext"];
    if is_true(context.get("privileged")) {
        return Some("securityContext.privileged".to_owned());
    }
    if is_true(context.pointer("/windowsOptions/hostProcess")) {
        return Some("securityContext.windowsOptions.hostProcess".to_owned());
    }
    if context["procMount"]
        .as_str()
        .is_some_and(|mount| mount != "Default")
    {
        return Some("securityContext.procMount".to_owned());
    }
    let added = context.pointer("/capabilities/add").and_then(Value::as_array);
    let harmless = |capability: &Value| {
        capability
            .as_str()
            .is_some_and(|name| HARMLESS_CAPABILITIES.contains(&name))
    };
    if let Some(index) = added.and_then(|added| added.iter().position(|capability| !harmless(capability))) {
        return Some(format!("securityContext.capabilities.add[{index}]"));
    }
    let ports = container["ports"].as_array().into_iter().flatten();
    let host_port = |port: &Value| port["hostPort"].as_u64().is_some_and(|port| port != 0);
    let index = ports.into_iter().position(host_port)?;
    Some(format!("ports[{index}].hostPort"))
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests;
