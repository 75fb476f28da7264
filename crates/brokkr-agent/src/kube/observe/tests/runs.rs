use serde_json::json;

use super::{PATIENCE, Printed, Scene, container};

/// A container that counts its runs, and is started again until the third, each run waiting for its gate.
fn three_runs(scene: &Scene) {
    let (runs, gates) = (scene.path("runs"), scene.path("gate"));
    let (runs, gates) = (runs.display(), gates.display());
    let script = format!(
        "echo run >> {runs}; n=$(wc -l < {runs}); echo run $n begins; \
         until [ -e {gates}$n ]; do sleep 0.02; done; echo run $n ends; [ $n = 3 ]"
    );
    scene.create(
        "work",
        json!({ "restartPolicy": "OnFailure", "containers": [container("app", &script)] }),
    );
}

const ALL_RUNS: [&str; 6] = [
    "run 1 begins",
    "run 1 ends",
    "run 2 begins",
    "run 2 ends",
    "run 3 begins",
    "run 3 ends",
];

/// All that both processes printed, checked to be the same as far as the first got.
async fn repeated(first: &Printed, second: &mut Printed) -> String {
    second.take_rest().await;
    let text = second.text();
    assert!(text.starts_with(&first.text()), "{:?} {text:?}", first.text());
    let mut next = 0;
    for (offset, _, data) in &second.chunks {
        assert_eq!(*offset, next);
        next += data.len() as i64;
    }
    text
}

#[tokio::test]
async fn a_container_that_is_started_again_is_heard_in_each_of_its_runs() {
    let scene = Scene::start().await;
    let (observer, mut printed) = scene.observe();
    three_runs(&scene);
    for run in 1..=3 {
        printed.until(&format!("run {run} begins\n")).await;
        scene.open(&format!("gate{run}"));
    }
    scene.until_phase("work", "Succeeded").await;

    let evidence = observer.finish(PATIENCE).await;

    printed.take_rest().await;
    assert_eq!(printed.lines(), ALL_RUNS);
    assert_eq!(printed.count("is missing here"), 0);
    assert_eq!(evidence.pods[0].containers[0].restarts, 2);
}

#[tokio::test]
async fn the_end_of_a_run_that_nobody_saw_is_read_later() {
    let scene = Scene::start().await;
    let (observer, mut first) = scene.observe();
    three_runs(&scene);
    first.until("run 1 begins\n").await;
    drop(observer);
    scene.open("gate1");
    let restarted = |pod: serde_json::Value| pod["status"]["containerStatuses"][0]["restartCount"] == 1;
    scene
        .kube
        .until("a second run", |kube| {
            kube.get("pods", Some("default"), "work")
                .is_some_and(restarted)
                .then_some(())
        })
        .await;

    let (observer, mut second) = scene.observe();
    second.until("run 2 begins\n").await;
    scene.open("gate2");
    second.until("run 3 begins\n").await;
    scene.open("gate3");
    scene.until_phase("work", "Succeeded").await;
    observer.finish(PATIENCE).await;

    repeated(&first, &mut second).await;
    assert_eq!(second.lines(), ALL_RUNS);
    assert_eq!(second.count("is missing here"), 0);
}

#[tokio::test]
async fn runs_that_nobody_saw_and_no_node_kept_leave_a_marker() {
    let scene = Scene::start().await;
    let (observer, mut first) = scene.observe();
    three_runs(&scene);
    first.until("run 1 begins\n").await;
    drop(observer);
    for run in 1..=3 {
        scene.open(&format!("gate{run}"));
    }
    scene.until_phase("work", "Succeeded").await;

    let (observer, mut second) = scene.observe();
    observer.finish(PATIENCE).await;

    let text = repeated(&first, &mut second).await;
    assert_eq!(second.lines()[0], ALL_RUNS[0]);
    assert_eq!(second.lines()[1..], ALL_RUNS[2..]);
    assert!(
        text.contains("run 1 begins\n[output of work/app is missing here"),
        "{text}"
    );
}

#[tokio::test]
async fn an_agent_that_was_killed_repeats_what_it_had_told_and_goes_on() {
    let scene = Scene::start().await;
    let (observer, mut first) = scene.observe();
    let (one, two) = (scene.wait_for("one"), scene.wait_for("two"));
    scene.run(
        "work",
        &format!("echo begun; {one}; echo unseen; {two}; echo done"),
    );
    first.until("begun\n").await;
    drop(observer);
    scene.open("one");

    let (observer, mut second) = scene.observe();
    second.until("unseen\n").await;
    drop(observer);
    let (observer, mut third) = scene.observe();
    scene.open("two");
    scene.until_phase("work", "Succeeded").await;
    observer.finish(PATIENCE).await;

    repeated(&first, &mut second).await;
    let text = repeated(&second, &mut third).await;
    assert_eq!(text, "==> work/app <==\nbegun\nunseen\ndone\n");
}

#[tokio::test]
async fn what_was_told_in_whole_is_told_again_in_whole() {
    let scene = Scene::start().await;
    let (observer, mut first) = scene.observe();
    scene.run("work", "echo one; echo two; exit 3");
    scene.until_phase("work", "Failed").await;
    observer.finish(PATIENCE).await;
    first.take_rest().await;

    let (observer, mut second) = scene.observe();
    let evidence = observer.finish(PATIENCE).await;

    assert_eq!(repeated(&first, &mut second).await, first.text());
    assert_eq!(evidence.exit_code(), Some(3));
}
