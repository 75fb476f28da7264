//! The manifests that install an agent in a cluster: those of `deploy/kustomize/agent/base`, filled in for one agent, with the
//! rights that its policy needs.

mod base;
pub(crate) mod rights;

use anyhow::Context;
use brokkr_agent::policy::ClusterPolicy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use base::Base;
use rights::Rights;

/// Under this name everything is installed unless another one is given; also the name of the Secret.
pub(crate) const NAME: &str = "brokkr-agent";

/// What an agent may do when nothing else is said.
pub(crate) const DEFAULT_POLICY: &str = include_str!("../../../../deploy/kustomize/agent/base/policy.yaml");

/// One agent in one cluster.
#[derive(Debug)]
pub(crate) struct Installation {
    /// Where the agent lives.
    pub(crate) namespace: String,
    /// The name of everything that is created for it.
    pub(crate) name: String,
    /// The broker's address.
    pub(crate) broker: String,
    /// The Secret whose key `pak` holds the agent's PAK.
    pub(crate) secret: String,
    /// The image.
    pub(crate) image: String,
    /// Certificates to trust, as PEM, instead of those of the system.
    pub(crate) ca: Option<String>,
    /// How many orders run at the same time.
    pub(crate) slots: Option<usize>,
    /// What the agent may do.
    pub(crate) policy: ClusterPolicy,
    /// The same as it was written.
    pub(crate) policy_text: String,
}

impl Installation {
    /// Every object, in the order in which they can be applied.
    ///
    /// # Errors
    /// When one of the files that this is made from was changed so that it cannot be filled in any more.
    pub(crate) fn objects(&self) -> anyhow::Result<Vec<Value>> {
        let base = Base::read()?;
        let rights = Rights::of(&self.policy, &self.namespace);
        let mut objects = vec![
            self.namespace_object(base.namespace),
            self.placed(base.service_account),
            self.configuration(),
        ];
        objects.extend(rights.objects(&self.name, &self.namespace));
        objects.push(self.deployment(base.deployment)?);
        objects.push(self.placed(base.network_policy));
        for object in &mut objects {
            label(object);
        }
        Ok(objects)
    }

    fn namespace_object(&self, mut namespace: Value) -> Value {
        namespace["metadata"]["name"] = json!(self.namespace);
        namespace
    }

    fn placed(&self, mut object: Value) -> Value {
        object["metadata"]["name"] = json!(self.name);
        object["metadata"]["namespace"] = json!(self.namespace);
        object
    }

    fn configuration(&self) -> Value {
        let mut data = json!({ "agent.toml": self.agent_toml(), "policy.yaml": self.policy_text });
        if let Some(ca) = &self.ca {
            data["ca.pem"] = json!(ca);
        }
        self.placed(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data }))
    }

    fn agent_toml(&self) -> String {
        let mut agent = toml::Table::from_iter([
            ("broker".to_owned(), self.broker.clone().into()),
            ("pak_file".to_owned(), "/etc/brokkr/pak/pak".into()),
            ("state_dir".to_owned(), "/var/lib/brokkr/agent".into()),
            // A pod that is stopped gets one signal, and work in the cluster goes on without the agent.
            ("drain_seconds".to_owned(), 5.into()),
            ("policy_file".to_owned(), "/etc/brokkr/agent/policy.yaml".into()),
        ]);
        if self.ca.is_some() {
            agent.insert("ca_file".to_owned(), "/etc/brokkr/agent/ca.pem".into());
        }
        if let Some(slots) = self.slots {
            agent.insert("slots".to_owned(), (slots as i64).into());
        }
        agent.insert(
            "kubernetes".to_owned(),
            toml::Table::from_iter([("enabled".to_owned(), true.into())]).into(),
        );
        toml::Table::from_iter([
            ("agent".to_owned(), toml::Value::from(agent)),
            (
                "telemetry".to_owned(),
                toml::Table::from_iter([("log_format".to_owned(), "json".into())]).into(),
            ),
        ])
        .to_string()
    }

    fn deployment(&self, deployment: Value) -> anyhow::Result<Value> {
        let mut deployment = self.placed(deployment);
        let changed = "deploy/kustomize/agent/base/deployment.yaml is not what this is made for";
        let template = deployment.pointer_mut("/spec/template").context(changed)?;
        // Another configuration starts another pod.
        let digest = Sha256::digest(self.configuration().to_string().as_bytes());
        template["metadata"]["annotations"] = json!({ "brokkr.io/configuration": digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() });
        let spec = template.pointer_mut("/spec").context(changed)?;
        spec["serviceAccountName"] = json!(self.name);
        spec["containers"][0]["image"] = json!(self.image);
        let volumes = spec["volumes"].as_array_mut().context(changed)?;
        for volume in volumes {
            if volume.get("configMap").is_some() {
                volume["configMap"]["name"] = json!(self.name);
            }
            if volume.get("secret").is_some() {
                volume["secret"]["secretName"] = json!(self.secret);
            }
        }
        Ok(deployment)
    }
}

/// What tells these objects from those of others, as the kustomization does it.
fn label(object: &mut Value) {
    object["metadata"]["labels"]["app.kubernetes.io/name"] = json!("brokkr");
    object["metadata"]["labels"]["app.kubernetes.io/component"] = json!("agent");
}

/// The objects as one YAML text of several documents.
///
/// # Errors
/// When an object cannot be written as YAML.
pub(crate) fn yaml(objects: &[Value]) -> anyhow::Result<String> {
    let documents: Vec<String> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).context("could not write an object as YAML"))
        .collect::<Result<_, _>>()?;
    Ok(documents.join("---\n"))
}
