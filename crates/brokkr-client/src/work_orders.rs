//! Work orders, their targeting and attempts, and the log.

use brokkr_api::{
    Attempt, BatchAnswer, BatchCreate, Cancel, CancellationsAnswer, CancellationsRequest, CreateWorkOrder,
    Explanation, ListLog, ListWorkOrders, Preview, RetriesAnswer, RetriesRequest, SetTargeting, Targeting,
    WorkOrder, WorkOrderLog, paths,
};
use http::{Method, StatusCode};
use reqwest::RequestBuilder;
use uuid::Uuid;

use crate::transport::{header, read};
use crate::{Client, ClientError, Page};

/// A work order that was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The work order.
    pub work_order: WorkOrder,
    /// Whether an earlier request with the same idempotency key created it.
    pub replayed: bool,
}

/// What a cancellation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It was waiting and has ended.
    Ended(Box<WorkOrderLog>),
    /// An agent has to stop it first.
    Requested(Box<WorkOrder>),
}

impl Client {
    /// Submits a work order. With an idempotency key (1 to 255 visible ASCII characters) it is safe to send again.
    ///
    /// # Errors
    /// `no_targeting_specified`, `invalid_work_order`, `foreign_key_violation`, `idempotency_key_reused` and others.
    pub async fn create_work_order(
        &self,
        work_order: &CreateWorkOrder,
        idempotency_key: Option<&str>,
    ) -> Result<Created, ClientError> {
        let request = self.request(Method::POST, paths::WORK_ORDERS).json(work_order);
        let request = with_key(request, idempotency_key);
        let answer = self.send(request).await?;
        let replayed = header(answer.headers(), "idempotency-replayed") == Some("true");
        Ok(Created {
            work_order: read(answer).await?,
            replayed,
        })
    }

    /// Submits many work orders. The answer tells of each what became of it. With an idempotency key (1 to 255 visible ASCII
    /// characters) it is safe to send again.
    ///
    /// # Errors
    /// Only when all were refused together.
    pub async fn create_work_orders(
        &self,
        batch: &BatchCreate,
        idempotency_key: Option<&str>,
    ) -> Result<BatchAnswer, ClientError> {
        let request = self.request(Method::POST, paths::WORK_ORDERS_BATCH).json(batch);
        read(self.send(with_key(request, idempotency_key)).await?).await
    }

    /// Work orders of the queue, newest first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn work_orders(&self, query: &ListWorkOrders) -> Result<Page<WorkOrder>, ClientError> {
        self.page(paths::WORK_ORDERS, query).await
    }

    /// One work order, ended or not.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn work_order(&self, id: Uuid) -> Result<WorkOrder, ClientError> {
        self.get(&paths::with_id(paths::WORK_ORDER, id)).await
    }

    /// Removes a work order from the queue without a trace in the log.
    ///
    /// # Errors
    /// `work_order_not_found`, for an ended one too.
    pub async fn delete_work_order(&self, id: Uuid) -> Result<(), ClientError> {
        self.delete(&paths::with_id(paths::WORK_ORDER, id)).await
    }

    /// Cancels a work order.
    ///
    /// # Errors
    /// `work_order_not_found`, `work_order_ended`.
    pub async fn cancel_work_order(&self, id: Uuid, cancel: &Cancel) -> Result<CancelOutcome, ClientError> {
        let path = paths::with_id(paths::WORK_ORDER_CANCEL, id);
        let answer = self.send(self.request(Method::POST, &path).json(cancel)).await?;
        match answer.status() {
            StatusCode::ACCEPTED => Ok(CancelOutcome::Requested(read(answer).await?)),
            _ => Ok(CancelOutcome::Ended(read(answer).await?)),
        }
    }

    /// Submits an ended work order again, as a new one.
    ///
    /// # Errors
    /// `work_order_not_found`, or a problem when it has not ended.
    pub async fn retry_work_order(&self, id: Uuid) -> Result<WorkOrder, ClientError> {
        self.post_empty(&paths::with_id(paths::WORK_ORDER_RETRY, id))
            .await
    }

    /// Cancels many work orders, or counts them.
    ///
    /// # Errors
    /// `invalid_query`, `invalid_label`, `invalid_limit`, `invalid_reason`.
    pub async fn cancel_work_orders(
        &self,
        cancellations: &CancellationsRequest,
    ) -> Result<CancellationsAnswer, ClientError> {
        let request = self.request(Method::POST, paths::WORK_ORDERS_CANCELLATIONS);
        read(self.send(request.json(cancellations)).await?).await
    }

    /// Submits many ended work orders again, each as a new one; or counts them.
    ///
    /// # Errors
    /// `invalid_query`, `invalid_limit`.
    pub async fn retry_work_orders(&self, retries: &RetriesRequest) -> Result<RetriesAnswer, ClientError> {
        let request = self.request(Method::POST, paths::WORK_ORDER_LOG_RETRIES);
        read(self.send(request.json(retries)).await?).await
    }

    /// Why a work order is where it is, and what would change that.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn explain(&self, id: Uuid) -> Result<Explanation, ClientError> {
        self.get(&paths::with_id(paths::WORK_ORDER_EXPLAIN, id)).await
    }

    /// Who could run a work order. It is checked as if it were submitted, and nothing is submitted.
    ///
    /// # Errors
    /// Those of submitting it.
    pub async fn preview_work_order(&self, order: &CreateWorkOrder) -> Result<Preview, ClientError> {
        let request = self.request(Method::POST, paths::WORK_ORDERS_PREVIEW);
        read(self.send(request.json(order)).await?).await
    }

    /// Who may run a work order.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn targeting(&self, id: Uuid) -> Result<Targeting, ClientError> {
        self.get(&paths::with_id(paths::WORK_ORDER_TARGETING, id)).await
    }

    /// Replaces who may run a work order that is still waiting.
    ///
    /// # Errors
    /// `work_order_not_found`, or a problem when it is not waiting.
    pub async fn set_targeting(&self, id: Uuid, targeting: &SetTargeting) -> Result<Targeting, ClientError> {
        self.put(&paths::with_id(paths::WORK_ORDER_TARGETING, id), targeting)
            .await
    }

    /// The attempts of a work order, the first one first.
    ///
    /// # Errors
    /// `work_order_not_found`.
    pub async fn attempts(&self, id: Uuid) -> Result<Vec<Attempt>, ClientError> {
        self.get(&paths::with_id(paths::WORK_ORDER_ATTEMPTS, id)).await
    }

    /// Entries of the log, the latest ending first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn work_order_log(&self, query: &ListLog) -> Result<Page<WorkOrderLog>, ClientError> {
        self.page(paths::WORK_ORDER_LOG, query).await
    }

    /// How one work order ended.
    ///
    /// # Errors
    /// `work_order_log_entry_not_found`.
    pub async fn work_order_log_entry(&self, id: Uuid) -> Result<WorkOrderLog, ClientError> {
        self.get(&paths::with_id(paths::WORK_ORDER_LOG_ENTRY, id)).await
    }
}

fn with_key(request: RequestBuilder, idempotency_key: Option<&str>) -> RequestBuilder {
    match idempotency_key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    }
}
