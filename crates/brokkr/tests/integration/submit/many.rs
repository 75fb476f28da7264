//! Orders that are chosen by what they are, instead of being named.

use super::Setting;

#[tokio::test]
async fn many_that_failed_are_counted_and_retried_once_and_only_when_that_was_agreed_to() {
    let setting = Setting::new().await;
    let file = setting.world.command("fail.yaml", "exit 3");
    for _ in 0..2 {
        let submit = [
            "submit",
            "-f",
            &file,
            "--agent",
            "runner",
            "--start-by",
            "10m",
            "--wait",
        ];
        setting.run(&submit).await.with_code(1);
    }
    let failed = [
        "retry", "--failed", "--type", "command", "--since", "1h", "--agent", "runner",
    ];
    let retry = async |more: &[&str]| setting.run(&[&failed[..], more].concat()).await;

    let counted = retry(&["--dry-run"]).await.with_code(0);
    assert_eq!(counted.stdout, "2 orders would be retried\n");
    // Nobody is there to be asked.
    let refused = retry(&[]).await.with_code(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let retried = retry(&["--yes"]).await.with_code(0);
    assert_eq!(
        retried.stdout.matches("submitted, retry of").count(),
        2,
        "{retried:?}"
    );
    let other = ["retry", "--lost", "--expired", "--dry-run"];
    let none = setting.run(&other).await.with_code(0);
    assert_eq!(none.stdout, "0 orders would be retried\n");
    setting.run(&["retry", "--type", "command"]).await.with_code(2);
    setting.run(&["retry"]).await.with_code(2);
}

#[tokio::test]
async fn many_that_wait_are_counted_and_cancelled_only_when_that_was_agreed_to() {
    let setting = Setting::new().await;
    let file = setting.world.command("never.yaml", "exit 3");
    let submit = async |label: &str| {
        let args = ["submit", "-f", &file, "-l", label, "-o", "name"];
        setting.run(&args).await.with_code(0).order()
    };
    let (gpu, other_gpu, arm) = (submit("gpu").await, submit("gpu").await, submit("arm").await);
    let cancel = async |more: &[&str]| setting.run(&[&["cancel"], more].concat()).await;

    let counted = cancel(&["--label", "gpu", "--dry-run"]).await.with_code(0);
    assert_eq!(counted.stdout, "2 orders would be cancelled\n");
    let of_text = cancel(&["--text", "EXIT 3", "--status", "pending", "--dry-run"]).await;
    assert_eq!(of_text.with_code(0).stdout, "3 orders would be cancelled\n");
    // Nobody is there to be asked.
    let refused = cancel(&["--label", "gpu"]).await.with_code(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    for wrong in [
        &[][..],
        &["--dry-run"],
        &["--label", "gpu", &arm],
        &["--yes", &arm],
        &["--all", "--status", "LOST"],
        &["--agent", "nobody", "--yes"],
    ] {
        cancel(wrong).await.with_code(2);
    }

    let agreed = [
        "--label",
        "gpu",
        "--since",
        "1h",
        "--reason",
        "no such card",
        "--yes",
        "--wait",
    ];
    let cancelled = cancel(&agreed).await.with_code(3);
    let of = |id: &str| format!("order/{id} cancelled\n");
    assert_eq!(cancelled.stdout, of(&gpu) + &of(&other_gpu));
    let none = cancel(&["--label", "gpu", "--yes"]).await.with_code(0);
    assert_eq!(none.stdout, "0 orders would be cancelled\n");
    let left = setting.run(&["get", "orders", "-o", "name"]).await.with_code(0);
    assert_eq!(left.stdout, format!("order/{arm}\n"));
    let all = cancel(&["--all", "--yes", "--wait"]).await.with_code(3);
    assert_eq!(all.stdout, of(&arm));
    let entry = setting
        .run(&["get", "log", &gpu, "-o", "json"])
        .await
        .with_code(0)
        .json();
    assert_eq!(entry["result_message"], "no such card");
}

#[tokio::test]
async fn lists_are_narrowed_by_agent_label_submitter_and_text() {
    let setting = Setting::new().await;
    let said = setting.world.command("said.yaml", "echo Needle");
    let done = setting
        .run(&["submit", "-f", &said, "-l", "test", "--wait"])
        .await
        .with_code(0)
        .order();
    let waits = setting
        .run(&["submit", "-f", &said, "-l", "gpu", "-o", "name"])
        .await
        .with_code(0)
        .order();
    let both = format!("order/{waits}\norder/{done}\n");
    let caller = setting
        .run(&["get", "order", &waits, "-o", "json"])
        .await
        .with_code(0)
        .json()["submitted_by"]
        .as_str()
        .expect("a caller")
        .to_owned();
    for (narrowed, found) in [
        (["--label", "gpu"], format!("order/{waits}\n")),
        (["--agent", "runner"], format!("order/{done}\n")),
        (["--submitted-by", &caller], both.clone()),
        (["--submitted-by", "admin:nobody"], String::new()),
        (["--text", "needle"], both.clone()),
        (["--text", "pin"], String::new()),
    ] {
        let listed = setting
            .run(&[&["get", "orders", "--all", "-o", "name"], &narrowed[..]].concat())
            .await
            .with_code(0);
        assert_eq!(listed.stdout, found, "{narrowed:?}");
    }
    let log = ["get", "log", "--label", "test", "--text", "NEEDLE", "-o", "name"];
    assert_eq!(setting.run(&log).await.with_code(0).order(), done);
    let repeated = setting
        .run(&["retry", "--failed", "--label", "test", "--dry-run"])
        .await
        .with_code(0);
    assert_eq!(repeated.stdout, "0 orders would be retried\n");
}
