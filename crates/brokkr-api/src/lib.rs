//! What crosses the wire between the broker and everybody else: requests, views, the error body and paths.
//!
//! Bodies of the original contract ignore unknown fields, and [`KnownFields`] lets the broker report them; bodies that
//! came later refuse them. Numbers are `i64` and strings `String`, unbounded, so that the broker can answer a request
//! that breaks a bound with a [`Problem`] that says which. Nullable members of views are always present.

mod agents;
mod attempts;
mod auth;
mod cancellations;
mod claims;
mod endings;
mod events;
mod explain;
mod generators;
mod known_fields;
mod lists;
mod log;
mod output;
mod paks;
pub mod paths;
mod problem;
mod renewals;
mod retries;
mod targeting;
mod texts;
mod time;
mod webhooks;
mod whole;
mod work_orders;

pub use agents::{
    AddAnnotation, AddLabel, Agent, AgentAnnotation, AgentCreated, AgentLabel, AgentReport, CreateAgent,
    Heartbeat, HoldsBack, RotatedAgentPak, UpdateAgent, WorkTypeReport,
};
pub use attempts::{Attempt, AttemptEnding};
pub use auth::AuthAnswer;
pub use cancellations::{CancellationsAnswer, CancellationsRequest};
pub use claims::{Cancel, ClaimById, ClaimRequest, ClaimedWorkOrder, Release};
pub use endings::{
    Complete, Ending, EndingItem, EndingResult, EndingsAnswer, EndingsRequest, FailureClass, RETRY_SCHEDULED,
    RetryScheduled,
};
pub use events::{Event, EventPage, EventsQuery, event_stream};
pub use explain::{Explanation, ExplanationReason, Preview, ReasonAgent};
pub use generators::{CreateGenerator, Generator, GeneratorCreated, RotatedGeneratorPak, UpdateGenerator};
pub use known_fields::KnownFields;
pub use lists::{
    AgentByName, ListAgents, ListGenerators, ListLog, ListPaks, ListPending, ListWebhooks, ListWorkOrders,
};
pub use log::WorkOrderLog;
pub use output::{
    AppendOutput, OutputAppended, OutputAppendedItem, OutputChunk, OutputEnded, OutputPage, OutputPiece,
    OutputPosition, OutputPositionError, OutputQuery, event, stream,
};
pub use paks::{CreatePak, PakCreated, PakInfo, PakRole, PakText};
pub use problem::Problem;
pub use renewals::{CancelRequested, HeldClaim, Lost, Renewals, RenewalsRequest, Renewed};
pub use retries::{RefusedRetry, RetriedOrder, RetriesAnswer, RetriesRequest};
pub use targeting::{SetTargeting, Targeting, TargetingRequest};
pub use time::{Time, TimeError};
pub use webhooks::{
    CreateWebhook, DeliveriesReplayed, DeliveryStatus, EnableWebhook, ListDeliveries, ReplayDeliveries,
    RotateSecret, UpdateWebhook, Webhook, WebhookCreated, WebhookDelivery,
};
pub use work_orders::{
    BatchAnswer, BatchCreate, BatchItem, CreateWorkOrder, Delivery, WorkOrder, WorkOrderStatus,
};
