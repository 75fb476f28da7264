//! Nonsense to every operation of a running broker, as its own description names them: never a failure of the broker, always
//! an error body, and nothing is different afterwards.
//!
//! Every request here is one that the broker refuses in the end, whatever is put into it: it is about things that do not
//! exist, or ask for what is there already.

mod fuzz;
mod scene;

use brokkr_broker::config::Limits;
use brokkr_testkit::{Answer, Backend};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::call::{refusal, refused};
use scene::{Operation, Scene, is_sane, put_in, shortened, values};

#[rstest]
#[tokio::test]
async fn a_body_with_nonsense_in_any_of_its_places_changes_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.body.is_some())
    {
        let (name, path) = (operation.name(), scene.path(&operation));
        let understood = scene.understood(&operation);
        let places = scene.places(operation.body.as_ref().unwrap(), "");
        assert!(!places.is_empty(), "{name} has a body without members");
        for place in &places {
            // A key that never expires would be no nonsense.
            let sensible = |value: &Value| value.is_null() && place == "/expires_at";
            for value in values().into_iter().filter(|value| !sensible(value)) {
                let mut body = understood.clone();
                put_in(&mut body, place, value);
                let answer = scene.send(&operation, &path, body.to_string()).await;
                is_sane(&answer, &format!("{name} {}", shortened(&body)));
            }
        }
        let mut unknown = understood.clone();
        unknown["\u{0}"] = json!("\u{0}");
        is_sane(&scene.send(&operation, &path, unknown.to_string()).await, &name);
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_no_object_of_json_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let malformed: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"nul".to_vec(),
        b"{} {}".to_vec(),
        b"{'a': 1}".to_vec(),
        b"{\"a\": 01}".to_vec(),
        b"\0".to_vec(),
        b"\xff\xfe{}".to_vec(),
        b"{\"\xff\": 1}".to_vec(),
        b"{\"a\": \"\\ud800\"}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        "{\"a\":".repeat(100_000).into_bytes(),
        vec![b' '; 100_000],
    ];
    let misshapen = ["[]", "[[]]", "7", "1e999", "\"text\"", "true", "null"];
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.body.is_some())
    {
        let (name, path) = (operation.name(), scene.path(&operation));
        for body in &malformed {
            let answer = scene.send(&operation, &path, body.clone()).await;
            let sent = format!(
                "{name} {:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
            is_sane(&answer, &sent);
            assert!([400, 422].contains(&answer.status), "{sent}: {}", answer.status);
        }
        for body in misshapen {
            let answer = scene.send(&operation, &path, body).await;
            is_sane(&answer, &name);
            assert!(
                [400, 422].contains(&answer.status),
                "{name} {body}: {}",
                answer.status
            );
        }
        let understood = scene.understood(&operation).to_string();
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/yaml",
            "json",
            "\"",
            "",
        ] {
            let request = scene
                .request(&operation, &path)
                .header("Content-Type", media_type);
            let answer = Answer::of(request.body(understood.clone())).await;
            assert_eq!(
                refusal(&answer),
                refused(415, "unsupported_media_type"),
                "{name} {media_type:?}"
            );
        }
        let answer = Answer::of(scene.request(&operation, &path).body(understood)).await;
        assert_eq!(refusal(&answer), refused(415, "unsupported_media_type"), "{name}");
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn an_id_that_is_none_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let ids = [
        "nonsense",
        "%00",
        "%FF%FE",
        "%20",
        "-1",
        "1e9",
        "00000000-0000-0000-0000-00000000000g",
        "'%3B%20DROP%20TABLE%20agents%3B--",
        "%E2%80%AE",
        &"9".repeat(5_000),
    ];
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.template.contains('{'))
    {
        let name = operation.name();
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation))
            .unwrap_or(json!({}));
        for id in ids {
            let segments = operation
                .template
                .split('/')
                .map(|part| if part.starts_with('{') { id } else { part });
            let path = segments.collect::<Vec<_>>().join("/");
            let answer = scene.send(&operation, &path, body.to_string()).await;
            is_sane(&answer, &format!("{name} {id}"));
            // A label, a key or a short part is a text; whether there is one is another question.
            let expected: &[u16] = if operation.template.contains("{id}") {
                &[400]
            } else {
                &[400, 404]
            };
            assert!(
                expected.contains(&answer.status),
                "{name} {id}: {}",
                answer.status
            );
        }
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn an_absurd_query_is_refused_or_ignored_and_told(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let texts = [
        "",
        "%00",
        "%FF",
        "%",
        "-1",
        "0",
        "99999999999999999999",
        "1e3",
        "NaN",
        "a%20b",
        "%F0%9F%98%80",
        "'%3B%20DROP%20TABLE%20agents%3B--",
        &"x".repeat(5_000),
    ];
    let whole = [
        "&&&=&==",
        "%",
        "a[]=1&a[b]=2",
        "+",
        "?",
        "limit",
        "limit=1&limit=2",
        &"a=b&".repeat(2_000),
    ];
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation).to_string())
            .unwrap_or_default();
        let mut names = operation.parameters.clone();
        names.extend(["limit", "cursor", "\u{202e}"].map(str::to_owned));
        let valued = names
            .iter()
            .flat_map(|name| texts.iter().map(move |text| format!("{name}={text}")));
        for query in valued.chain(whole.map(str::to_owned)) {
            let answer = scene
                .send(&operation, &format!("{path}?{query}"), body.clone())
                .await;
            is_sane(
                &answer,
                &format!("{name}?{}", query.chars().take(80).collect::<String>()),
            );
        }
        for parameter in &operation.parameters {
            let answer = scene
                .send(&operation, &format!("{path}?{parameter}=%00"), body.clone())
                .await;
            assert_eq!(answer.status, 400, "{name}?{parameter}=%00: {}", answer.text);
        }
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let operations = scene.operations();
    let methods = [
        "GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get",
    ];
    for (template, item) in scene.document["paths"].as_object().unwrap() {
        let known = |method: &&str| item.get(method.to_lowercase()).is_some() && *method != "get";
        let some = operations
            .iter()
            .find(|operation| operation.template == *template)
            .unwrap();
        for method in methods.iter().filter(|method| !known(method)) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let wrong = Operation {
                method: method.clone(),
                ..some.clone()
            };
            let answer = scene.send(&wrong, &scene.path(some), "{}").await;
            assert_eq!(
                refusal(&answer),
                refused(405, "method_not_allowed"),
                "{method} {template}"
            );
            assert!(!answer.header("allow").is_empty(), "{method} {template}");
        }
    }
    scene.is_as(&before, "all of them").await;
}

#[rstest]
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_everywhere(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let limits = Limits {
        body_bytes_max: 2_000,
        ..Limits::default()
    };
    let scene = Scene::start(backend, limits).await;
    let before = scene.dump().await;
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        // The second one is still being sent when it is refused.
        for bytes in [2_001, 1_000_000] {
            let answer = scene.send(&operation, &path, " ".repeat(bytes)).await;
            assert_eq!(refusal(&answer), refused(413, "body_too_large"), "{name} {bytes}");
        }
    }
    scene.is_as(&before, "all of them").await;
}

#[rstest]
#[tokio::test]
async fn headers_that_make_no_sense_break_nothing(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    let scene = Scene::start(backend, Limits::default()).await;
    let before = scene.dump().await;
    let headers: [(&str, &[u8]); 12] = [
        ("Accept", b"\xff"),
        ("Accept", b"nothing/at-all;q=x"),
        ("Accept-Encoding", b"unheard-of"),
        ("Idempotency-Key", b"\xff\xfe"),
        ("Idempotency-Key", b""),
        ("Last-Event-ID", b"\xff"),
        ("X-Request-Id", b"\xff\xfe"),
        ("traceparent", b"00-\xff"),
        ("traceparent", b"00-0-0-0"),
        ("Range", b"bytes=9-1"),
        ("Expect", b"the unexpected"),
        ("Cookie", b"a=\xff"),
    ];
    for operation in scene.operations() {
        let (name, path) = (operation.name(), scene.path(&operation));
        let body = operation
            .body
            .as_ref()
            .map(|_| scene.understood(&operation).to_string())
            .unwrap_or_default();
        for (header, value) in headers {
            let request = scene
                .request(&operation, &path)
                .header("Content-Type", "application/json");
            let answer = Answer::of(request.header(header, value).body(body.clone())).await;
            is_sane(&answer, &format!("{name} {header}"));
        }
        if operation.template.starts_with("/api/") {
            for key in [
                &b"\xff"[..],
                b"",
                b"Basic YTpi",
                b"Bearer",
                b"Bearer  two",
                b"brokkr_BR_",
                b"Bearer \0",
            ] {
                let Ok(value) = reqwest::header::HeaderValue::from_bytes(key) else {
                    continue;
                };
                let request = scene
                    .broker
                    .http(operation.method.clone(), &path)
                    .header("Authorization", value);
                let answer = Answer::of(
                    request
                        .header("Content-Type", "application/json")
                        .body(body.clone()),
                )
                .await;
                assert_eq!(answer.status, 401, "{name} {key:?}");
                is_sane(&answer, &name);
            }
        }
        scene.is_as(&before, &name).await;
    }
}

#[rstest]
#[tokio::test]
async fn an_unknown_member_is_told_in_part_1_of_the_contract_and_refused_in_part_2(
    #[values(Backend::Postgres, Backend::Sqlite)] backend: Backend,
) {
    const PART_1: &[&str] = &[
        "POST /api/v1/agents",
        "PUT /api/v1/agents/{id}",
        "POST /api/v1/agents/{id}/labels",
        "POST /api/v1/agents/{id}/annotations",
        "POST /api/v1/agents/{id}/heartbeat",
        "POST /api/v1/generators",
        "PUT /api/v1/generators/{id}",
        "POST /api/v1/work-orders",
        // Takes the body of a submission.
        "POST /api/v1/work-orders/preview",
        "POST /api/v1/work-orders/{id}/claim",
        "POST /api/v1/work-orders/{id}/complete",
    ];
    let scene = Scene::start(backend, Limits::default()).await;
    for operation in scene
        .operations()
        .into_iter()
        .filter(|operation| operation.body.is_some())
    {
        let (name, path, mut body) = (
            operation.name(),
            scene.path(&operation),
            scene.understood(&operation),
        );
        body["misspelt"] = json!(1);
        let answer = scene.send(&operation, &path, body.to_string()).await;
        if PART_1.contains(&name.as_str()) {
            assert_eq!(
                answer.header("warning"),
                r#"299 brokkr "ignored unknown fields: misspelt""#,
                "{name}"
            );
        } else {
            assert_eq!(refusal(&answer), refused(422, "invalid_body"), "{name}");
        }
        for list in ["claims", "endings", "chunks"]
            .iter()
            .filter(|list| body[**list][0].is_object())
        {
            let mut body = scene.understood(&operation);
            body[*list][0]["misspelt"] = json!(1);
            let answer = scene.send(&operation, &path, body.to_string()).await;
            assert_eq!(refusal(&answer), refused(422, "invalid_body"), "{name} {list}");
        }
    }
}
