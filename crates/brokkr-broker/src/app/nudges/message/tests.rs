use std::collections::HashMap;

use brokkr_core::ids::AgentId;

use super::*;

fn work(routes: &[&str], work_type: Option<&str>) -> Work {
    Work {
        routes: routes
            .iter()
            .map(|route| Route::stored((*route).to_owned()))
            .collect(),
        work_type: work_type.map(|name| WorkType::parse(name).unwrap()),
    }
}

fn news(work: impl IntoIterator<Item = (Work, u32)>) -> News {
    News {
        work: work.into_iter().collect(),
        ..News::default()
    }
}

#[test]
fn what_is_told_is_what_is_heard() {
    let told: HashMap<Work, u32> = [
        (work(&["label:a", "annotation:k=\"v\""], Some("command")), 3),
        (work(&["label:b"], None), 1),
    ]
    .into();
    let agent = AgentId::new(Uuid::from_u128(7));
    let mut news = news(told.clone());
    news.agents.insert(agent);
    news.events = true;

    let payloads = to_tell("x", news);
    assert_eq!(payloads.len(), 1);
    let heard = Message::from_json(&payloads[0]).unwrap();
    assert!(heard.from == "x" && heard.events && !heard.look);
    assert_eq!(heard.work().collect::<HashMap<_, _>>(), told);
    assert_eq!(heard.agents, [agent.as_uuid()]);
}

#[test]
fn no_payload_is_longer_than_postgresql_takes_and_nothing_is_left_out() {
    let long = "x".repeat(100);
    let many = (0..300).map(|number| (work(&[&format!("label:{long}{number}")], Some("command")), 1));
    let payloads = to_tell("0123456789abcdef", news(many));
    assert!(1 < payloads.len() && payloads.len() <= MESSAGES_MAX);
    assert!(payloads.iter().all(|payload| payload.len() <= BYTES_MAX));
    let heard = payloads
        .iter()
        .map(|payload| Message::from_json(payload).unwrap().work().count());
    assert_eq!(heard.sum::<usize>(), 300);
}

#[test]
fn what_does_not_fit_is_told_as_a_request_to_look() {
    let routes: Vec<String> = (0..100)
        .map(|number| format!("label:{}{number}", "x".repeat(100)))
        .collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let payloads = to_tell("x", news([(work(&routes, None), 1)]));
    assert_eq!(payloads, [r#"{"from":"x","look":true}"#]);

    let long = "x".repeat(100);
    let many = (0..1_000).map(|number| (work(&[&format!("label:{long}{number}")], None), 1));
    assert_eq!(to_tell("x", news(many)), payloads);
}

#[test]
fn dead_keys_are_for_everybody_and_all_of_them_are_told() {
    let short: Vec<ShortPart> = (0..2_000)
        .map(|number| ShortPart::parse(&format!("A{:07}", number + 1_111_111).replace('0', "z")).unwrap())
        .collect();
    let heard: Vec<ShortPart> = to_forget(&short)
        .iter()
        .flat_map(|payload| Message::from_json(payload).unwrap().forgotten())
        .collect();
    assert_eq!(heard, short);
    assert!(to_forget(&[]).is_empty());
}

#[test]
fn what_makes_no_sense_or_is_not_known_does_no_harm() {
    assert!(Message::from_json("nonsense").is_err());
    let newer = r#"{"from":"y","news":[1],"work":[[["label:a"]," ",1],[["label:a"],null,2]],"forget":["?"]}"#;
    let heard = Message::from_json(newer).unwrap();
    assert_eq!(heard.work().collect::<Vec<_>>(), [(work(&["label:a"], None), 2)]);
    assert!(heard.forgotten().is_empty());
}
