use std::pin::pin;

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Scene, config_map};

fn told(event: &WatchEvent<ConfigMap>) -> String {
    let name = |object: &ConfigMap| object.metadata.name.clone().unwrap();
    match event {
        WatchEvent::Added(object) => format!("added {}", name(object)),
        WatchEvent::Modified(object) => format!("modified {}", name(object)),
        WatchEvent::Deleted(object) => format!("deleted {}", name(object)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

#[tokio::test]
async fn a_watch_tells_every_change_after_its_version() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let version = api
        .list(&Default::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    api.create(&PostParams::default(), &config_map("a", "1"))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"metadata": {"labels": {"app": "other"}}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();

    let all = api.watch(&WatchParams::default(), &version).await.unwrap();
    let selected = api
        .watch(&WatchParams::default().labels("app=a"), &version)
        .await
        .unwrap();
    api.delete("a", &Default::default()).await.unwrap();

    let all: Vec<_> = timeout(PATIENCE, all.take(3).try_collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        ["added a", "modified a", "deleted a"]
    );
    let selected: Vec<_> = timeout(PATIENCE, selected.take(2).try_collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        selected.iter().map(told).collect::<Vec<_>>(),
        ["added a", "deleted a"]
    );
}

#[tokio::test]
async fn a_watch_ends_in_time_with_a_bookmark() {
    let scene = Scene::start().await;
    let api = scene.config_maps();

    let events = api.watch(&WatchParams::default().timeout(1), "0").await.unwrap();
    let events: Vec<_> = timeout(PATIENCE, events.try_collect()).await.unwrap().unwrap();

    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["bookmark"]);
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_gone() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let version = api
        .list(&Default::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let running = api.watch(&WatchParams::default(), &version).await.unwrap();

    scene.kube.compact();

    let running: Vec<_> = timeout(PATIENCE, running.try_collect()).await.unwrap().unwrap();
    assert_eq!(running.iter().map(told).collect::<Vec<_>>(), ["error 410"]);
    let again = api.watch(&WatchParams::default(), &version).await.unwrap();
    let again: Vec<_> = timeout(PATIENCE, again.try_collect()).await.unwrap().unwrap();
    assert_eq!(again.iter().map(told).collect::<Vec<_>>(), ["error 410"]);
}

#[tokio::test]
async fn a_watcher_survives_cuts_and_compaction() {
    let scene = Scene::start().await;
    let api = scene.config_maps();
    let changes = watcher(api.clone(), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let mut changes = pin!(changes);
    for round in 0..4 {
        let name = format!("round-{round}");
        match round {
            0 => {}
            1 => scene.kube.restart(),
            2 => scene.kube.compact(),
            _ => {
                scene.kube.compact();
                scene.kube.restart();
            }
        }
        let created = loop {
            // A connection that was just cut may still be in the client's pool.
            if let Ok(created) = api.create(&PostParams::default(), &config_map(&name, "1")).await {
                break created;
            }
        };
        let seen = async {
            loop {
                if let Some(Ok(object)) = changes.next().await
                    && object.metadata.uid == created.metadata.uid
                {
                    break;
                }
            }
        };
        timeout(PATIENCE, seen).await.unwrap();
    }
}
