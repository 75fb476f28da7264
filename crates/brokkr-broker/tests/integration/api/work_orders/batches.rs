//! Work orders that are submitted together.

use brokkr_api::{BatchCreate, CreateWorkOrder, ListWorkOrders, TargetingRequest};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use super::{ORDERS, body};
use crate::api::call::{post, refusal, refused};

#[rstest]
#[tokio::test]
async fn of_a_batch_the_good_orders_are_created_and_the_others_are_told_why_not(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let good = || broker.work_order().label("any").request();
    let unknown = TargetingRequest {
        agent_ids: Some(vec![Uuid::from_u128(1)]),
        ..TargetingRequest::default()
    };
    let batch = BatchCreate {
        work_orders: vec![
            good(),
            CreateWorkOrder {
                targeting: None,
                ..good()
            },
            CreateWorkOrder {
                yaml_content: "a: [".to_owned(),
                ..good()
            },
            CreateWorkOrder {
                targeting: Some(unknown),
                ..good()
            },
            good(),
        ],
    };
    let answer = broker.admin().create_work_orders(&batch, None).await.unwrap();

    let statuses: Vec<_> = answer.items.iter().map(|item| item.status).collect();
    assert_eq!(statuses, [201, 400, 400, 422, 201]);
    let codes: Vec<_> = answer
        .items
        .iter()
        .filter_map(|item| item.error.as_ref())
        .map(|error| &error.code)
        .collect();
    assert_eq!(
        codes,
        [
            "no_targeting_specified",
            "invalid_work_order",
            "foreign_key_violation"
        ]
    );
    let queued = broker
        .admin()
        .work_orders(&ListWorkOrders::default())
        .await
        .unwrap()
        .items;
    let created: Vec<_> = answer
        .items
        .into_iter()
        .filter_map(|item| item.work_order)
        .collect();
    assert_eq!(queued.len(), 2);
    assert!(created.iter().all(|order| queued.contains(order)));
}

#[rstest]
#[tokio::test]
async fn a_batch_of_a_thousand_is_created_at_once_in_its_order(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let order = broker.work_order().label("any").label("other").request();
    let batch = BatchCreate {
        work_orders: vec![order; 1_000],
    };
    let answer = broker.admin().create_work_orders(&batch, None).await.unwrap();
    let ids: Vec<_> = answer
        .items
        .iter()
        .map(|item| item.work_order.as_ref().unwrap().id)
        .collect();
    assert_eq!(ids.len(), 1_000);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn an_unknown_field_in_a_batch_refuses_only_its_own_order() {
    let broker = TestBroker::start(Backend::Sqlite).await;
    let path = format!("{ORDERS}/batch");
    let items = json!({"work_orders": [body(json!({})), body(json!({"prioritty": 1})), body(json!({"priority": "x"})), 7]});
    let answer = post(&broker, broker.admin_pak(), &path, items).await;
    assert_eq!(answer.status, 207);
    let items = answer.json();
    let statuses: Vec<_> = items["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].clone())
        .collect();
    assert_eq!(statuses, [201, 422, 422, 422]);
    for refused_batch in [json!({"work_orders": []}), json!({"work_orders": vec![7; 1_001]})] {
        let answer = post(&broker, broker.admin_pak(), &path, refused_batch).await;
        assert_eq!(refusal(&answer), refused(400, "invalid_batch"));
    }
}
