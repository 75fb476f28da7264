use brokkr_api::FailureClass;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, Scene, container};

fn spec(change: impl FnOnce(&mut Value)) -> Value {
    let mut spec = json!({ "restartPolicy": "Never", "containers": [container("app", "true")] });
    change(&mut spec);
    spec
}

fn with_image(image: &str) -> Value {
    spec(|spec| spec["containers"][0]["image"] = json!(image))
}

fn without_its_secret() -> Value {
    spec(|spec| spec["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": "missing" } }]))
}

fn for_no_node() -> Value {
    spec(|spec| spec["nodeSelector"] = json!({ "disk": "none" }))
}

#[rstest]
#[case::image(with_image("registry.shop.test/nothing:1"), &["ErrImagePull", "ImagePullBackOff"], FailureClass::Infrastructure)]
#[case::name(with_image("Registry/NOTHING"), &["InvalidImageName"], FailureClass::Work)]
#[case::secret(without_its_secret(), &["CreateContainerConfigError"], FailureClass::Work)]
#[case::node(for_no_node(), &["Unschedulable"], FailureClass::Infrastructure)]
#[tokio::test]
async fn a_pod_that_cannot_run_says_why(
    #[case] spec: Value,
    #[case] reasons: &[&str],
    #[case] class: FailureClass,
) {
    let scene = Scene::start().await;
    let (observer, _printed) = scene.observe();
    scene.create("work", spec);

    let trouble = timeout(PATIENCE, observer.trouble()).await.unwrap();

    assert!(reasons.contains(&trouble.reason.as_str()), "{trouble:?}");
    assert_eq!((trouble.pod.as_str(), trouble.class), ("work", class));
    assert!(!trouble.message.is_empty());
    let evidence = observer.finish(PATIENCE).await;
    assert!(!evidence.pods[0].events.is_empty());
}

#[tokio::test]
async fn a_pod_that_was_taken_away_is_in_no_trouble() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.create("work", with_image("registry.shop.test/nothing:1"));
    scene.run("other", "echo begun; sleep 60");
    printed.until("begun\n").await;
    scene.kube.delete("pods", Some("default"), "work");
    scene
        .kube
        .until("the pod gone", |kube| {
            kube.get("pods", Some("default"), "work").is_none().then_some(())
        })
        .await;
    // The watch has seen that once it sees what came later.
    scene.run("later", "echo later");
    printed.until("later\n").await;

    let long = scene.cluster.timing().stuck_limit * 2;

    assert!(timeout(long, observer.trouble()).await.is_err());
}

#[tokio::test]
async fn an_evicted_pod_is_no_fault_of_the_work() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.run("work", "echo begun; sleep 60");
    printed.until("begun\n").await;
    scene.kube.evict("default", "work");
    scene.until_phase("work", "Failed").await;

    let evidence = observer.finish(PATIENCE).await;

    assert_eq!(evidence.class(), FailureClass::Infrastructure);
    assert_eq!(evidence.pods[0].reason.as_deref(), Some("Evicted"));
    assert!(evidence.headline().unwrap().contains("was taken away"));
}

#[tokio::test]
async fn a_container_that_ran_out_of_memory_is_the_works_own_failure() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.run("work", "echo begun; sleep 60");
    printed.until("begun\n").await;
    scene.kube.oom_kill("default", "work", "app");
    scene.until_phase("work", "Failed").await;

    let evidence = observer.finish(PATIENCE).await;

    assert_eq!(evidence.class(), FailureClass::Work);
    assert_eq!(
        evidence.headline().as_deref(),
        Some("container app of pod work exited with 137 (OOMKilled)")
    );
}

#[tokio::test]
async fn what_was_seen_of_a_pod_stays_when_it_is_deleted() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.run("work", "echo begun; exit 3");
    scene.until_phase("work", "Failed").await;
    printed.until("begun\n").await;
    scene.kube.delete("pods", Some("default"), "work");
    scene
        .kube
        .until("the pod gone", |kube| {
            kube.get("pods", Some("default"), "work").is_none().then_some(())
        })
        .await;

    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(printed.text(), "==> work/app <==\nbegun\n");
    assert_eq!(evidence.exit_code(), Some(3));
    assert!(evidence.lines().iter().any(|line| line.contains("event Started")));
}
