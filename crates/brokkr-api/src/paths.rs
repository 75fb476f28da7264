//! Where everything is. Constants are templates for routers, functions fill them in for clients.

use uuid::Uuid;

/// Submit and list work orders.
pub const WORK_ORDERS: &str = "/api/v1/work-orders";
/// Submit many work orders.
pub const WORK_ORDERS_BATCH: &str = "/api/v1/work-orders/batch";
/// What would become of a work order, without submitting it.
pub const WORK_ORDERS_PREVIEW: &str = "/api/v1/work-orders/preview";
/// Cancel many work orders.
pub const WORK_ORDERS_CANCELLATIONS: &str = "/api/v1/work-orders/cancellations";
/// One work order.
pub const WORK_ORDER: &str = "/api/v1/work-orders/{id}";
/// Claim one known work order.
pub const WORK_ORDER_CLAIM: &str = "/api/v1/work-orders/{id}/claim";
/// Report the outcome of a work order.
pub const WORK_ORDER_COMPLETE: &str = "/api/v1/work-orders/{id}/complete";
/// Give a work order back.
pub const WORK_ORDER_RELEASE: &str = "/api/v1/work-orders/{id}/release";
/// Cancel a work order.
pub const WORK_ORDER_CANCEL: &str = "/api/v1/work-orders/{id}/cancel";
/// Repeat an ended work order.
pub const WORK_ORDER_RETRY: &str = "/api/v1/work-orders/{id}/retry";
/// Who may run a work order.
pub const WORK_ORDER_TARGETING: &str = "/api/v1/work-orders/{id}/targeting";
/// Why a work order is where it is.
pub const WORK_ORDER_EXPLAIN: &str = "/api/v1/work-orders/{id}/explain";
/// The attempts of a work order.
pub const WORK_ORDER_ATTEMPTS: &str = "/api/v1/work-orders/{id}/attempts";
/// What the work printed.
pub const WORK_ORDER_OUTPUT: &str = "/api/v1/work-orders/{id}/output";
/// The work-order log.
pub const WORK_ORDER_LOG: &str = "/api/v1/work-order-log";
/// What has happened to work orders and agents.
pub const EVENTS: &str = "/api/v1/events";
/// Repeating many ended work orders.
pub const WORK_ORDER_LOG_RETRIES: &str = "/api/v1/work-order-log/retries";
/// One entry of the log.
pub const WORK_ORDER_LOG_ENTRY: &str = "/api/v1/work-order-log/{id}";
/// Create and list agents.
pub const AGENTS: &str = "/api/v1/agents";
/// Find an agent by name and cluster. Only the slash at the end tells it from the list.
pub const AGENT_BY_NAME: &str = "/api/v1/agents/";
/// One agent.
pub const AGENT: &str = "/api/v1/agents/{id}";
/// What the agent could claim now.
pub const AGENT_PENDING: &str = "/api/v1/agents/{id}/work-orders/pending";
/// Claim the next work orders, and see which are held.
pub const AGENT_CLAIMS: &str = "/api/v1/agents/{id}/claims";
/// Renew the leases of an agent.
pub const AGENT_RENEWALS: &str = "/api/v1/agents/{id}/renewals";
/// Report many outcomes.
pub const AGENT_ENDINGS: &str = "/api/v1/agents/{id}/endings";
/// Append output.
pub const AGENT_OUTPUT: &str = "/api/v1/agents/{id}/output";
/// The labels of an agent.
pub const AGENT_LABELS: &str = "/api/v1/agents/{id}/labels";
/// One label of an agent.
pub const AGENT_LABEL: &str = "/api/v1/agents/{id}/labels/{label}";
/// The annotations of an agent.
pub const AGENT_ANNOTATIONS: &str = "/api/v1/agents/{id}/annotations";
/// One annotation of an agent.
pub const AGENT_ANNOTATION: &str = "/api/v1/agents/{id}/annotations/{key}";
/// Replace the PAK of an agent.
pub const AGENT_ROTATE_PAK: &str = "/api/v1/agents/{id}/rotate-pak";
/// Give a sign of life.
pub const AGENT_HEARTBEAT: &str = "/api/v1/agents/{id}/heartbeat";
/// Ask whom a PAK belongs to.
pub const AUTH_PAK: &str = "/api/v1/auth/pak";
/// Create and list generators.
pub const GENERATORS: &str = "/api/v1/generators";
/// One generator.
pub const GENERATOR: &str = "/api/v1/generators/{id}";
/// Replace the PAK of a generator.
pub const GENERATOR_ROTATE_PAK: &str = "/api/v1/generators/{id}/rotate-pak";
/// Create and list the PAKs of admins and viewers.
pub const PAKS: &str = "/api/v1/paks";
/// One PAK, by its short part.
pub const PAK: &str = "/api/v1/paks/{short}";
/// Create and list webhooks.
pub const WEBHOOKS: &str = "/api/v1/webhooks";
/// One webhook.
pub const WEBHOOK: &str = "/api/v1/webhooks/{id}";
/// Give a webhook a new secret.
pub const WEBHOOK_ROTATE_SECRET: &str = "/api/v1/webhooks/{id}/rotate-secret";
/// Tell a webhook again of what happens.
pub const WEBHOOK_ENABLE: &str = "/api/v1/webhooks/{id}/enable";
/// Tell a webhook of nothing.
pub const WEBHOOK_DISABLE: &str = "/api/v1/webhooks/{id}/disable";
/// Send a webhook something to try it.
pub const WEBHOOK_TEST: &str = "/api/v1/webhooks/{id}/test";
/// What a webhook was told.
pub const WEBHOOK_DELIVERIES: &str = "/api/v1/webhooks/{id}/deliveries";
/// One delivery of a webhook.
pub const WEBHOOK_DELIVERY: &str = "/api/v1/webhooks/{id}/deliveries/{delivery}";
/// Send one delivery again.
pub const WEBHOOK_DELIVERY_REPLAY: &str = "/api/v1/webhooks/{id}/deliveries/{delivery}/replay";
/// Send many deliveries of a webhook again.
pub const WEBHOOK_REPLAYS: &str = "/api/v1/webhooks/{id}/replays";
/// Whether the process lives.
pub const HEALTHZ: &str = "/healthz";
/// Whether the broker can serve.
pub const READYZ: &str = "/readyz";
/// Prometheus metrics.
pub const METRICS: &str = "/metrics";
/// The description of the API.
pub const OPENAPI: &str = "/docs/openapi.json";

/// Fills `{id}` of a template in.
pub fn with_id(template: &str, id: Uuid) -> String {
    template.replace("{id}", &id.to_string())
}

/// The path of one label of an agent.
pub fn agent_label(id: Uuid, label: &str) -> String {
    with_id(AGENT_LABEL, id).replace("{label}", &encoded(label))
}

/// The path of one annotation of an agent.
pub fn agent_annotation(id: Uuid, key: &str) -> String {
    with_id(AGENT_ANNOTATION, id).replace("{key}", &encoded(key))
}

/// The path of one PAK, by its short part.
pub fn pak(short: &str) -> String {
    PAK.replace("{short}", &encoded(short))
}

/// The path of one delivery of a webhook, of a template that has one.
pub fn webhook_delivery(template: &str, webhook: Uuid, delivery: Uuid) -> String {
    with_id(template, webhook).replace("{delivery}", &delivery.to_string())
}

/// Percent-encodes all but the unreserved characters of RFC 3986. The segments `.` and `..` cannot be written at all:
/// URLs give them a meaning even when they are encoded.
fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded() {
        assert_eq!(
            agent_label(Uuid::nil(), "a/b ü?"),
            format!("/api/v1/agents/{}/labels/a%2Fb%20%C3%BC%3F", Uuid::nil())
        );
        assert_eq!(pak("4vJ9"), "/api/v1/paks/4vJ9");
    }

    #[test]
    fn braces_in_a_value_are_not_filled_in() {
        assert!(agent_annotation(Uuid::nil(), "{id}").ends_with("/%7Bid%7D"));
    }
}
