use brokkr_broker::dal::ConstraintKind;
use brokkr_broker::dal::generators::{self, GeneratorChanges};
use brokkr_core::names::GeneratorName;
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

use super::samples::{at, create_generator, generator_id};

#[rstest]
#[tokio::test]
async fn a_created_generator_is_read_back_as_it_was_written(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let created = create_generator(&mut tx, 1).await;

    assert_eq!(
        generators::get(&mut tx, generator_id(1)).await.unwrap(),
        Some(created)
    );
    assert_eq!(generators::get(&mut tx, generator_id(2)).await.unwrap(), None);
}

#[rstest]
#[tokio::test]
async fn the_name_of_a_deleted_generator_is_free_and_that_of_a_live_one_is_not(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let first = create_generator(&mut tx, 1).await;
    assert!(generators::soft_delete(&mut tx, first.id, at(1)).await.unwrap());
    assert!(!generators::soft_delete(&mut tx, first.id, at(1)).await.unwrap());

    generators::create(&mut tx, generator_id(2), &first.name, Some("again"), at(2))
        .await
        .unwrap();
    let refused = generators::create(&mut tx, generator_id(3), &first.name, None, at(3))
        .await
        .unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
}

#[rstest]
#[tokio::test]
async fn an_update_keeps_what_is_not_given(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let created = create_generator(&mut tx, 1).await;
    let described = GeneratorChanges {
        description: Some("the nightly builds".to_owned()),
        ..GeneratorChanges::default()
    };
    let renamed = GeneratorChanges {
        name: Some(GeneratorName::parse("nightly").unwrap()),
        ..GeneratorChanges::default()
    };

    generators::update(&mut tx, created.id, &described, at(1))
        .await
        .unwrap();
    let updated = generators::update(&mut tx, created.id, &renamed, at(2))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(updated.name.as_str(), "nightly");
    assert_eq!(updated.description.as_deref(), Some("the nightly builds"));
    assert_eq!(updated.updated_at, at(2));
    assert_eq!(
        generators::update(&mut tx, generator_id(9), &renamed, at(3))
            .await
            .unwrap(),
        None
    );
}

#[rstest]
#[tokio::test]
async fn generators_are_listed_oldest_first_page_by_page(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    for number in [2, 1, 3] {
        create_generator(&mut tx, number).await;
    }
    generators::soft_delete(&mut tx, generator_id(2), at(1))
        .await
        .unwrap();

    let first = generators::list(&mut tx, None, 1).await.unwrap();
    let rest = generators::list(&mut tx, Some(first[0].id), 9).await.unwrap();

    assert_eq!(first[0].id, generator_id(1));
    assert_eq!(
        rest.iter().map(|generator| generator.id).collect::<Vec<_>>(),
        [generator_id(3)]
    );
}
