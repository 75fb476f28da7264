//! Fuzz targets for what the core reads: keys, and whom an order is for.

use std::collections::BTreeSet;

use brokkr_core::ids::AgentId;
use brokkr_core::names::{AnnotationKey, AnnotationValue, Label, NameError};
use brokkr_core::pak::{MalformedPak, Pak, PakHash, ShortPart};
use brokkr_core::routing::{Route, Targeting, TargetingError};
use brokkr_testkit_fuzz::Fuzz;

const PAK_WORDS: &[&str] = &[
    "brokkr_BR",
    "BR",
    "_",
    "abcdefgh",
    "0",
    "O",
    "I",
    "l",
    "z",
    "1",
    " ",
];

#[test]
fn paks() {
    Fuzz::new("paks", PAK_WORDS).run_texts(|text| {
        let hash = PakHash::from_hex(text);
        if let Some(hash) = &hash {
            assert_eq!(hash.to_hex(), text.to_ascii_lowercase());
            assert!(
                !format!("{hash:?}").contains(&hash.to_hex()),
                "a hash shows itself"
            );
        }
        match Pak::parse(text) {
            Ok(pak) => is_the_same_again(&pak, text),
            Err(MalformedPak) => format!("refused, hash: {}", hash.is_some()),
        }
    });
}

fn is_the_same_again(pak: &Pak, text: &str) -> String {
    assert_eq!(pak.reveal(), text);
    assert_eq!(Pak::parse(&pak.reveal()).as_ref(), Ok(pak));
    let (short, long) = text["brokkr_BR".len()..].split_once('_').expect("two parts");
    assert_eq!(ShortPart::parse(short).as_ref(), Some(pak.short()));
    assert!(
        text.len() <= "brokkr_BR".len() + 16 + 1 + 64,
        "a key of {} bytes",
        text.len()
    );
    let shown = format!("{pak:?} {:?}", pak.hash());
    assert!(!shown.contains(long), "Debug shows the long part");
    format!("short {} long {}", short.len(), long.len())
}

const ROUTE_WORDS: &[&str] = &[
    "agent:",
    "label:",
    "annotation:",
    "=",
    "%3D",
    "%25",
    "%",
    ":",
    "\n",
    "gpu",
    "00000000-0000-0000-0000-000000000001",
];

/// The most terms that the target lets an order have.
const TERMS_MAX: usize = 10;

#[derive(Default)]
struct Terms {
    agents: Vec<AgentId>,
    labels: Vec<Label>,
    annotations: Vec<(AnnotationKey, AnnotationValue)>,
}

/// Each line is a term: `agent:<id>`, `label:<label>` or `annotation:<key>=<value>`. Others are left out.
fn terms(text: &str) -> Terms {
    let mut terms = Terms::default();
    for line in text.split('\n') {
        match line.split_once(':') {
            Some(("agent", id)) => terms.agents.extend(id.parse::<AgentId>()),
            Some(("label", label)) => terms.labels.extend(valid(label, Label::parse, Label::as_str)),
            Some(("annotation", pair)) => {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let key = valid(key, AnnotationKey::parse, AnnotationKey::as_str);
                let value = valid(value, AnnotationValue::parse, AnnotationValue::as_str);
                terms.annotations.extend(key.zip(value));
            }
            _ => {}
        }
    }
    terms
}

/// A name, which is what was written and keeps its bounds, or nothing.
fn valid<'t, T>(
    text: &'t str,
    parse: impl Fn(&'t str) -> Result<T, NameError>,
    as_str: impl Fn(&T) -> &str,
) -> Option<T> {
    let name = parse(text).ok()?;
    assert_eq!(as_str(&name), text);
    assert!((1..=64).contains(&text.chars().count()));
    assert!(
        !text
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control())
    );
    Some(name)
}

#[test]
fn routes() {
    Fuzz::new("routes", ROUTE_WORDS).run_texts(|text| {
        let Terms {
            agents,
            labels,
            annotations,
        } = terms(text);
        let different = BTreeSet::from_iter(&agents).len()
            + BTreeSet::from_iter(&labels).len()
            + BTreeSet::from_iter(&annotations).len();
        let given = agents.len() + labels.len() + annotations.len();
        match Targeting::new(agents, labels, annotations, TERMS_MAX) {
            Ok(targeting) => {
                assert!((1..=TERMS_MAX).contains(&given));
                lead_to_each(&targeting, different);
                format!("{given} terms, {different} routes")
            }
            Err(TargetingError::Empty) => {
                assert_eq!(given, 0);
                "nobody".to_owned()
            }
            Err(TargetingError::TooMany { max, found }) => {
                assert_eq!((max, found), (TERMS_MAX, given));
                "too many".to_owned()
            }
            Err(twice) => {
                assert!(different < given, "{twice}, although all are different");
                "twice".to_owned()
            }
        }
    });
}

/// Different terms make different routes, each of its kind, and a stored route is the same again.
fn lead_to_each(targeting: &Targeting, different: usize) {
    let routes = targeting.routes();
    assert_eq!(routes.len(), different, "{routes:?}");
    for route in &routes {
        let kind = route.as_str().split(':').next();
        assert!(matches!(kind, Some("agent" | "label" | "annotation")), "{route}");
        assert_eq!(&Route::stored(route.to_string()), route);
    }
}
