use brokkr_agent::AgentConfig;

use crate::agent::{Host, RunningAgent};
use crate::broker::FakeBroker;

#[tokio::test]
async fn much_output_arrives_whole_and_in_order() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'seq 1 200000'}");
    broker.ending(id).await;
    let output = broker.see(|world| world.output(id, "stdout"));
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(
        output == expected,
        "{} bytes instead of {}",
        output.len(),
        expected.len()
    );
}

#[tokio::test]
async fn output_beyond_the_cap_is_cut_in_the_middle_and_says_so() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = RunningAgent::start(AgentConfig {
        output_bytes_max: 64 * 1024,
        ..host.config(&broker)
    });
    let id = broker.submit("{shell: 'seq 1 200000'}");
    assert_eq!(broker.ending(id).await["success"], true);
    let (stdout, remark) = broker.see(|world| (world.output(id, "stdout"), world.output(id, "system")));
    assert!(stdout.starts_with("1\n2\n"));
    assert!(stdout.ends_with("199999\n200000\n") || stdout.ends_with("200000\n"));
    assert!(stdout.len() <= 64 * 1024);
    assert!(remark.contains("bytes of output were left out here"), "{remark}");
}

#[tokio::test]
async fn a_broker_that_takes_no_more_output_does_not_stand_in_the_way_of_the_ending() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    broker.change(|world| world.output_limit = Some(100_000));
    let _agent = host.start(&broker);
    let id = broker.submit("{shell: 'seq 1 200000; exit 5'}");
    assert_eq!(broker.ending(id).await["exit_code"], 5);
    assert!(broker.see(|world| world.output(id, "stdout")).len() <= 100_000);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let _agent = host.start(&broker);
    let id = broker.submit(r"{shell: 'printf a\\377b\\342\\202; sleep 0.3; printf \\254\\n'}");
    broker.ending(id).await;
    assert_eq!(broker.see(|world| world.output(id, "stdout")), "a\u{FFFD}b€\n");
}
