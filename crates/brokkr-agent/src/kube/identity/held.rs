//! The Lease object: taking, renewing and giving it back.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Error;
use ::kube::api::{GetParams, PostParams, Resource};
use ::kube::core::Request;
use ::kube::core::request::Error as RequestError;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::judge::{Judge, Verdict};
use crate::clock::Clock;
use crate::kube::labels::{AGENT, BROKKR, MANAGED_BY};
use crate::kube::{ApiFailure, Cluster};

/// What came of trying to take the Lease.
pub(super) enum Taken {
    /// This process has it.
    Mine,
    /// This other process has it.
    Others(String),
    /// Somebody else wrote it at the same time.
    Changed,
}

/// One process and the Lease that it holds or wants.
pub(super) struct Tenure {
    pub(super) cluster: Cluster,
    pub(super) namespace: String,
    pub(super) agent: Uuid,
    pub(super) instance: String,
    pub(super) valid: Duration,
    pub(super) clock: Arc<dyn Clock>,
    /// As it was last read or written.
    pub(super) lease: Option<Lease>,
}

impl Tenure {
    /// Takes the Lease if it may be taken at `now`.
    pub(super) async fn take(&mut self, judge: &mut Judge, now: Instant) -> Result<Taken, ApiFailure> {
        self.lease = self.read().await?;
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        match spec.map_or(Verdict::Free, |spec| judge.judge(spec, now)) {
            Verdict::Others(holder) => Ok(Taken::Others(holder)),
            Verdict::Free | Verdict::Mine => self.write(Some(self.instance.clone())).await,
        }
    }

    /// Renews the Lease until another process has it. Answers which.
    pub(super) async fn renew_for_ever(&mut self, mut judge: Judge, pause: Duration) -> String {
        let mut troubled = false;
        loop {
            sleep(pause).await;
            match self.renew(&mut judge).await {
                Ok(Some(holder)) => return holder,
                Ok(None) if std::mem::take(&mut troubled) => info!("the agent's Lease is renewed again"),
                Ok(None) => {}
                Err(failure) => {
                    if !std::mem::replace(&mut troubled, true) {
                        warn!(
                            error = failure.chain(),
                            "could not renew the agent's Lease, trying again"
                        );
                    }
                }
            }
        }
    }

    /// One renewal. Answers who has taken the Lease, if somebody has.
    async fn renew(&mut self, judge: &mut Judge) -> Result<Option<String>, ApiFailure> {
        let mut taken = self.write(Some(self.instance.clone())).await?;
        // Written or removed by somebody, or by a renewal of our own whose answer was lost.
        while let Taken::Changed = taken {
            taken = self.take(judge, Instant::now()).await?;
        }
        match taken {
            Taken::Others(holder) => Ok(Some(holder)),
            Taken::Mine | Taken::Changed => Ok(None),
        }
    }

    /// Leaves the Lease to whoever comes next, unless another process has it.
    pub(super) async fn give_back(&mut self) {
        if let Err(failure) = self.write(None).await {
            debug!(
                error = failure.chain(),
                "could not give the agent's Lease back, it passes by itself"
            );
        }
    }

    async fn read(&self) -> Result<Option<Lease>, ApiFailure> {
        let request = Request::new(self.path()).get(&self.name(), &GetParams::default());
        match self.send(request).await {
            Ok(lease) => Ok(Some(lease)),
            Err(failure) if failure.status() == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Writes the Lease as held by `holder`, if nobody else has written it since it was read.
    async fn write(&mut self, holder: Option<String>) -> Result<Taken, ApiFailure> {
        let (requests, params) = (Request::new(self.path()), PostParams::default());
        let body = serde_json::to_vec(&self.written(holder)).map_err(RequestError::SerializeBody);
        let request = body.and_then(|body| match &self.lease {
            Some(_) => requests.replace(&self.name(), &params, body),
            None => requests.create(&params, body),
        });
        match self.send(request).await {
            Ok(lease) => {
                self.lease = Some(lease);
                Ok(Taken::Mine)
            }
            Err(failure) if matches!(failure.status(), Some(404 | 409)) && !self.is_first(&failure) => {
                Ok(Taken::Changed)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Creating answers 404 when there is no such namespace, which does not pass.
    fn is_first(&self, failure: &ApiFailure) -> bool {
        self.lease.is_none() && failure.status() == Some(404)
    }

    fn written(&self, holder: Option<String>) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_default();
        lease.metadata.name = Some(self.name());
        lease.metadata.namespace = Some(self.namespace.clone());
        lease.metadata.managed_fields = None;
        let labels = lease.metadata.labels.get_or_insert_default();
        labels.insert(MANAGED_BY.to_owned(), BROKKR.to_owned());
        labels.insert(AGENT.to_owned(), self.agent.to_string());

        let now = self.now();
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if holder.is_some() && spec.holder_identity != holder {
            spec.acquire_time.clone_from(&now);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = holder;
        spec.lease_duration_seconds = Some(i32::try_from(self.valid.as_secs().max(1)).unwrap_or(i32::MAX));
        spec.renew_time = now;
        lease
    }

    fn now(&self) -> Option<MicroTime> {
        let micros = self.clock.now().timestamp_micros();
        Timestamp::from_microsecond(micros).ok().map(MicroTime)
    }

    async fn send(&self, request: Result<http::Request<Vec<u8>>, RequestError>) -> Result<Lease, ApiFailure> {
        let result = match request {
            Ok(request) => self.cluster.send_once(&request).await,
            Err(error) => Err(Error::BuildRequest(error)),
        };
        result.map_err(|source| ApiFailure {
            operation: format!("hold Lease {}/{}", self.namespace, self.name()),
            source,
        })
    }

    fn path(&self) -> String {
        Lease::url_path(&(), Some(&self.namespace))
    }

    fn name(&self) -> String {
        format!("brokkr-agent-{}", self.agent)
    }
}
