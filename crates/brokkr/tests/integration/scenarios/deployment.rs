//! What `deploy/kustomize` brings into a cluster.
//!
//! With an image of this program (`BROKKR_TEST_AGENT_IMAGE`) broker and agent are started in a real cluster, and have to complete
//! an order. Without one, the cluster has to accept every object.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::Value;

use super::cluster::Scene;
use crate::deploy::{documents, kustomization, rendered};
use crate::world::{Finished, Process, until};

const AGENT_IMAGE: &str = "BROKKR_TEST_AGENT_IMAGE";

#[tokio::test]
async fn every_object_of_the_kustomizations_is_accepted() {
    let scene = Scene::new().await;
    for name in ["agent/base", "broker/base"] {
        for object in rendered(name) {
            accept(&scene, object).await;
        }
    }
}

/// Asks the cluster whether it would take an object in the namespace of the scene.
async fn accept(scene: &Scene, mut object: Value) {
    let (api_version, kind) = (
        object["apiVersion"].as_str().expect("it is there").to_owned(),
        object["kind"].as_str().expect("it is there").to_owned(),
    );
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let api: Api<DynamicObject> = if kind == "Namespace" {
        Api::all_with(scene.client.clone(), &resource)
    } else {
        object["metadata"]["namespace"] = scene.namespace.clone().into();
        Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource)
    };
    let name = object["metadata"]["name"]
        .as_str()
        .expect("it is there")
        .to_owned();
    let mut params = PatchParams::apply("test");
    params.dry_run = true;
    let accepted = api.patch(&name, &params, &Patch::Apply(&object)).await;
    assert!(accepted.is_ok(), "{kind} {name}: {accepted:?}");
}

#[tokio::test]
async fn a_deployed_broker_and_agent_complete_an_order() {
    let Ok(image) = std::env::var(AGENT_IMAGE) else {
        // Only a cluster that can run this program can tell more than the test above.
        return;
    };
    let scene = Scene::new().await;
    let deployed = Deployed::new(&scene, &image);
    deployed.apply("test-broker").await;
    let forward = deployed.forward().await;
    let pak = deployed.admin_pak().await;
    let run = async |args: &[&str]| -> Finished {
        let variables = [("BROKKR_BROKER", forward.url.as_str()), ("BROKKR_PAK_FILE", &pak)];
        Process::start(scene.world.root(), args, &variables)
            .finish()
            .await
    };
    let agent_pak = scene.world.path("in-cluster.pak").display().to_string();
    run(&[
        "create",
        "agent",
        "in-cluster",
        "-l",
        "deployed",
        "--save-pak",
        &agent_pak,
    ])
    .await
    .with_code(0);
    let from_file = format!("--from-file=pak={agent_pak}");
    deployed.kubectl(&["create", "secret", "generic", "brokkr-agent", &from_file]);
    deployed.apply("test-agent").await;

    let done = run(&[
        "submit",
        "-f",
        &scene.job("echo from the cluster"),
        "-l",
        "deployed",
        "--follow",
    ])
    .await
    .with_code(0);

    assert_eq!(done.stdout, "from the cluster\n");
    let leases = deployed.kubectl(&["get", "leases", "-o", "name"]);
    assert!(
        leases.contains("brokkr-agent-"),
        "one process for each agent: {leases}"
    );
    until("the agent's pod is alive", async || {
        let ready = deployed.kubectl(&[
            "get",
            "deployment",
            "brokkr-agent",
            "-o",
            "jsonpath={.status.readyReplicas}",
        ]);
        (ready == "1").then_some(())
    })
    .await;
}

/// The kustomizations, changed so that both live in the namespace of a scene.
struct Deployed<'scene> {
    scene: &'scene Scene,
}

impl Deployed<'_> {
    fn new<'scene>(scene: &'scene Scene, image: &str) -> Deployed<'scene> {
        let deployed = Deployed { scene };
        copy(&kustomization(""), &deployed.path(""));
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let broker = format!(
            "patches:
  - target: {{kind: StatefulSet}}
    patch: |
      - {{op: remove, path: /spec/volumeClaimTemplates}}
      - {{op: add, path: /spec/template/spec/volumes/-, value: {{name: data, emptyDir: {{}}}}}}
      - {{op: add, path: /spec/template/spec/containers/0/imagePullPolicy, value: IfNotPresent}}
images: [{{name: brokkr, newName: {name}, newTag: {tag}}}]
"
        );
        deployed.overlay("test-broker", "../broker/base", &broker);
        let agent = format!(
            "configMapGenerator:
  - name: brokkr-agent
    behavior: merge
    files: [agent.toml]
patches:
  - target: {{kind: Deployment}}
    patch: |
      - {{op: add, path: /spec/template/spec/containers/0/imagePullPolicy, value: IfNotPresent}}
images: [{{name: brokkr, newName: {name}, newTag: {tag}}}]
"
        );
        deployed.overlay("test-agent", "../agent/base", &agent);
        let toml = fs::read_to_string(kustomization("agent/base/agent.toml")).expect("it is there");
        let toml = toml.replace("brokkr.brokkr.svc", &format!("brokkr.{}.svc", scene.namespace));
        fs::write(deployed.path("test-agent/agent.toml"), toml).expect("it is there");
        deployed
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.scene.world.path("kustomize").join(name)
    }

    fn overlay(&self, name: &str, base: &str, more: &str) {
        fs::create_dir_all(self.path(name)).expect("it is there");
        let text = format!("namespace: {}\nresources: [{base}]\n{more}", self.scene.namespace);
        fs::write(self.path(name).join("kustomization.yaml"), text).expect("it is there");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg("--kubeconfig")
            .arg(&self.scene.kubeconfig)
            .args(["--namespace", &self.scene.namespace])
            .args(args);
        command
    }

    fn kubectl(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("it is there");
        assert!(
            output.status.success(),
            "kubectl {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Applies an overlay and waits until what it brings is rolled out.
    async fn apply(&self, name: &str) {
        let path = self.path(name).display().to_string();
        let objects = documents(&self.kubectl(&["kustomize", &path]));
        self.kubectl(&["apply", "--server-side", "--validate=false", "-k", &path]);
        for object in objects {
            let kind = object["kind"].as_str().expect("it is there");
            if matches!(kind, "StatefulSet" | "Deployment") {
                let what = format!(
                    "{kind}/{}",
                    object["metadata"]["name"].as_str().expect("it is there")
                );
                self.kubectl(&["rollout", "status", "--timeout=120s", &what]);
            }
        }
    }

    /// The key that the broker printed at its first start, in a file.
    async fn admin_pak(&self) -> String {
        let pak = until("the administrator's key", async || {
            let log = self.kubectl(&["logs", "statefulset/brokkr"]);
            let mut words = log.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            words
                .find(|word| word.starts_with("brokkr_BR"))
                .map(str::to_owned)
        })
        .await;
        self.scene.world.file("deployed.pak", &pak)
    }

    /// A way from here to the broker in the cluster.
    async fn forward(&self) -> Forward {
        let log = self.scene.world.path("forward.log");
        let out = fs::File::create(&log).expect("it is there");
        let child = self
            .command(&["port-forward", "service/brokkr", ":3000"])
            .stdout(out)
            .stderr(Stdio::null())
            .spawn()
            .expect("it is there");
        let mut forward = Forward {
            child,
            url: String::new(),
        };
        forward.url = until("a port", async || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let port = text
                .split("127.0.0.1:")
                .nth(1)?
                .split_whitespace()
                .next()?
                .to_owned();
            Some(format!("http://127.0.0.1:{port}"))
        })
        .await;
        forward
    }
}

struct Forward {
    child: Child,
    url: String,
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is there");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("it is there");
        }
    }
}
