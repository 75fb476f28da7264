//! The parts of a pod's spec that this kubelet understands.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(default)]
    pub(super) init_containers: Vec<ContainerSpec>,
    pub(super) containers: Vec<ContainerSpec>,
    #[serde(default)]
    pub(super) volumes: Vec<Volume>,
    #[serde(default)]
    pub(super) restart_policy: RestartPolicy,
    pub(super) termination_grace_period_seconds: Option<u64>,
    pub(super) node_name: Option<String>,
    #[serde(default)]
    pub(super) node_selector: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    pub(super) fn restarts_after(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerSpec {
    pub(super) name: String,
    #[serde(default)]
    pub(super) image: String,
    pub(super) image_pull_policy: Option<String>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<Variable>,
    #[serde(default)]
    pub(super) env_from: Vec<VariableSource>,
    #[serde(default = "termination_log")]
    pub(super) termination_message_path: String,
    #[serde(default)]
    pub(super) termination_message_policy: MessagePolicy,
}

fn termination_log() -> String {
    "/dev/termination-log".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(super) enum MessagePolicy {
    #[default]
    File,
    FallbackToLogsOnError,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) value_from: Option<ValueFrom>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ValueFrom {
    pub(super) config_map_key_ref: Option<KeyReference>,
    pub(super) secret_key_ref: Option<KeyReference>,
    pub(super) field_ref: Option<FieldReference>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldReference {
    pub(super) field_path: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct KeyReference {
    pub(super) name: String,
    pub(super) key: String,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VariableSource {
    #[serde(default)]
    pub(super) prefix: String,
    pub(super) config_map_ref: Option<Reference>,
    pub(super) secret_ref: Option<Reference>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) name: String,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) config_map: Option<Reference>,
    pub(super) secret: Option<SecretVolume>,
    pub(super) persistent_volume_claim: Option<ClaimVolume>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretVolume {
    pub(super) secret_name: String,
    #[serde(default)]
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimVolume {
    pub(super) claim_name: String,
}

impl PodSpec {
    /// The spec of a pod, when it can be understood.
    pub(super) fn of(pod: &Value) -> Result<Self, serde_json::Error> {
        let mut spec = pod["spec"].clone();
        remove_nulls(&mut spec);
        serde_json::from_value(spec)
    }
}

/// To Kubernetes a field that is null is one that is not there.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
