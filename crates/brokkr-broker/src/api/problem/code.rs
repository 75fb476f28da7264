//! The stable codes of all errors. A code belongs to one status; both are part of the contract and held by a snapshot.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $text:literal;)*) => {
        /// Why a request was refused, as clients decide by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The status that it is always answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    // The request itself.
    /// The body is not JSON.
    InvalidJson = BAD_REQUEST "invalid_json";
    /// The body is JSON of another shape: a field is missing, unknown or of the wrong type.
    InvalidBody = UNPROCESSABLE_ENTITY "invalid_body";
    /// The body could not be read to its end.
    IncompleteBody = BAD_REQUEST "incomplete_body";
    /// The query string has a value of the wrong type, or a parameter twice.
    InvalidQuery = BAD_REQUEST "invalid_query";
    /// An id in the path is not a UUID.
    InvalidId = BAD_REQUEST "invalid_id";
    /// The path is not UTF-8 once decoded.
    InvalidPath = BAD_REQUEST "invalid_path";
    /// The list's `limit` is out of bounds.
    InvalidLimit = BAD_REQUEST "invalid_limit";
    /// The list's `cursor` is not one that the broker gave out.
    InvalidCursor = BAD_REQUEST "invalid_cursor";
    /// There is nothing at this path.
    NotFound = NOT_FOUND "not_found";
    /// The path exists, but not for this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed";
    /// The body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT "body_timeout";
    /// The body is larger than the broker accepts.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body_too_large";
    /// The body is not declared as `application/json`.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type";

    // The caller.
    /// No key was sent, or not in a form that is understood.
    MissingCredentials = UNAUTHORIZED "missing_credentials";
    /// The key is unknown, expired, revoked, or its agent or generator was deleted.
    InvalidCredentials = UNAUTHORIZED "invalid_credentials";
    /// Only an administrator may do this.
    AdminRequired = FORBIDDEN "admin_required";
    /// A viewer changes nothing.
    ReadOnly = FORBIDDEN "read_only";
    /// The key does not belong to the agent that is spoken of.
    AgentPakMismatch = FORBIDDEN "agent_pak_mismatch";
    /// The key does not belong to the generator that is spoken of.
    GeneratorPakMismatch = FORBIDDEN "generator_pak_mismatch";
    /// Only an administrator or a generator may do this.
    GeneratorRequired = FORBIDDEN "generator_required";
    /// The agent does not hold the order.
    WorkOrderNotClaimedByAgent = FORBIDDEN "work_order_not_claimed_by_agent";
    /// The key sends more requests than one key may.
    RateLimited = TOO_MANY_REQUESTS "rate_limited";

    // Agents.
    /// The agent's name, cluster, status or report makes no sense.
    InvalidAgent = BAD_REQUEST "invalid_agent";
    /// A generator id is not a UUID, or there is no such generator.
    InvalidGeneratorId = BAD_REQUEST "invalid_generator_id";
    /// Both `name` and `cluster_name` are needed.
    NameAndClusterRequired = BAD_REQUEST "name_and_cluster_required";
    /// The agent of the body is not the agent of the path.
    AgentIdMismatch = BAD_REQUEST "agent_id_mismatch";
    /// There is no such agent.
    AgentNotFound = NOT_FOUND "agent_not_found";
    /// The label is blank, too long, or has white space.
    InvalidLabel = BAD_REQUEST "invalid_label";
    /// The annotation's key or value is blank, too long, or has white space.
    InvalidAnnotation = BAD_REQUEST "invalid_annotation";
    /// The agent has as many labels, or annotations, as it may have.
    TooManyLabels = BAD_REQUEST "too_many_labels";
    /// The agent does not have this label.
    AgentLabelNotFound = NOT_FOUND "agent_label_not_found";
    /// The agent does not have this annotation.
    AgentAnnotationNotFound = NOT_FOUND "agent_annotation_not_found";

    // Generators and keys.
    /// The generator's name or description makes no sense.
    InvalidGenerator = BAD_REQUEST "invalid_generator";
    /// There is no such generator.
    GeneratorNotFound = NOT_FOUND "generator_not_found";
    /// The key's name or expiry makes no sense.
    InvalidPak = BAD_REQUEST "invalid_pak";
    /// There is no such key.
    PakNotFound = NOT_FOUND "pak_not_found";
    /// The last administrator's key that works cannot be deleted.
    LastAdminPak = CONFLICT "last_admin_pak";

    // Webhooks.
    /// The webhook's name, address, events or header make no sense.
    InvalidWebhook = BAD_REQUEST "invalid_webhook";
    /// The range of deliveries to send again makes no sense.
    InvalidReplay = BAD_REQUEST "invalid_replay";
    /// The configuration does not let webhooks be at this address.
    WebhookAddressForbidden = FORBIDDEN "webhook_address_forbidden";
    /// There is no such webhook.
    WebhookNotFound = NOT_FOUND "webhook_not_found";
    /// The webhook has no such delivery.
    WebhookDeliveryNotFound = NOT_FOUND "webhook_delivery_not_found";
    /// The broker has no key by which secrets could be encrypted.
    WebhooksKeyMissing = CONFLICT "webhooks_key_missing";
    /// The webhook's secrets are encrypted by another key than the broker has.
    WebhooksKeyChanged = CONFLICT "webhooks_key_changed";
    /// The webhook is disabled.
    WebhookDisabled = CONFLICT "webhook_disabled";
    /// There are as many webhooks as there may be.
    TooManyWebhooks = CONFLICT "too_many_webhooks";

    // Work orders.
    /// The order names nobody who may run it.
    NoTargetingSpecified = BAD_REQUEST "no_targeting_specified";
    /// The order makes no sense; `details` may say where.
    InvalidWorkOrder = BAD_REQUEST "invalid_work_order";
    /// There is no such order.
    WorkOrderNotFound = NOT_FOUND "work_order_not_found";
    /// The order is not there to be claimed by this agent.
    WorkOrderNotClaimable = NOT_FOUND "work_order_not_claimable";
    /// There is no such entry in the log.
    WorkOrderLogEntryNotFound = NOT_FOUND "work_order_log_entry_not_found";

    /// The batch is empty, or larger than the broker accepts.
    InvalidBatch = BAD_REQUEST "invalid_batch";
    /// The claim's numbers, types or process make no sense.
    InvalidClaim = BAD_REQUEST "invalid_claim";
    /// The renewal's numbers, claims or process make no sense.
    InvalidRenewal = BAD_REQUEST "invalid_renewal";
    /// The reported ending makes no sense.
    InvalidEnding = BAD_REQUEST "invalid_ending";
    /// The reason is blank, too long, or has a NUL character.
    InvalidReason = BAD_REQUEST "invalid_reason";
    /// The chunk's stream or position makes no sense.
    InvalidOutput = BAD_REQUEST "invalid_output";
    /// The place in the output, or among the events, is not one that the live stream gave out.
    InvalidPosition = BAD_REQUEST "invalid_position";
    /// The idempotency key is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey = BAD_REQUEST "invalid_idempotency_key";
    /// Events after the place were forgotten; `details` says where those begin that are kept.
    EventsForgotten = GONE "events_forgotten";
    /// The attempt has printed as much as is stored.
    OutputLimit = PAYLOAD_TOO_LARGE "output_limit";

    // Conflicts.
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = CONFLICT "idempotency_key_reused";
    /// The attempt is not the current one of whoever names it.
    StaleAttempt = CONFLICT "stale_attempt";
    /// A newer process of the agent has taken over.
    SupersededInstance = CONFLICT "superseded_instance";
    /// Nobody holds the order.
    WorkOrderNotClaimed = CONFLICT "work_order_not_claimed";
    /// The order has ended.
    WorkOrderEnded = CONFLICT "work_order_ended";
    /// The order has not ended.
    WorkOrderNotEnded = CONFLICT "work_order_not_ended";
    /// The order does not wait any more.
    WorkOrderNotWaiting = CONFLICT "work_order_not_waiting";
    /// Output before the chunk is missing; `details` says from where on.
    OutputGap = CONFLICT "output_gap";
    /// Something with this name or key is there already.
    UniqueViolation = CONFLICT "unique_violation";
    /// Something that the request refers to is not there.
    ForeignKeyViolation = UNPROCESSABLE_ENTITY "foreign_key_violation";

    // The broker.
    /// The broker met a defect of its own; its log has the request id.
    InternalError = INTERNAL_SERVER_ERROR "internal_error";
    /// No reason was found why an order is where it is; the broker's log has the request id.
    Unexplained = INTERNAL_SERVER_ERROR "unexplained";
    /// The database cannot be used now.
    DatabaseUnavailable = SERVICE_UNAVAILABLE "database_unavailable";
    /// More requests of the kind wait already than the broker holds.
    Overloaded = SERVICE_UNAVAILABLE "overloaded";
    /// The broker cannot serve yet, or not any more.
    NotReady = SERVICE_UNAVAILABLE "not_ready";
    /// The broker did not finish in time. Whether the change was made is not known: ask.
    Timeout = SERVICE_UNAVAILABLE "timeout";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn a_code_is_snake_case_and_names_one_thing() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for text in texts {
            assert!(
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "{text}"
            );
        }
    }

    #[test]
    fn the_codes_are_as_reviewed() {
        let mut lines: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", code.status().as_u16(), code.as_str()))
            .collect();
        lines.sort();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
