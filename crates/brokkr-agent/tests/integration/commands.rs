use serde_json::json;

use crate::agent::{Host, gone, runs};
use crate::broker::{FakeBroker, TRACEPARENT};

#[tokio::test]
async fn a_command_runs_and_its_output_and_exit_code_arrive() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(r#"{shell: 'echo out; echo err >&2; echo "grüße"'}"#);
    let ending = broker.ending(id).await;
    assert_eq!(ending["success"], true);
    assert_eq!(ending["exit_code"], 0);
    assert_eq!(ending.get("class"), None);
    broker.see(|world| {
        assert_eq!(world.output(id, "stdout"), "out\ngrüße\n");
        assert_eq!(world.output(id, "stderr"), "err\n");
    });
}

#[tokio::test]
async fn an_exit_code_that_is_not_zero_is_a_failure_of_the_work() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let ending = broker
        .ending(broker.submit("{shell: 'echo this says success; exit 3'}"))
        .await;
    assert_eq!(ending["success"], false);
    assert_eq!(ending["class"], "work");
    assert_eq!(ending["exit_code"], 3);
    assert_eq!(ending.get("retryable"), None, "the order's retry_on decides");
}

#[tokio::test]
async fn a_signal_is_reported_by_name_and_not_as_an_exit_code() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let ending = broker.ending(broker.submit("{shell: 'kill -SEGV $$'}")).await;
    assert_eq!(ending["class"], "work");
    assert_eq!(ending.get("exit_code"), None);
    assert_eq!(ending["result"], json!({"signal": 11, "signal_name": "SIGSEGV"}));
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let ending = broker.ending(broker.submit("{command: [no-such-program]}")).await;
    assert_eq!(ending["class"], "work");
    assert!(
        ending["message"].as_str().unwrap().contains("no-such-program"),
        "{ending}"
    );
}

#[tokio::test]
async fn a_senseless_document_is_refused() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let ending = broker.ending(broker.submit("{comand: [true]}")).await;
    assert_eq!(ending["class"], "refused");
    assert!(ending["message"].as_str().unwrap().contains("comand"), "{ending}");
}

#[tokio::test]
async fn a_command_sees_its_own_environment_and_nothing_of_the_agents() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit("{command: [env], env: {COLOUR: blue}}");
    broker.ending(id).await;
    let output = broker.see(|world| world.output(id, "stdout"));
    let variables: Vec<_> = output.lines().collect();
    assert!(variables.contains(&"COLOUR=blue"));
    assert!(variables.contains(&format!("BROKKR_WORK_ORDER_ID={}", id.order).as_str()));
    assert!(variables.contains(&"BROKKR_ATTEMPT=1"));
    assert!(variables.contains(&format!("TRACEPARENT={TRACEPARENT}").as_str()));
    // Cargo sets this one for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!output.contains("CARGO_MANIFEST_DIR"));
}

#[tokio::test]
async fn a_command_reads_its_input_in_a_directory_of_its_own_that_is_gone_afterwards() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(r#"{shell: 'cat; touch mine; ls', stdin: "one\ntwo\n"}"#);
    broker.ending(id).await;
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "one\ntwo\nmine\n");
    crate::agent::eventually("the directory to go", || (host.commands() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_command_works_where_its_document_says() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit("{command: [pwd], workingDirectory: /}");
    broker.ending(id).await;
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "/\n");
    let ending = broker
        .ending(broker.submit("{command: [pwd], workingDirectory: /no/such/place}"))
        .await;
    assert!(
        ending["message"].as_str().unwrap().contains("/no/such/place"),
        "{ending}"
    );
}

#[tokio::test]
async fn a_command_that_runs_longer_than_it_may_is_stopped() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'sleep 600', deadlineSeconds: 1}");
    let ending = broker.ending(id).await;
    assert_eq!(ending["class"], "deadline");
    assert_eq!(ending["result"]["signal_name"], "SIGTERM");
}

#[tokio::test]
async fn the_orders_deadline_stands_when_it_is_the_earlier_one() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit_with(
        "{shell: 'sleep 600', deadlineSeconds: 500}",
        &json!({"deadline_seconds": 1}),
    );
    assert_eq!(broker.ending(id).await["class"], "deadline");
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed_with_its_children() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let (parent, child) = (host.path("parent"), host.path("child"));
    let script = format!(
        "trap '' TERM; sleep 600 & echo $! > {}; echo $$ > {}; while true; do wait; done",
        child.display(),
        parent.display()
    );
    let id = broker.submit(&format!("{{shell: {script:?}}}"));
    let (parent, child) = (host.number_in("parent").await, host.number_in("child").await);
    assert!(runs(parent) && runs(child));
    broker.change(|world| world.cancel.push(id));
    let ending = broker.ending(id).await;
    assert_eq!(ending["class"], "cancelled");
    assert_eq!(ending["result"]["signal_name"], "SIGKILL");
    gone(parent).await;
    gone(child).await;
}

#[tokio::test]
async fn a_child_that_keeps_the_output_open_does_not_keep_the_order_open() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let child = host.path("child");
    let id = broker.submit(&format!(
        "{{shell: 'echo before; sleep 600 & echo $! > {}'}}",
        child.display()
    ));
    let ending = broker.ending(id).await;
    assert_eq!(ending["success"], true);
    assert!(
        ending["message"]
            .as_str()
            .unwrap()
            .contains("still holds its output open"),
        "{ending}"
    );
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "before\n");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(host.number_in("child").await),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
}

#[tokio::test]
async fn a_supervisor_that_is_killed_leaves_no_ending_and_nothing_running() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let command = host.path("command");
    let id = broker.submit(&format!(
        "{{shell: 'echo $$ > {}; echo ready; sleep 600; true'}}",
        command.display()
    ));
    let command = host.number_in("command").await;
    broker.printed(id, "ready").await;
    let supervisor = parent_of(command);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), nix::sys::signal::SIGKILL).unwrap();
    gone(command).await;
    let other = broker.submit("{shell: 'sleep 600'}");
    let only_the_other = json!([{"id": other.order, "attempt": 1}]);
    broker
        .until("a renewal without the attempt", |world| {
            world
                .renewal_requests
                .iter()
                .any(|request| request["claims"] == only_the_other)
                .then_some(())
        })
        .await;
    assert_eq!(
        broker.see(|world| (world.ending_reports, world.releases.len())),
        (0, 0)
    );
}

fn parent_of(process: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(1).unwrap().parse().unwrap()
}
