//! What the types look like as JSON. A change here is a change of the contract.

use brokkr_api::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use uuid::Uuid;

const ID: &str = "018f0000-0000-7000-8000-000000000001";

fn waiting() -> WorkOrder {
    let at = Time::from_micros(1_500_000);
    WorkOrder {
        id: Uuid::nil(),
        created_at: at,
        updated_at: at,
        work_type: "command".to_owned(),
        yaml_content: "a: b".to_owned(),
        status: WorkOrderStatus::RetryPending,
        claimed_by: None,
        claimed_at: None,
        claim_timeout_seconds: 3600,
        max_retries: 3,
        retry_count: 0,
        backoff_seconds: 60,
        next_retry_after: None,
        last_error: None,
        last_error_at: None,
        attempt: 0,
        lease_expires_at: None,
        lost_count: 0,
        cancel_requested_at: None,
        priority: 0,
        deadline_seconds: None,
        start_by: None,
        run_at: None,
        delivery: Delivery::AtLeastOnce,
        targeting: Targeting::default(),
        metadata: Default::default(),
        retry_of: None,
        submitted_by: "admin:abcdefgh".to_owned(),
        infrastructure_retries_max: 5,
        infrastructure_retry_count: 0,
        backoff_jitter: false,
    }
}

fn written(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("it is JSON")
}

#[test]
fn a_work_order_has_all_its_keys() {
    insta::assert_json_snapshot!(waiting(), @r#"
    {
      "id": "00000000-0000-0000-0000-000000000000",
      "created_at": "1970-01-01T00:00:01.500000Z",
      "updated_at": "1970-01-01T00:00:01.500000Z",
      "work_type": "command",
      "yaml_content": "a: b",
      "status": "RETRY_PENDING",
      "claimed_by": null,
      "claimed_at": null,
      "claim_timeout_seconds": 3600,
      "max_retries": 3,
      "retry_count": 0,
      "backoff_seconds": 60,
      "next_retry_after": null,
      "last_error": null,
      "last_error_at": null,
      "attempt": 0,
      "lease_expires_at": null,
      "lost_count": 0,
      "cancel_requested_at": null,
      "priority": 0,
      "deadline_seconds": null,
      "start_by": null,
      "run_at": null,
      "delivery": "at_least_once",
      "targeting": {
        "agent_ids": [],
        "labels": [],
        "annotations": {}
      },
      "metadata": {},
      "retry_of": null,
      "submitted_by": "admin:abcdefgh",
      "infrastructure_retries_max": 5,
      "infrastructure_retry_count": 0,
      "backoff_jitter": false
    }
    "#);
}

#[test]
fn a_claimed_work_order_is_a_work_order_with_its_lost_attempts() {
    let claimed = ClaimedWorkOrder {
        work_order: waiting(),
        lost_attempts: vec![1, 2],
        instance_id: Some("7f3c".to_owned()),
        traceparent: None,
    };
    let mut expected = written(&waiting());
    expected["lost_attempts"] = json!([1, 2]);
    expected["instance_id"] = json!("7f3c");
    expected["traceparent"] = json!(null);
    assert_eq!(written(&claimed), expected);
    assert_eq!(
        serde_json::from_value::<ClaimedWorkOrder>(expected).unwrap(),
        claimed
    );
}

#[test]
fn a_log_entry_has_all_its_keys() {
    let entry: WorkOrderLog = serde_json::from_value(json!({
        "id": ID, "work_type": "command", "created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01+00:00",
        "success": false, "retries_attempted": 0, "yaml_content": "a: b", "ending": "lost", "attempt": 1, "lost_count": 1,
        "from_a_newer_broker": true,
    }))
    .unwrap();
    insta::assert_json_snapshot!(entry, @r#"
    {
      "id": "018f0000-0000-7000-8000-000000000001",
      "work_type": "command",
      "created_at": "2026-01-01T00:00:00.000000Z",
      "claimed_at": null,
      "completed_at": "2026-01-01T00:00:01.000000Z",
      "claimed_by": null,
      "success": false,
      "retries_attempted": 0,
      "result_message": null,
      "yaml_content": "a: b",
      "ending": "lost",
      "attempt": 1,
      "class": null,
      "exit_code": null,
      "result": null,
      "lost_count": 1,
      "retry_of": null,
      "infrastructure_retries_attempted": 0
    }
    "#);
}

#[test]
fn an_agent_and_an_attempt_have_all_their_keys() {
    let agent: Agent = serde_json::from_value(json!({
        "id": ID, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "name": "runner",
        "cluster_name": "here", "status": "INACTIVE",
    }))
    .unwrap();
    let attempt: Attempt =
        serde_json::from_value(json!({"attempt": 1, "agent_id": ID, "claimed_at": "2026-01-01T00:00:00Z"}))
            .unwrap();
    insta::assert_json_snapshot!((agent, attempt), @r#"
    [
      {
        "id": "018f0000-0000-7000-8000-000000000001",
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-01-01T00:00:00.000000Z",
        "deleted_at": null,
        "name": "runner",
        "cluster_name": "here",
        "last_heartbeat": null,
        "status": "INACTIVE",
        "k8s_reachable": null,
        "k8s_api_latency_ms": null,
        "k8s_reported_at": null,
        "state": null,
        "report": null,
        "reported_at": null
      },
      {
        "attempt": 1,
        "agent_id": "018f0000-0000-7000-8000-000000000001",
        "claimed_at": "2026-01-01T00:00:00.000000Z",
        "lease_expires_at": null,
        "ended_at": null,
        "ending": null,
        "class": null,
        "message": null,
        "exit_code": null,
        "result": null
      }
    ]
    "#);
}

#[test]
fn the_owner_of_a_pak_is_told_with_nulls() {
    let admin = AuthAnswer {
        admin: true,
        agent: None,
        generator: None,
        readonly: false,
    };
    assert_eq!(
        written(&admin),
        json!({"admin": true, "agent": null, "generator": null, "readonly": false})
    );
}

#[test]
fn the_schema_says_that_nullable_keys_are_always_there() {
    let (schema, example) = (written(&WorkOrder::schema()), written(&waiting()));
    let keys: Vec<_> = example.as_object().unwrap().keys().collect();
    let mut required: Vec<_> = schema["required"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    required.sort_unstable();
    assert_eq!(required, keys);
}

#[test]
fn names_on_the_wire_are_those_of_the_types() {
    use WorkOrderStatus::*;
    for status in [
        Pending,
        Claimed,
        RetryPending,
        Scheduled,
        Completed,
        Failed,
        Cancelled,
        Lost,
        Expired,
    ] {
        assert_eq!(written(&status), json!(status.as_str()));
    }
    for ending in [
        Ending::Succeeded,
        Ending::Failed,
        Ending::Cancelled,
        Ending::Lost,
        Ending::Expired,
    ] {
        assert_eq!(written(&ending), json!(ending.as_str()));
    }
    use FailureClass as Class;
    for class in [
        Class::Infrastructure,
        Class::Work,
        Class::Refused,
        Class::Deadline,
        Class::Cancelled,
    ] {
        assert_eq!(written(&class), json!(class.as_str()));
    }
    use AttemptEnding as End;
    for ending in [
        End::Succeeded,
        End::Failed,
        End::Cancelled,
        End::Lost,
        End::Released,
    ] {
        assert_eq!(written(&ending), json!(ending.as_str()));
    }
}

#[test]
fn original_bodies_take_nulls_and_unknown_fields() {
    let order: CreateWorkOrder = serde_json::from_value(json!({
        "work_type": "command", "yaml_content": "a", "max_retries": null, "targeting": null, "start_by": null, "unknown": 1,
    }))
    .unwrap();
    let expected = CreateWorkOrder {
        work_type: "command".to_owned(),
        yaml_content: "a".to_owned(),
        ..Default::default()
    };
    assert_eq!(order, expected);
    assert_eq!(
        written(&order),
        json!({"work_type": "command", "yaml_content": "a"})
    );
}

#[test]
fn later_bodies_refuse_unknown_fields() {
    fn assert_strict<T: DeserializeOwned>(valid: Value) {
        let name = std::any::type_name::<T>();
        let with = |mut body: Value| {
            body["unknown"] = json!(1);
            body
        };
        assert!(serde_json::from_value::<T>(valid.clone()).is_ok(), "{name}");
        assert!(serde_json::from_value::<T>(with(valid)).is_err(), "{name}");
    }
    assert_strict::<BatchCreate>(json!({"work_orders": []}));
    assert_strict::<ClaimRequest>(json!({"instance_id": "i"}));
    assert_strict::<RenewalsRequest>(json!({"instance_id": "i", "claims": []}));
    assert_strict::<HeldClaim>(json!({"id": ID, "attempt": 1}));
    assert_strict::<EndingsRequest>(json!({"endings": []}));
    assert_strict::<EndingItem>(json!({"id": ID, "attempt": 1, "success": true}));
    assert_strict::<Release>(json!({"agent_id": ID, "attempt": 1}));
    assert_strict::<Cancel>(json!({}));
    assert_strict::<SetTargeting>(json!({}));
    assert_strict::<AppendOutput>(json!({"chunks": []}));
    assert_strict::<CreatePak>(json!({"name": "n", "role": "viewer"}));
}

#[test]
fn a_place_in_the_output_follows_a_piece_and_reads_back() {
    let piece = OutputPiece {
        attempt: 2,
        offset: 10,
        stream: stream::STDOUT.to_owned(),
        at: Time::from_micros(0),
        data: "äh\n".to_owned(),
    };
    assert_eq!(piece.end().to_string(), "2:14");
    assert_eq!("2:14".parse(), Ok(piece.end()));
    for nonsense in ["", "1", "1:", ":1", "-1:2", "1:-2", "1:2:3"] {
        assert_eq!(
            nonsense.parse::<OutputPosition>(),
            Err(OutputPositionError),
            "{nonsense}"
        );
    }
}

#[test]
fn no_pak_is_in_a_debug_text() {
    let created = PakCreated {
        pak_info: PakInfo {
            short: "abcdefgh".to_owned(),
            name: "dashboard".to_owned(),
            role: PakRole::Viewer,
            created_at: Time::from_micros(0),
            expires_at: None,
        },
        pak: PakText::new("brokkr_BRabcdefgh_secret"),
    };
    assert!(!format!("{created:?}").contains("secret"));
    assert_eq!(written(&created)["pak"], "brokkr_BRabcdefgh_secret");
}
