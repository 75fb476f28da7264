//! Every operation of the API, and who may call it.

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody, even without a key.
    Open,
    /// Everybody with a key.
    Any,
    /// An administrator, for a change.
    Admin,
    /// An administrator or a viewer.
    Reader,
    /// An administrator, a viewer or a generator.
    GeneratorsToo,
    /// An administrator, a viewer or the agent that is looked for.
    Finder,
    /// The agent of the path.
    OwnAgent,
    /// An administrator or the agent of the path, for a change.
    AdminOrAgent,
    /// An administrator, a viewer or the agent of the path.
    AgentReader,
    /// An administrator or the agent of the body, for a change.
    AdminOrAgentOfBody,
    /// An administrator or any agent: what there is to know of the order is looked at first.
    AdminOrAnyAgent,
    /// An administrator or the generator of the path, for a change.
    AdminOrGenerator,
    /// An administrator, a viewer or the generator of the path.
    GeneratorReader,
}

use Access::*;

/// Method, path, who may call it, and a body that makes sense, in which `AGENT` stands for the own agent's id.
pub(super) const OPERATIONS: &[(&str, &str, Access, Option<&str>)] = &[
    ("GET", "/healthz", Open, None),
    ("GET", "/readyz", Open, None),
    ("GET", "/metrics", Open, None),
    ("POST", "/api/v1/auth/pak", Any, None),
    (
        "POST",
        "/api/v1/agents",
        Admin,
        Some(r#"{"name": "new", "cluster_name": "c"}"#),
    ),
    ("GET", "/api/v1/agents", GeneratorsToo, None),
    ("GET", "/api/v1/agents/", Finder, None),
    ("GET", "/api/v1/agents/{id}", AgentReader, None),
    ("PUT", "/api/v1/agents/{id}", AdminOrAgent, Some("{}")),
    ("DELETE", "/api/v1/agents/{id}", Admin, None),
    ("POST", "/api/v1/agents/{id}/rotate-pak", AdminOrAgent, None),
    ("POST", "/api/v1/agents/{id}/heartbeat", OwnAgent, Some("{}")),
    ("GET", "/api/v1/agents/{id}/labels", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/labels",
        Admin,
        Some(r#"{"agent_id": "AGENT", "label": "l"}"#),
    ),
    ("DELETE", "/api/v1/agents/{id}/labels/{label}", Admin, None),
    ("GET", "/api/v1/agents/{id}/annotations", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/annotations",
        Admin,
        Some(r#"{"agent_id": "AGENT", "key": "k", "value": "v"}"#),
    ),
    ("DELETE", "/api/v1/agents/{id}/annotations/{key}", Admin, None),
    (
        "GET",
        "/api/v1/agents/{id}/work-orders/pending",
        AgentReader,
        None,
    ),
    (
        "POST",
        "/api/v1/agents/{id}/claims",
        OwnAgent,
        Some(r#"{"instance_id": "i"}"#),
    ),
    ("GET", "/api/v1/agents/{id}/claims", AgentReader, None),
    (
        "POST",
        "/api/v1/agents/{id}/renewals",
        OwnAgent,
        Some(r#"{"instance_id": "i", "claims": []}"#),
    ),
    (
        "POST",
        "/api/v1/agents/{id}/endings",
        OwnAgent,
        Some(r#"{"endings": []}"#),
    ),
    (
        "POST",
        "/api/v1/agents/{id}/output",
        OwnAgent,
        Some(r#"{"chunks": []}"#),
    ),
    ("POST", "/api/v1/generators", Admin, Some(r#"{"name": "new"}"#)),
    ("GET", "/api/v1/generators", Reader, None),
    ("GET", "/api/v1/generators/{id}", GeneratorReader, None),
    ("PUT", "/api/v1/generators/{id}", AdminOrGenerator, Some("{}")),
    ("DELETE", "/api/v1/generators/{id}", AdminOrGenerator, None),
    (
        "POST",
        "/api/v1/generators/{id}/rotate-pak",
        AdminOrGenerator,
        None,
    ),
    (
        "POST",
        "/api/v1/paks",
        Admin,
        Some(r#"{"name": "new", "role": "viewer"}"#),
    ),
    ("GET", "/api/v1/paks", Reader, None),
    ("DELETE", "/api/v1/paks/{short}", Admin, None),
    (
        "POST",
        "/api/v1/work-orders",
        Admin,
        Some(r#"{"work_type": "t", "yaml_content": "a: 1", "target_agent_ids": ["AGENT"]}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/batch",
        Admin,
        Some(r#"{"work_orders": [{"work_type": "t", "yaml_content": "a: 1"}]}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/preview",
        Reader,
        Some(r#"{"work_type": "t", "yaml_content": "a: 1", "target_agent_ids": ["AGENT"]}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/cancellations",
        Admin,
        Some(r#"{"label": "nobody-has-it"}"#),
    ),
    ("GET", "/api/v1/work-orders/{id}/explain", Reader, None),
    ("GET", "/api/v1/work-orders", Reader, None),
    ("GET", "/api/v1/work-orders/{id}", Reader, None),
    ("DELETE", "/api/v1/work-orders/{id}", Admin, None),
    (
        "POST",
        "/api/v1/work-orders/{id}/claim",
        AdminOrAgentOfBody,
        Some(r#"{"agent_id": "AGENT"}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/{id}/complete",
        AdminOrAnyAgent,
        Some(r#"{"success": true}"#),
    ),
    (
        "POST",
        "/api/v1/work-orders/{id}/release",
        AdminOrAgentOfBody,
        Some(r#"{"agent_id": "AGENT", "attempt": 1}"#),
    ),
    ("POST", "/api/v1/work-orders/{id}/cancel", Admin, Some("{}")),
    ("POST", "/api/v1/work-orders/{id}/retry", Admin, None),
    ("GET", "/api/v1/events", Reader, None),
    ("POST", "/api/v1/work-order-log/retries", Admin, Some("{}")),
    ("GET", "/api/v1/work-orders/{id}/targeting", Reader, None),
    (
        "PUT",
        "/api/v1/work-orders/{id}/targeting",
        Admin,
        Some(r#"{"labels": ["l"]}"#),
    ),
    ("GET", "/api/v1/work-orders/{id}/attempts", Reader, None),
    ("GET", "/api/v1/work-orders/{id}/output", Reader, None),
    ("GET", "/api/v1/work-order-log", Reader, None),
    (
        "POST",
        "/api/v1/webhooks",
        Admin,
        Some(r#"{"name": "new", "url": "https://hooks.example.com/", "event_types": ["*"]}"#),
    ),
    ("GET", "/api/v1/webhooks", Reader, None),
    ("GET", "/api/v1/webhooks/{id}", Reader, None),
    ("PUT", "/api/v1/webhooks/{id}", Admin, Some("{}")),
    ("DELETE", "/api/v1/webhooks/{id}", Admin, None),
    ("POST", "/api/v1/webhooks/{id}/rotate-secret", Admin, Some("{}")),
    ("POST", "/api/v1/webhooks/{id}/enable", Admin, Some("{}")),
    ("POST", "/api/v1/webhooks/{id}/disable", Admin, None),
    ("POST", "/api/v1/webhooks/{id}/test", Admin, None),
    ("GET", "/api/v1/webhooks/{id}/deliveries", Reader, None),
    ("GET", "/api/v1/webhooks/{id}/deliveries/{delivery}", Reader, None),
    (
        "POST",
        "/api/v1/webhooks/{id}/deliveries/{delivery}/replay",
        Admin,
        None,
    ),
    (
        "POST",
        "/api/v1/webhooks/{id}/replays",
        Admin,
        Some(r#"{"since": "2026-01-01T00:00:00Z"}"#),
    ),
    ("GET", "/api/v1/work-order-log/{id}", Reader, None),
];
