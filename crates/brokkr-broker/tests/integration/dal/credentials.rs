use brokkr_broker::dal::ConstraintKind;
use brokkr_broker::dal::credentials::{self, Credential, Role};
use brokkr_core::names::KeyName;
use brokkr_core::pak::{Pak, ShortPart};
use brokkr_testkit::{Backend, TestDb};
use rstest::rstest;

use super::samples::{agent_id, at, create_agents, create_generator, generator_id};

fn pak(number: u8) -> Pak {
    Pak::from_random([number; 32])
}

fn credential(number: u8, role: Role) -> Credential {
    let named = matches!(role, Role::Admin | Role::Viewer);
    Credential {
        short: pak(number).short().clone(),
        hash: pak(number).hash(),
        role,
        name: named.then(|| KeyName::parse(format!("key {number}")).unwrap()),
        created_at: at(0),
        expires_at: None,
    }
}

fn short(number: u8) -> ShortPart {
    pak(number).short().clone()
}

#[rstest]
#[tokio::test]
async fn a_key_of_every_role_is_found_by_its_short_part(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    create_generator(&mut tx, 1).await;
    let roles = [
        Role::Admin,
        Role::Viewer,
        Role::Agent(agent_id(1)),
        Role::Generator(generator_id(1)),
    ];
    for (number, role) in (1..).zip(roles) {
        let credential = credential(number, role);
        credentials::insert(&mut tx, &credential).await.unwrap();
        let found = credentials::find_live(&mut tx, &short(number), at(1))
            .await
            .unwrap();
        assert_eq!(found, Some(credential));
    }
    assert_eq!(
        credentials::find_live(&mut tx, &short(9), at(1)).await.unwrap(),
        None
    );
}

#[rstest]
#[tokio::test]
async fn a_short_part_is_never_given_twice(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    credentials::insert(&mut tx, &credential(1, Role::Admin))
        .await
        .unwrap();

    let refused = credentials::insert(&mut tx, &credential(1, Role::Viewer))
        .await
        .unwrap_err();

    assert_eq!(refused.constraint(), Some(ConstraintKind::Unique));
}

#[rstest]
#[tokio::test]
async fn a_key_is_good_until_the_moment_it_expires(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let expiring = Credential {
        expires_at: Some(at(10)),
        ..credential(1, Role::Admin)
    };
    credentials::insert(&mut tx, &expiring).await.unwrap();

    assert!(
        credentials::find_live(&mut tx, &short(1), at(9))
            .await
            .unwrap()
            .is_some()
    );
    assert!(credentials::admin_exists(&mut tx, at(9)).await.unwrap());
    assert!(
        credentials::find_live(&mut tx, &short(1), at(10))
            .await
            .unwrap()
            .is_none()
    );
    assert!(!credentials::admin_exists(&mut tx, at(10)).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn a_viewer_is_no_admin(#[values(Backend::Postgres, Backend::Sqlite)] backend: Backend) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    credentials::insert(&mut tx, &credential(1, Role::Viewer))
        .await
        .unwrap();

    assert!(!credentials::admin_exists(&mut tx, at(1)).await.unwrap());
}

#[rstest]
#[tokio::test]
async fn rotating_an_agents_key_kills_all_it_had_and_no_other(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 2).await;
    credentials::insert(&mut tx, &credential(1, Role::Agent(agent_id(1))))
        .await
        .unwrap();
    credentials::insert(&mut tx, &credential(2, Role::Agent(agent_id(2))))
        .await
        .unwrap();

    let revoked = credentials::rotate(&mut tx, &credential(3, Role::Agent(agent_id(1))))
        .await
        .unwrap();

    assert_eq!(revoked, [short(1)]);
    assert!(
        credentials::find_live(&mut tx, &short(1), at(1))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        credentials::find_live(&mut tx, &short(2), at(1))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        credentials::find_live(&mut tx, &short(3), at(1))
            .await
            .unwrap()
            .is_some()
    );
}

#[rstest]
#[tokio::test]
async fn rotating_a_generators_key_kills_the_one_it_had(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_generator(&mut tx, 1).await;
    credentials::insert(&mut tx, &credential(1, Role::Generator(generator_id(1))))
        .await
        .unwrap();

    let revoked = credentials::rotate(&mut tx, &credential(2, Role::Generator(generator_id(1))))
        .await
        .unwrap();

    assert_eq!(revoked, [short(1)]);
    assert!(
        credentials::find_live(&mut tx, &short(1), at(1))
            .await
            .unwrap()
            .is_none()
    );
}

#[rstest]
#[tokio::test]
async fn only_admins_and_viewers_keys_are_listed_and_revoked_by_short_part(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    create_agents(&mut tx, 1).await;
    credentials::insert(&mut tx, &credential(1, Role::Admin))
        .await
        .unwrap();
    credentials::insert(&mut tx, &credential(2, Role::Viewer))
        .await
        .unwrap();
    credentials::insert(&mut tx, &credential(3, Role::Agent(agent_id(1))))
        .await
        .unwrap();

    let mut listed = credentials::list(&mut tx, None, 1, at(1)).await.unwrap();
    let after = listed[0].short.clone();
    listed.extend(credentials::list(&mut tx, Some(&after), 9, at(1)).await.unwrap());
    let mut expected = [short(1), short(2)];
    expected.sort();
    assert_eq!(
        listed.iter().map(|key| key.short.clone()).collect::<Vec<_>>(),
        expected
    );

    assert!(
        !credentials::revoke_named(&mut tx, &short(3), at(1))
            .await
            .unwrap()
    );
    assert!(
        credentials::revoke_named(&mut tx, &short(1), at(1))
            .await
            .unwrap()
    );
    assert!(
        !credentials::revoke_named(&mut tx, &short(1), at(2))
            .await
            .unwrap()
    );
    assert_eq!(credentials::list(&mut tx, None, 9, at(2)).await.unwrap().len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_key_must_belong_to_whom_its_role_says(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let nobodys = credential(1, Role::Agent(agent_id(7)));
    let refused = credentials::insert(&mut tx, &nobodys).await.unwrap_err();
    assert_eq!(refused.constraint(), Some(ConstraintKind::ForeignKey));
    drop(tx);

    let mut tx = db.begin().await.unwrap();
    let nameless = Credential {
        name: None,
        ..credential(1, Role::Admin)
    };
    let refused = credentials::insert(&mut tx, &nameless).await.unwrap_err();
    assert_eq!(refused.constraint(), Some(ConstraintKind::Check));
}

#[rstest]
#[tokio::test]
async fn dead_keys_are_forgotten_a_few_at_a_time(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let db = TestDb::start(backend).await;
    let mut tx = db.begin().await.unwrap();
    let expired = Credential {
        expires_at: Some(at(5)),
        ..credential(1, Role::Viewer)
    };
    credentials::insert(&mut tx, &expired).await.unwrap();
    for number in [2, 3] {
        credentials::insert(&mut tx, &credential(number, Role::Admin))
            .await
            .unwrap();
    }
    credentials::revoke_named(&mut tx, &short(2), at(6))
        .await
        .unwrap();

    assert_eq!(credentials::prune(&mut tx, at(4), 9).await.unwrap(), 0);
    assert_eq!(credentials::prune(&mut tx, at(100), 1).await.unwrap(), 1);
    assert_eq!(credentials::prune(&mut tx, at(100), 9).await.unwrap(), 1);
    assert!(
        credentials::find_live(&mut tx, &short(3), at(100))
            .await
            .unwrap()
            .is_some()
    );
}
