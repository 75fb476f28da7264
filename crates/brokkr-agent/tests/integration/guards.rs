use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::routing::get;
use axum::{Json, Router};
use brokkr_agent::guard::{GuardError, IdentityGuard};
use brokkr_agent::kube::{Cluster, ClusterTiming};
use brokkr_agent::{AgentConfig, AgentError, StopReason, alive};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::agent::{Host, RunningAgent, eventually};
use crate::broker::FakeBroker;
use crate::doubles::Double;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Others,
    Free,
    Mine(Uuid),
    Lost,
    Impossible,
}

/// A guard that a test leads.
#[derive(Clone)]
struct LedGuard(Arc<watch::Sender<Right>>);

impl LedGuard {
    fn new(right: Right) -> Self {
        Self(Arc::new(watch::Sender::new(right)))
    }

    async fn until(&self, look: impl FnMut(&Right) -> bool) -> Right {
        *self.0.subscribe().wait_for(look).await.unwrap()
    }
}

#[async_trait]
impl IdentityGuard for LedGuard {
    async fn acquire(&self, agent: Uuid) -> Result<(), GuardError> {
        match self.until(|right| *right != Right::Others).await {
            Right::Impossible => Err(GuardError("no such namespace".into())),
            _ => {
                self.0.send_replace(Right::Mine(agent));
                Ok(())
            }
        }
    }

    async fn lost(&self) -> String {
        self.until(|right| *right == Right::Lost).await;
        "process-two".to_owned()
    }

    async fn release(&self) {
        self.0.send_if_modified(|right| {
            let mine = matches!(right, Right::Mine(_));
            if mine {
                *right = Right::Free;
            }
            mine
        });
    }
}

fn start(host: &Host, broker: &FakeBroker, guard: &LedGuard) -> RunningAgent {
    let guard = guard.clone();
    RunningAgent::start_with(host.config(broker), move |agent| agent.with_guard(guard))
}

#[tokio::test]
async fn an_agent_says_nothing_to_the_broker_before_its_guard_lets_it_and_frees_the_guard_at_its_end() {
    let (host, broker, guard) = (
        Host::new(),
        FakeBroker::start().await,
        LedGuard::new(Right::Others),
    );
    let order = broker.submit("{command: ['true']}");
    let agent = start(&host, &broker, &guard);
    let sign = eventually("a sign of life", || {
        alive::read(&host.state_dir())
            .unwrap()
            .filter(|sign| sign.state != "starting")
    })
    .await;
    assert_eq!(sign.state, "waiting for another process");
    assert!(broker.see(|world| world.renewal_requests.is_empty() && world.claim_requests.is_empty()));

    guard.0.send_replace(Right::Free);
    broker.ending(order).await;
    assert_eq!(*guard.0.borrow(), Right::Mine(broker.agent));
    agent.trigger.escalate();
    agent.ended().await.unwrap();
    assert_eq!(*guard.0.borrow(), Right::Free);
    let sign = alive::read(&host.state_dir()).unwrap().unwrap();
    assert!(sign.broker_answered_at.is_some(), "{sign:?}");
}

#[tokio::test]
async fn waiting_for_the_guard_ends_when_the_agent_is_told_to_stop() {
    let (host, broker, guard) = (
        Host::new(),
        FakeBroker::start().await,
        LedGuard::new(Right::Others),
    );
    let agent = start(&host, &broker, &guard);
    agent.trigger.escalate();
    agent.ended().await.unwrap();
    assert!(broker.see(|world| world.claim_requests.is_empty()));
}

#[tokio::test]
async fn a_guard_that_cannot_be_had_ends_the_agent() {
    let (host, broker, guard) = (
        Host::new(),
        FakeBroker::start().await,
        LedGuard::new(Right::Impossible),
    );
    let error = start(&host, &broker, &guard).ended().await.unwrap_err();
    assert!(matches!(error, AgentError::Guard(_)), "{error:?}");
}

#[tokio::test]
async fn an_agent_whose_guard_was_taken_leaves_its_work_to_the_other_process_and_names_it() {
    let (host, broker, guard) = (Host::new(), FakeBroker::start().await, LedGuard::new(Right::Free));
    let (double, given) = (Double::new("custom"), guard.clone());
    broker.submit_with("{}", &json!({"work_type": "custom"}));
    let executor = double.clone();
    let agent = RunningAgent::start_with(host.config(&broker), move |agent| {
        agent.with_guard(given).with_executor(executor)
    });
    eventually("the work", || (double.running() == 1).then_some(())).await;
    guard.0.send_replace(Right::Lost);
    let error = agent.ended().await.unwrap_err();
    assert!(error.to_string().contains("process-two"), "{error}");
    assert_eq!(*double.doing.stopped.lock().unwrap(), [StopReason::Superseded]);
    assert_eq!(broker.see(|world| world.ending_reports), 0);
}

/// The address of something that answers as the API of a cluster does when it is asked for its version.
async fn version_server() -> String {
    let version = json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.1", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/version", get(async move || Json(version.clone())));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn cluster(url: &str) -> Cluster {
    let config = kube::Config::new(url.parse().unwrap());
    let timing = ClusterTiming {
        patience: Duration::from_millis(50),
        ..ClusterTiming::default()
    };
    Cluster::from_client(kube::Client::try_from(config).unwrap(), "default", timing)
}

fn start_with_cluster(host: &Host, broker: &FakeBroker, url: &str) -> RunningAgent {
    let config = AgentConfig {
        cluster_report: Duration::from_millis(50),
        ..host.config(broker)
    };
    let cluster = cluster(url);
    RunningAgent::start_with(config, move |agent| agent.with_cluster(cluster))
}

#[tokio::test]
async fn the_broker_hears_again_and_again_whether_the_cluster_answers_and_how_quickly() {
    let (host, broker) = (Host::new(), FakeBroker::start().await);
    let agent = start_with_cluster(&host, &broker, &version_server().await);
    let report = broker
        .until("two reports", |world| world.cluster_reports.get(1).cloned())
        .await;
    assert_eq!(report["k8s_reachable"], true, "{report}");
    assert!(report["k8s_api_latency_ms"].is_i64(), "{report}");
    agent.kill().await;

    broker.change(|world| world.cluster_reports.clear());
    // Nothing listens there.
    let _agent = start_with_cluster(&host, &broker, "http://127.0.0.1:9");
    let report = broker
        .until("a report", |world| world.cluster_reports.first().cloned())
        .await;
    assert_eq!(report, json!({"k8s_reachable": false}));
}
