//! Jobs that run to their end.

use serde_json::json;

use super::cluster::Scene;
use crate::world::example;

#[tokio::test]
async fn a_migration_streams_its_output_and_its_termination_message_is_the_result() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let done = scene
        .submit_and_wait(&example("job-migration.yaml"), &[])
        .await
        .with_code(0);
    assert_eq!(
        done.stdout,
        "connecting to inventory\napplying 0041_add_customers\napplying 0042_backfill\n\
         applying 0043_drop_old_column\nschema is at version 43\n"
    );
    let entry = scene.entry(&done.order()).await;
    assert_eq!(entry["ending"], "succeeded", "{entry}");
    assert_eq!(entry["result"], json!({ "schema_version": 43 }), "{entry}");
}

#[tokio::test]
async fn a_job_that_fails_fails_its_order_with_exit_code_reason_and_container() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let done = scene
        .submit_and_wait(&example("job-fails.yaml"), &[])
        .await
        .with_code(1);
    let entry = scene.entry(&done.order()).await;
    assert_eq!(entry["class"], "work", "{entry}");
    assert_eq!(entry["exit_code"], 3, "{entry}");
    let message = entry["result_message"].as_str().unwrap();
    for word in ["container check", "exited with 3", "Error"] {
        assert!(message.contains(word), "{word:?} in {message:?}");
    }
    assert!(
        done.stderr.contains("exited with 3"),
        "people are told: {}",
        done.stderr
    );
}

#[tokio::test]
async fn the_same_file_submitted_twice_runs_twice_and_meets_no_old_job() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let job = scene.job("echo hello");
    let (first, second) = (scene.submit(&job, &[]).await, scene.submit(&job, &[]).await);
    for order in [&first, &second] {
        scene.ended(order, 0).await;
        assert_eq!(scene.output(order).await, "hello\n");
    }
    let jobs = scene.jobs().await;
    assert_eq!(jobs.len(), 2);
    for job in &jobs {
        let ttl = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished);
        assert!(
            ttl.is_none_or(|seconds| seconds >= 3600),
            "kept for an hour: {ttl:?}"
        );
    }
}

#[tokio::test]
async fn the_output_of_every_container_arrives_init_containers_first() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let job = scene.job_with(
        "",
        json!({
            "initContainers": [scene.container("prepare", "echo prepared")],
            "containers": [
                scene.container("left", "echo left one; sleep 1; echo left two"),
                scene.container("right", "echo right one; sleep 1; echo right two"),
            ],
        }),
    );
    let order = scene.submit(&job, &[]).await;
    scene.ended(&order, 0).await;
    let output = scene.output(&order).await;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "prepared", "{output}");
    let of = |side: &str| -> Vec<&str> {
        lines
            .iter()
            .copied()
            .filter(|line| line.starts_with(side))
            .collect()
    };
    assert_eq!(of("left"), ["left one", "left two"]);
    assert_eq!(of("right"), ["right one", "right two"]);
    assert_eq!(lines.len(), 5, "{output}");
}

#[tokio::test]
async fn a_failure_of_the_work_is_tried_again_only_when_the_order_asks_for_it() {
    let scene = Scene::new().await;
    let _agent = scene.agent().await;
    let job = scene.job("exit 1");
    let once = scene.submit(&job, &["--max-retries", "2"]).await;
    assert_eq!(scene.ended(&once, 1).await["attempt"], 1);
    let more = ["--max-retries", "1", "--backoff", "1s", "--retry-on", "work"];
    let again = scene.submit(&job, &more).await;
    assert_eq!(scene.ended(&again, 1).await["attempt"], 2);
    assert_eq!(scene.jobs().await.len(), 3, "each attempt has a Job of its own");
}

#[tokio::test]
async fn dev_runs_a_job_on_the_cluster_of_a_kubeconfig_and_ends_with_the_orders_exit_code() {
    let scene = Scene::new().await;
    let kubeconfig = scene.kubeconfig.display().to_string();
    for (file, code, output) in [
        ("job-migration.yaml", 0, "schema is at version 43\n"),
        ("job-fails.yaml", 1, "checking the ledger\n"),
    ] {
        let args = [
            "dev",
            "--ephemeral",
            "--exit",
            "--kube",
            "--kubeconfig",
            &kubeconfig,
            "--kube-namespace",
            &scene.namespace,
        ];
        let file = example(file);
        let args = [args.as_slice(), &[&file]].concat();
        let done = scene.world.run(&args).await.with_code(code);
        assert!(done.stdout.contains(output), "{done:?}");
    }
}
