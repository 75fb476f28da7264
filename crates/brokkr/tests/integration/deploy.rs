//! What is in `deploy/`, rendered and looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::world::World;

pub(crate) fn kustomization(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/kustomize")
        .join(name)
}

/// Every object that a kustomization renders to.
pub(crate) fn rendered(name: &str) -> Vec<Value> {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(kustomization(name))
        .output()
        .expect("kubectl 1.21 or newer renders kustomizations; install it to run this test");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    documents(&String::from_utf8(output.stdout).expect("YAML is text"))
}

pub(crate) fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).expect("it is YAML")
}

fn of_kind<'objects>(objects: &'objects [Value], kind: &str) -> Vec<&'objects Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of this kind, whose name begins so: kustomize adds a hash to those of ConfigMaps.
#[track_caller]
fn one<'objects>(objects: &'objects [Value], kind: &str, name: &str) -> &'objects Value {
    let found: Vec<_> = of_kind(objects, kind)
        .into_iter()
        .filter(|object| {
            object["metadata"]["name"]
                .as_str()
                .is_some_and(|found| found == name || found.starts_with(&format!("{name}-")))
        })
        .collect();
    assert_eq!(found.len(), 1, "{kind} {name} in {objects:#?}");
    found[0]
}

fn pod_specs(objects: &[Value]) -> Vec<&Value> {
    objects
        .iter()
        .filter_map(|object| object.pointer("/spec/template/spec"))
        .collect()
}

const ALL: [&str; 4] = [
    "agent/base",
    "agent/cluster-wide",
    "broker/base",
    "broker/postgres",
];

#[test]
fn every_pod_keeps_to_the_restricted_profile_and_has_probes_and_bounds() {
    for name in ALL {
        let objects = rendered(name);
        let specs = pod_specs(&objects);
        assert_eq!(specs.len(), 1, "{name}");
        let spec = specs[0];
        // Pod Security Standards, profile "restricted".
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{name}"
        );
        let container = &spec["containers"][0];
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
        assert!(container["livenessProbe"].is_object(), "{name}");
        assert!(container["startupProbe"].is_object(), "{name}");
        assert!(container["resources"]["requests"]["memory"].is_string(), "{name}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
    }
}

#[test]
fn every_right_is_bound_to_the_agents_own_service_account() {
    for name in ["agent/base", "agent/cluster-wide"] {
        for object in rendered(name) {
            for subject in object["subjects"].as_array().into_iter().flatten() {
                assert_eq!(subject["name"], "brokkr-agent", "{object}");
                assert_eq!(subject["namespace"], "brokkr-agent", "{object}");
            }
        }
    }
}

#[test]
fn nothing_that_is_shipped_holds_a_credential() {
    for name in ALL {
        assert_eq!(of_kind(&rendered(name), "Secret").len(), 0, "{name}");
    }
}

#[test]
fn the_network_policies_let_nobody_in_to_agents_and_only_one_port_to_brokers() {
    for name in ALL {
        let objects = rendered(name);
        let policies = of_kind(&objects, "NetworkPolicy");
        assert_eq!(policies.len(), 1, "{name}");
        let spec = &policies[0]["spec"];
        let types: BTreeSet<&str> = spec["policyTypes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(types, BTreeSet::from(["Egress", "Ingress"]), "{name}");
        let open: Vec<_> = spec["ingress"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| rule["ports"][0]["port"].clone())
            .collect();
        let expected: Vec<Value> = match name.starts_with("broker/") {
            true => vec![3000.into()],
            false => Vec::new(),
        };
        assert_eq!(open, expected, "{name}");
    }
}

#[test]
fn several_brokers_share_postgres_and_no_volume() {
    let objects = rendered("broker/postgres");
    assert_eq!(of_kind(&objects, "StatefulSet").len(), 0);
    let deployment = one(&objects, "Deployment", "brokkr");
    assert_eq!(deployment["spec"]["replicas"], 3);
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(
        environment[0]["valueFrom"]["secretKeyRef"]["name"],
        "brokkr-database"
    );
    one(&objects, "PodDisruptionBudget", "brokkr");
}

async fn installed(arguments: &[&str]) -> Vec<Value> {
    let world = World::new();
    let base = [
        "agent",
        "install",
        "--dry-run",
        "--broker",
        "http://brokkr.brokkr.svc:3000",
    ];
    let printed = world.run(&[&base, arguments].concat()).await.with_code(0).stdout;
    documents(&printed)
}

/// What a Role or ClusterRole lets one do, in an order of its own.
fn rights(role: &Value) -> BTreeSet<String> {
    let list = |rule: &Value, field: &str| -> Vec<String> {
        let words = rule[field].as_array().expect("a list").iter();
        words
            .map(|word| word.as_str().expect("a text").to_owned())
            .collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().expect("rules") {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                for verb in list(rule, "verbs") {
                    rights.insert(format!("{verb} {group}/{resource}"));
                }
            }
        }
    }
    rights
}

#[tokio::test]
async fn the_shipped_rights_are_those_that_the_shipped_policies_need() {
    let printed = installed(&[]).await;
    let shipped = rendered("agent/base");
    for name in ["brokkr-agent", "brokkr-agent-identity"] {
        let role = |objects: &[Value]| {
            let roles = of_kind(objects, "Role");
            let role = roles.into_iter().find(|role| role["metadata"]["name"] == name);
            rights(role.unwrap_or_else(|| panic!("no Role {name}")))
        };
        assert_eq!(role(&printed), role(&shipped), "{name}");
    }
    let policy = kustomization("agent/cluster-wide/policy.yaml")
        .display()
        .to_string();
    let printed = installed(&["--policy", &policy]).await;
    let shipped = rendered("agent/cluster-wide");
    let everywhere = |objects: &[Value]| rights(of_kind(objects, "ClusterRole")[0]);
    assert_eq!(everywhere(&printed), everywhere(&shipped));
}

#[tokio::test]
async fn an_installation_names_the_secret_and_never_holds_the_key() {
    let arguments = [
        "--namespace",
        "team",
        "--secret",
        "my-key",
        "--image",
        "registry.test/brokkr:1",
        "--slots",
        "9",
    ];
    let objects = installed(&arguments).await;
    assert_eq!(of_kind(&objects, "Secret").len(), 0);
    let deployment = one(&objects, "Deployment", "brokkr-agent");
    assert_eq!(deployment["metadata"]["namespace"], "team");
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec["containers"][0]["image"], "registry.test/brokkr:1");
    let secret = spec["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|volume| volume["secret"]["secretName"].as_str());
    assert_eq!(secret, Some("my-key"));
    let configuration = one(&objects, "ConfigMap", "brokkr-agent");
    let toml = configuration["data"]["agent.toml"].as_str().unwrap();
    assert!(
        toml.contains("slots = 9") && toml.contains("brokkr.brokkr.svc"),
        "{toml}"
    );
}

#[tokio::test]
async fn the_configuration_in_an_installation_is_one_that_the_agent_accepts() {
    let objects = installed(&[]).await;
    let world = World::new();
    let toml = one(&objects, "ConfigMap", "brokkr-agent")["data"]["agent.toml"]
        .as_str()
        .unwrap();
    for (name, text) in [
        ("printed.toml", toml.to_owned()),
        (
            "shipped.toml",
            std::fs::read_to_string(kustomization("agent/base/agent.toml")).unwrap(),
        ),
        (
            "broker.toml",
            std::fs::read_to_string(kustomization("broker/base/broker.toml")).unwrap(),
        ),
        (
            "postgres.toml",
            std::fs::read_to_string(kustomization("broker/postgres/broker.toml")).unwrap(),
        ),
    ] {
        let file = world.file(name, &text);
        world
            .run(&["config", "show", "--config", &file])
            .await
            .with_code(0);
    }
}
