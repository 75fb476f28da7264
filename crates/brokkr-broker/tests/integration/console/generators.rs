//! Generators on pages, and their keys.

use brokkr_api::{Generator, ListGenerators, PakText};
use brokkr_testkit::{Backend, TestBroker};
use rstest::rstest;

use super::{HOSTILE, Visitor, encoded, shown_once};

async fn generators(broker: &TestBroker) -> Vec<Generator> {
    let query = ListGenerators::default();
    broker.admin().generators(&query).await.unwrap().items
}

/// Whether a key is taken.
async fn is_good(broker: &TestBroker, generator: &Generator, pak: &str) -> bool {
    let client = broker.client(&PakText::new(pak));
    client.generator(generator.id).await.is_ok()
}

#[rstest]
#[tokio::test]
async fn a_generator_is_made_changed_given_a_new_key_and_deleted(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    let made = admin.act("/generators", "name=ci&description=nightly").await;
    let first = shown_once(&made);
    let generator = generators(&broker).await.remove(0);
    assert_eq!(generator.description.as_deref(), Some("nightly"));
    assert!(is_good(&broker, &generator, &first).await);

    let page = format!("/generators/{}", generator.id);
    for shown in [&page, "/generators"] {
        let text = admin.get(shown).await.text;
        assert!(text.contains("nightly") && !text.contains(&first), "{shown}");
    }
    let second = shown_once(&admin.act(&page, "act=rotate").await);
    assert!(!is_good(&broker, &generator, &first).await);
    assert!(is_good(&broker, &generator, &second).await);

    let change = format!("act=change&name=cd&description={}", encoded(HOSTILE));
    assert_eq!(admin.act(&page, &change).await.status, 303);
    let text = admin.get(&page).await.text;
    assert!(text.contains("script&#62;alert(1)") && !text.contains("<script>alert"));

    assert_eq!(admin.act(&page, "act=delete").await.status, 303);
    assert!(generators(&broker).await.is_empty());
    assert!(!is_good(&broker, &generator, &second).await);
    assert_eq!(admin.get(&page).await.status, 404);
}

#[rstest]
#[tokio::test]
async fn a_name_that_is_none_or_taken_makes_no_generator(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let broker = TestBroker::start(backend).await;
    let admin = Visitor::signed_in(&broker, broker.admin_pak()).await;
    admin.act("/generators", "name=ci").await;
    for (form, status) in [("name=", 400), ("name=ci", 409), ("description=a", 400)] {
        let refused = admin.act("/generators", form).await;
        assert_eq!(refused.status, status, "{form}");
    }
    assert_eq!(generators(&broker).await.len(), 1);
}
