//! One process for each agent in a cluster.

use std::sync::Arc;
use std::time::Duration;

use brokkr_agent::clock::SystemClock;
use brokkr_agent::kube::ObjectRef;
use brokkr_agent::kube::identity::ClusterLease;
use brokkr_testkit_kube::{Fault, Verb};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{PATIENCE, Scene, object, owner};

const AGENT: Uuid = Uuid::from_u128(1);
const VALID: Duration = Duration::from_secs(1);

impl Scene {
    fn process(&self, instance: &str) -> ClusterLease {
        ClusterLease::new(self.cluster.clone(), "default", instance, Arc::new(SystemClock)).valid_for(VALID)
    }

    async fn lease(&self) -> ObjectRef {
        let name = format!("brokkr-agent-{AGENT}");
        self.at("coordination.k8s.io/v1", "Lease", &name).await
    }

    async fn spec(&self) -> Value {
        let lease = self.cluster.get(&self.lease().await).await.unwrap().unwrap();
        lease.data["spec"].clone()
    }
}

/// Completes soon, or fails the test.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("it did not happen in time")
}

/// Whether it has not happened for as long as a Lease is valid without renewals.
async fn is_pending(future: impl Future) -> bool {
    timeout(VALID * 2, future).await.is_err()
}

#[tokio::test]
async fn the_second_process_waits_until_the_first_gives_the_lease_back() {
    let scene = Scene::start().await;
    let (first, second) = (scene.process("first"), scene.process("second"));
    soon(first.acquire(AGENT)).await.unwrap();

    assert!(is_pending(second.acquire(AGENT)).await, "both serve the agent");
    first.release().await;
    soon(second.acquire(AGENT)).await.unwrap();

    assert_eq!(scene.spec().await["holderIdentity"], "second");
}

#[tokio::test]
async fn the_second_process_takes_over_from_one_that_is_gone() {
    let scene = Scene::start().await;
    let gone = json!({
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 1, "renewTime": "2038-01-01T00:00:00.000000Z"},
    });
    let at = scene.lease().await;
    scene.cluster.create(&at, &object(gone), &owner(1)).await.unwrap();

    let begun = Instant::now();
    let second = scene.process("second");
    soon(second.acquire(AGENT)).await.unwrap();

    assert!(VALID <= begun.elapsed(), "{:?}", begun.elapsed());
    let spec = scene.spec().await;
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseTransitions"]),
        (&json!("second"), &json!(1))
    );
}

#[tokio::test]
async fn a_process_hears_that_another_has_taken_the_lease() {
    let scene = Scene::start().await;
    let first = scene.process("first");
    soon(first.acquire(AGENT)).await.unwrap();
    let taken = json!({"spec": {"holderIdentity": "other", "renewTime": "2038-01-01T00:00:00.000000Z"}});
    scene.cluster.merge(&scene.lease().await, &taken).await.unwrap();

    assert_eq!(soon(first.lost()).await, "other");
    first.release().await;
    assert_eq!(scene.spec().await["holderIdentity"], "other");
}

#[tokio::test]
async fn an_api_that_is_away_neither_takes_nor_loses_the_lease() {
    let scene = Scene::start().await;
    let first = scene.process("first");
    soon(first.acquire(AGENT)).await.unwrap();

    scene.kube.down();
    assert!(is_pending(first.lost()).await, "the lease was lost to nobody");
    scene.kube.up();
    scene
        .kube
        .fault(Fault::on(Verb::Update, "leases").lose_answer().times(2));
    assert!(is_pending(first.lost()).await, "the lease was lost to nobody");
    assert_eq!(scene.spec().await["holderIdentity"], "first");
}

#[tokio::test]
async fn a_lease_that_somebody_deleted_is_made_again() {
    let scene = Scene::start().await;
    let first = scene.process("first");
    soon(first.acquire(AGENT)).await.unwrap();
    let at = scene.lease().await;
    assert!(scene.cluster.delete(&at, None, false, None).await.unwrap());

    let until = Instant::now() + PATIENCE;
    while scene.cluster.get(&at).await.unwrap().is_none() {
        assert!(Instant::now() < until, "the lease was not made again");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(scene.spec().await["holderIdentity"], "first");
}

#[tokio::test]
async fn two_processes_that_start_together_never_both_have_the_lease() {
    let scene = Scene::start().await;
    let (first, second) = (scene.process("first"), scene.process("second"));
    let both = async { tokio::join!(first.acquire(AGENT), second.acquire(AGENT)) };
    assert!(is_pending(both).await, "both serve the agent");
}

#[tokio::test]
async fn a_process_that_just_drops_the_lease_gives_it_back_too() {
    let scene = Scene::start().await;
    let first = scene.process("first");
    soon(first.acquire(AGENT)).await.unwrap();
    drop(first);

    let until = Instant::now() + PATIENCE;
    while scene.spec().await.get("holderIdentity").is_some() {
        assert!(Instant::now() < until, "the lease was not given back");
        sleep(Duration::from_millis(20)).await;
    }
}
