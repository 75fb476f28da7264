//! The files of `deploy/kustomize/agent/base`, as they were when this program was built.

use anyhow::Context;
use serde_json::Value;

pub(crate) struct Base {
    pub(crate) namespace: Value,
    pub(crate) service_account: Value,
    pub(crate) deployment: Value,
    pub(crate) network_policy: Value,
}

impl Base {
    pub(crate) fn read() -> anyhow::Result<Self> {
        Ok(Self {
            namespace: parse(include_str!(
                "../../../../deploy/kustomize/agent/base/namespace.yaml"
            ))?,
            service_account: parse(include_str!(
                "../../../../deploy/kustomize/agent/base/serviceaccount.yaml"
            ))?,
            deployment: parse(include_str!(
                "../../../../deploy/kustomize/agent/base/deployment.yaml"
            ))?,
            network_policy: parse(include_str!(
                "../../../../deploy/kustomize/agent/base/networkpolicy.yaml"
            ))?,
        })
    }
}

fn parse(yaml: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(yaml).context("a file of deploy/kustomize/agent/base is no YAML")
}
