//! What agents say of themselves when they renew.

use brokkr_api::{AgentReport, HoldsBack, RenewalsRequest, Time, WorkTypeReport};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::SECOND;

/// What an agent says of itself whose window is closed.
pub(super) fn report() -> AgentReport {
    AgentReport {
        slots: 4,
        running: 1,
        work_types: vec![
            WorkTypeReport {
                work_type: "command".to_owned(),
                ..WorkTypeReport::default()
            },
            WorkTypeReport {
                work_type: "build".to_owned(),
                slots: Some(2),
                unavailable: Some("the cluster has no Shipwright".to_owned()),
            },
        ],
        version: "0.1.0".to_owned(),
        window_opens_at: Some(Time::from_micros(4_000_000)),
        holds_back: Some(HoldsBack::WindowClosed),
    }
}

#[rstest]
#[tokio::test]
async fn a_renewal_without_a_report_keeps_the_last_one_and_a_new_one_replaces_all_of_it(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let agent = broker.agent().await;
    let renew = async |report: Option<AgentReport>| {
        let request = RenewalsRequest {
            instance_id: agent.instance_id.clone(),
            report,
            ..RenewalsRequest::default()
        };
        agent.client.renew(agent.id, &request).await.unwrap();
        broker.advance(SECOND).await;
        broker.admin().agent(agent.id).await.unwrap()
    };
    let first = renew(Some(report())).await;
    let silent = renew(None).await;
    assert_eq!(
        (silent.report, silent.reported_at),
        (first.report, first.reported_at)
    );
    let open = AgentReport {
        window_opens_at: None,
        holds_back: None,
        work_types: Vec::new(),
        ..report()
    };
    let last = renew(Some(open.clone())).await;
    assert_eq!(last.report, Some(open));
    assert!(last.reported_at > first.reported_at);
}
