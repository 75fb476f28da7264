//! What the program tells about an agent's cluster and its rules, against a cluster that a test leads.

use brokkr_testkit_kube::FakeKube;
use serde_json::{Value, json};

use crate::world::{BrokerProcess, Database, Process, World, example, until};

/// A configuration of an agent in this cluster.
fn configuration(world: &World, kube: &FakeKube, policy: &str) -> String {
    let kubeconfig = world.file("kubeconfig", &kube.kubeconfig());
    let policy = world.file("policy.yaml", policy);
    world.file(
        "agent.toml",
        &format!(
            "[agent]\npolicy_file = {policy:?}\n[agent.kubernetes]\nenabled = true\nkubeconfig = {kubeconfig:?}\nnamespace = \"shop\"\n"
        ),
    )
}

/// What `brokkr doctor` found of these checks: verdict, what it found, and what to do.
async fn findings(world: &World, configuration: &str, check: &str) -> Vec<(String, String, String)> {
    let finished = world
        .run(&["doctor", "--config", configuration, "-o", "json"])
        .await;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all = finished.json();
    let all = all.as_array().expect("a list of findings").iter();
    all.filter(|finding| finding["check"] == check)
        .map(|finding| {
            (
                text(finding, "verdict"),
                text(finding, "found"),
                text(finding, "fix"),
            )
        })
        .collect()
}

#[tokio::test]
async fn doctor_tells_the_version_of_the_cluster_and_that_all_rights_are_there() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    let configuration = configuration(&world, &kube, "namespaces: {allow: [shop, till]}\n");
    let cluster = findings(&world, &configuration, "cluster").await;
    assert_eq!(cluster.len(), 1, "{cluster:?}");
    let (verdict, found, _) = &cluster[0];
    assert_eq!(verdict, "good", "{found}");
    assert!(
        found.contains("Kubernetes v1.") && found.contains("namespace shop"),
        "{found}"
    );
    let rights = findings(&world, &configuration, "rights").await;
    assert_eq!(rights.len(), 2, "one for each namespace: {rights:?}");
    assert!(rights.iter().all(|(verdict, ..)| verdict == "good"), "{rights:?}");
    assert_eq!(findings(&world, &configuration, "policy").await[0].0, "good");
}

#[tokio::test]
async fn doctor_names_the_rights_that_are_missing_and_what_to_do() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    kube.forbid("create", "jobs", None);
    kube.forbid("get", "pods/log", Some("shop"));
    let configuration = configuration(&world, &kube, "{}\n");
    let rights = findings(&world, &configuration, "rights").await;
    let [(verdict, found, fix)] = rights.as_slice() else {
        panic!("{rights:?}")
    };
    assert_eq!(verdict, "bad");
    assert_eq!(
        found,
        "in shop the agent may not: create jobs.batch, get pods/log"
    );
    assert!(fix.contains("brokkr agent install"), "{fix}");
}

#[tokio::test]
async fn doctor_says_whether_builds_can_be_done() {
    let world = World::new();
    for (served, verdict) in [(true, "good"), (false, "skipped")] {
        let kube = FakeKube::builder().shipwright(served).start().await;
        let configuration = configuration(&world, &kube, "{}\n");
        let found = findings(&world, &configuration, "Shipwright").await;
        assert_eq!(found[0].0, verdict, "{found:?}");
    }
}

#[tokio::test]
async fn doctor_finds_a_cluster_that_does_not_answer_and_a_policy_that_cannot_be_read() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    kube.down();
    let configuration = configuration(&world, &kube, "slots:\n  custom: 0\n");
    let cluster = findings(&world, &configuration, "cluster").await;
    assert_eq!(cluster[0].0, "bad", "{cluster:?}");
    let policy = findings(&world, &configuration, "policy").await;
    assert_eq!(policy[0].0, "bad");
    assert!(
        policy[0].1.contains("policy.yaml: line 2: slots.custom"),
        "{policy:?}"
    );
}

/// A broker, and an agent of it with the label `kube` that works in the cluster.
async fn broker_and_agent(world: &World, kube: &FakeKube, policy: &str) -> (BrokerProcess, Process) {
    kube.create(
        "namespaces",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
    );
    let broker = BrokerProcess::start(world, &Database::sqlite(world)).await;
    let pak_file = world.path("agent.pak").display().to_string();
    let create = ["create", "agent", "prod", "-l", "kube", "--save-pak", &pak_file];
    broker.run(world, &create).await.with_code(0);
    let configuration = configuration(world, kube, policy);
    let (state, url) = (world.path("agent.state").display().to_string(), broker.url());
    let agent = world.start(&[
        "agent",
        "--config",
        &configuration,
        "--broker",
        &url,
        "--pak-file",
        &pak_file,
        "--state-dir",
        &state,
    ]);
    (broker, agent)
}

/// Waits until the broker shows this about the agent.
async fn shown(broker: &BrokerProcess, world: &World, mut look: impl FnMut(&Value) -> bool) -> Value {
    until("what is shown of the agent", async || {
        let agents = broker.run(world, &["get", "agents", "-o", "json"]).await.json();
        let agent = agents[0].clone();
        look(&agent).then_some(agent)
    })
    .await
}

#[tokio::test]
async fn a_build_ends_with_the_digest_of_its_image() {
    let world = World::new();
    let kube = FakeKube::builder().shipwright(true).start().await;
    let (broker, _agent) = broker_and_agent(&world, &kube, "{}\n").await;
    let done = broker
        .run(
            &world,
            &["submit", "-f", &example("build.yaml"), "-l", "kube", "--follow"],
        )
        .await
        .with_code(0);
    let entry = broker
        .run(&world, &["get", "log", &done.order(), "-o", "json"])
        .await
        .json();
    assert_eq!(entry["work_type"], "build", "{entry}");
    let message = entry["result_message"].as_str().unwrap_or_default();
    assert!(message.contains("sha256:"), "{entry}");
    assert_eq!(kube.list("buildruns", Some("shop")).len(), 1);
}

#[tokio::test]
async fn without_shipwright_builds_are_not_claimed_and_the_agents_state_says_why() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    let (broker, _agent) = broker_and_agent(&world, &kube, "{}\n").await;
    shown(&broker, &world, |agent| {
        agent["state"]
            .as_str()
            .is_some_and(|state| state.starts_with("running; no build: "))
    })
    .await;
    let order = broker
        .run(&world, &["submit", "-f", &example("build.yaml"), "-l", "kube"])
        .await
        .with_code(0)
        .order();
    // Other work is claimed meanwhile.
    let job = example("job-migration.yaml");
    broker
        .run(&world, &["submit", "-f", &job, "-l", "kube", "--follow"])
        .await
        .with_code(0);
    let waiting = broker
        .run(&world, &["get", "order", &order, "-o", "json"])
        .await
        .json();
    assert_eq!(
        (&waiting["status"], &waiting["attempt"]),
        (&"PENDING".into(), &0.into()),
        "{waiting}"
    );
}

#[tokio::test]
async fn an_agent_outside_its_windows_says_so_where_agents_are_shown() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    // The 29th of February comes, but not during this test (unless it runs on one).
    let policy = "windows: [{start: '0 0 29 2 *', duration: 1m}]\n";
    let (broker, _agent) = broker_and_agent(&world, &kube, policy).await;
    let agent = shown(&broker, &world, |agent| {
        let told = agent["state"]
            .as_str()
            .is_some_and(|state| state.starts_with("closed until 20"));
        told && agent["k8s_reachable"] == true
    })
    .await;
    let table = broker.run(&world, &["get", "agents"]).await.with_code(0).stdout;
    assert!(
        table.contains("STATE") && table.contains("closed until"),
        "{table}"
    );
    let described = broker
        .run(&world, &["describe", "agent", "prod"])
        .await
        .with_code(0)
        .stdout;
    let told = agent["state"].as_str().unwrap();
    assert!(
        described.contains(told) && described.contains("reachable ("),
        "{described}"
    );
    let state = world.path("agent.state").display().to_string();
    let alive = world
        .run(&["agent", "alive", "--state-dir", &state])
        .await
        .with_code(0)
        .stdout;
    assert!(
        alive.contains("closed until") && alive.contains("the broker answered"),
        "{alive}"
    );
}

#[tokio::test]
async fn a_document_that_no_agent_would_take_is_told_with_file_and_line_before_anything_is_sent() {
    let world = World::new();
    let file = world.file(
        "two.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
    );
    // There is no broker: nothing was asked for before.
    let finished = world
        .run_with(
            &[("BROKKR_BROKER", "http://127.0.0.1:9")],
            &["submit", "-f", &file, "-l", "x"],
        )
        .await
        .with_code(2);
    assert!(finished.stderr.contains("two.yaml:"), "{finished:?}");
    assert!(finished.stderr.contains("document 2: metadata"), "{finished:?}");
}

#[tokio::test]
async fn an_agent_with_a_kubeconfig_that_is_not_there_says_so_and_ends() {
    let (world, kube) = (World::new(), FakeKube::start().await);
    let configuration = configuration(&world, &kube, "{}\n");
    let pak_file = world.file("agent.pak", "brokkr_BRtest_test\n");
    let nowhere = world.path("nowhere").display().to_string();
    let finished = world
        .run(&[
            "agent",
            "--config",
            &configuration,
            "--broker",
            "http://127.0.0.1:9",
            "--pak-file",
            &pak_file,
            "--kubeconfig",
            &nowhere,
        ])
        .await;
    assert_ne!(finished.code, Some(0));
    assert!(finished.stderr.contains("agent.kubernetes"), "{finished:?}");
}
