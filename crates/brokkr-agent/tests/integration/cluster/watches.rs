//! Watching one object across everything that interrupts a watch.

use std::pin::Pin;
use std::time::Duration;

use brokkr_agent::kube::{ClusterTiming, ObjectRef};
use brokkr_testkit_kube::{Fault, Verb};
use futures_util::{Stream, StreamExt};
use kube::api::DynamicObject;
use serde_json::json;
use tokio::time::timeout;

use super::{PATIENCE, Scene, config_map, owner, timing};

type States = Pin<Box<dyn Stream<Item = Option<DynamicObject>> + Send>>;

/// A watch of the settings, and what changes them.
struct Watched {
    scene: Scene,
    at: ObjectRef,
    states: States,
}

impl Watched {
    async fn start(timing: ClusterTiming) -> Self {
        let scene = Scene::with_timing(timing).await;
        let at = scene.at("v1", "ConfigMap", "settings").await;
        let states = scene.cluster.watch(&at).boxed();
        Self { scene, at, states }
    }

    /// With the settings there, and told.
    async fn following(timing: ClusterTiming) -> Self {
        let mut watched = Self::start(timing).await;
        watched.create("a").await;
        assert_eq!(watched.told("a").await, Some("a".to_owned()));
        watched
    }

    async fn create(&self, value: &str) {
        let object = config_map(&owner(1), value);
        self.scene
            .cluster
            .create(&self.at, &object, &owner(1))
            .await
            .unwrap();
    }

    async fn change(&self, value: &str) {
        let patch = json!({"data": {"key": value}});
        self.scene.cluster.merge(&self.at, &patch).await.unwrap();
    }

    async fn delete(&self) {
        assert!(
            self.scene
                .cluster
                .delete(&self.at, None, false, None)
                .await
                .unwrap()
        );
    }

    /// What the watch tells next: the value, or that there is none.
    async fn next(&mut self) -> Option<String> {
        let state = timeout(PATIENCE, self.states.next()).await;
        let state = state
            .expect("nothing was told in time")
            .expect("a watch never ends");
        state.map(|object| object.data["data"]["key"].as_str().unwrap().to_owned())
    }

    /// Waits until the watch has told this value, which may come after older ones.
    async fn told(&mut self, value: &str) -> Option<String> {
        loop {
            let next = self.next().await;
            if next.as_deref() == Some(value) {
                return next;
            }
        }
    }
}

#[tokio::test]
async fn the_present_state_comes_first_and_then_every_change() {
    let mut watched = Watched::start(timing()).await;
    assert_eq!(watched.next().await, None);
    watched.create("a").await;
    assert_eq!(watched.next().await, Some("a".to_owned()));
    watched.change("b").await;
    assert_eq!(watched.next().await, Some("b".to_owned()));
    watched.delete().await;
    assert_eq!(watched.next().await, None);
    watched.create("c").await;
    assert_eq!(watched.next().await, Some("c".to_owned()));
}

#[tokio::test]
async fn a_watch_goes_on_when_the_api_has_forgotten_its_version() {
    let mut watched = Watched::following(timing()).await;
    watched.change("b").await;
    watched.scene.kube.compact();
    watched.scene.kube.restart();
    watched.change("c").await;
    assert!(watched.told("c").await.is_some());
}

#[tokio::test]
async fn a_watch_goes_on_after_every_way_of_losing_its_connection() {
    let mut watched = Watched::following(timing()).await;
    for (number, fault) in [
        Fault::on(Verb::Watch, "configmaps").cut().times(2),
        Fault::on(Verb::Watch, "configmaps").status(500).times(2),
        Fault::on(Verb::Watch, "configmaps").status(410).times(1),
        Fault::on(Verb::Watch, "configmaps").cut_after(40).times(2),
        Fault::on(Verb::List, "configmaps")
            .status(429)
            .retry_after(1)
            .times(1),
    ]
    .into_iter()
    .enumerate()
    {
        watched.scene.kube.fault(fault);
        watched.scene.kube.restart();
        let value = format!("change {number}");
        watched.change(&value).await;
        assert!(watched.told(&value).await.is_some());
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_the_api_was_away() {
    let mut watched = Watched::following(timing()).await;
    watched.scene.kube.down();
    // Polled while the API is away, so that it notices.
    let away = timeout(Duration::from_millis(200), watched.states.next()).await;
    assert!(away.is_err(), "{away:?}");
    watched.scene.kube.up();
    watched.change("b").await;
    assert!(watched.told("b").await.is_some());
}

#[tokio::test]
async fn a_watch_that_is_never_answered_begins_anew() {
    let request_limit = Duration::from_millis(300);
    let mut watched = Watched::start(ClusterTiming {
        request_limit,
        ..timing()
    })
    .await;
    for verb in [Verb::List, Verb::Watch] {
        watched
            .scene
            .kube
            .fault(Fault::on(verb, "configmaps").hang().times(1));
    }
    assert_eq!(watched.next().await, None);
    watched.create("a").await;
    assert!(watched.told("a").await.is_some());
}

#[tokio::test]
async fn a_deletion_that_nobody_watched_is_told_afterwards() {
    let mut watched = Watched::following(timing()).await;
    watched.scene.kube.restart();
    watched.delete().await;
    watched.scene.kube.compact();
    while watched.next().await.is_some() {}
}
