use serde_json::json;

use super::{BYTES_MAX, PATIENCE, Scene, container};

#[tokio::test]
async fn every_container_is_heard_under_its_own_name() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    let second = format!("{}; echo two", scene.wait_for("gate"));
    scene.create(
        "work",
        json!({
            "restartPolicy": "Never",
            "initContainers": [container("prepare", "echo prepared")],
            "containers": [container("one", "echo one"), container("two", &second)],
        }),
    );
    printed.until("one\n").await;
    scene.open("gate");
    scene.until_phase("work", "Succeeded").await;

    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(
        printed.text(),
        "==> work/prepare <==\nprepared\n==> work/one <==\none\n==> work/two <==\ntwo\n"
    );
    assert_eq!(evidence.exit_code(), Some(0));
    let containers = &evidence.pods[0].containers;
    assert_eq!(containers.len(), 3);
    assert!(containers.iter().all(|container| container.exit_code == Some(0)));
}

#[tokio::test]
async fn nothing_of_the_last_output_is_lost() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    scene.run(
        "work",
        "for i in $(seq 1 2000); do echo line $i; done; printf unfinished",
    );
    scene.until_phase("work", "Succeeded").await;

    let finishing = tokio::spawn(observer.finish(PATIENCE));

    printed.take_rest().await;
    finishing.await.unwrap();
    let expected: Vec<_> = (1..=2000)
        .map(|index| format!("line {index}"))
        .chain(["unfinished".to_owned()])
        .collect();
    assert_eq!(printed.lines(), expected);
}

#[tokio::test]
async fn the_end_of_very_much_output_is_kept() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe_at_most(16 * 1024);
    scene.run("work", "for i in $(seq 1 5000); do echo line $i; done");
    scene.until_phase("work", "Succeeded").await;

    let finishing = tokio::spawn(observer.finish(PATIENCE));

    printed.take_rest().await;
    finishing.await.unwrap();
    let lines = printed.lines();
    assert_eq!((lines[0], lines[lines.len() - 1]), ("line 1", "line 5000"));
    assert_eq!(printed.count("bytes of output were left out here]"), 1);
    assert!(printed.text().len() < 17 * 1024);
}

#[tokio::test]
async fn a_termination_message_that_is_a_json_object_is_the_result() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe_at_most(BYTES_MAX);
    scene.run(
        "work",
        r#"echo '{"version": 43}' > /dev/termination-log; echo done"#,
    );
    scene.until_phase("work", "Succeeded").await;

    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(evidence.result(), Some(json!({ "version": 43 })));
    assert_eq!(printed.lines(), ["done"]);
}
