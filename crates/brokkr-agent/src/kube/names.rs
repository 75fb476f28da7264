//! Names of what runs once: derived from order and attempt, so that the same attempt always meets its own object and never an
//! older one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::attempt::AttemptId;

/// The longest name. The Job controller copies it into a label of the pods, and a label's value has at most 63 characters
/// (`k8s.io/apimachinery/pkg/util/validation`, `LabelValueMaxLength`).
const NAME_CHARS_MAX: usize = 63;
/// How many digits of the order's id are in a name. They are the last ones: the first ones tell the time.
const ORDER_DIGITS: usize = 12;
/// How many digits of the hash stand for what was cut off.
const HASH_DIGITS: usize = 8;

/// What names are made of when only the beginning is given (`generateName`): the document it comes from, like `2` or `2-3` for
/// the third item of a List, tells apart what has the same beginning.
pub(crate) fn generated_base(prefix: &str, document: &str) -> String {
    format!("{}-{document}", prefix.trim_end_matches(['-', '.']))
}

/// The name of what one attempt creates: at most 63 characters, and always the same.
pub(crate) fn run_name(base: &str, id: AttemptId) -> String {
    let order = id.order.simple().to_string();
    let ending = format!("-{}-{}", &order[order.len() - ORDER_DIGITS..], id.attempt);
    shortened(base, NAME_CHARS_MAX.saturating_sub(ending.len())) + &ending
}

/// The text itself, or its beginning and a hash of all of it.
fn shortened(base: &str, chars_max: usize) -> String {
    if base.len() <= chars_max {
        return base.to_owned();
    }
    let kept = base.floor_char_boundary(chars_max.saturating_sub(HASH_DIGITS + 1));
    // A label's value, and each part of a name between full stops, ends with a letter or a digit.
    let mut short = base[..kept].trim_end_matches(['-', '.']).to_owned();
    short.push('-');
    for byte in &Sha256::digest(base)[..HASH_DIGITS / 2] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(attempt: i64) -> AttemptId {
        AttemptId {
            order: "01934f5e-7a3b-7c21-9f00-a1b2c3d4e5f6".parse().unwrap(),
            attempt,
        }
    }

    #[test]
    fn a_name_is_the_submitted_one_with_order_and_attempt() {
        assert_eq!(run_name("migrate", id(1)), "migrate-a1b2c3d4e5f6-1");
        assert_eq!(run_name("migrate", id(12)), "migrate-a1b2c3d4e5f6-12");
    }

    #[test]
    fn a_generated_name_tells_documents_apart() {
        assert_eq!(generated_base("migrate-", "2"), "migrate-2");
        assert_eq!(generated_base("migrate", "2-3"), "migrate-2-3");
    }

    #[test]
    fn a_name_that_just_fits_is_left_alone() {
        let base = "b".repeat(NAME_CHARS_MAX - "-a1b2c3d4e5f6-1".len());
        assert_eq!(run_name(&base, id(1)), format!("{base}-a1b2c3d4e5f6-1"));
    }

    #[test]
    fn long_names_keep_their_beginning_and_stay_apart() {
        let (one, other) = (
            format!("{}-one", "b".repeat(80)),
            format!("{}-other", "b".repeat(80)),
        );
        let (one, other) = (run_name(&one, id(1)), run_name(&other, id(1)));
        assert_eq!(one.len(), NAME_CHARS_MAX);
        assert!(
            one.starts_with("bbbbbbbb") && one.ends_with("-a1b2c3d4e5f6-1"),
            "{one}"
        );
        assert_ne!(one, other);
        assert_eq!(run_name(&"b".repeat(250), id(i64::MAX)).len(), NAME_CHARS_MAX);
    }

    #[test]
    fn no_part_of_a_shortened_name_ends_with_a_separator() {
        let kept = NAME_CHARS_MAX - "-a1b2c3d4e5f6-1".len() - HASH_DIGITS - 1;
        for separator in ["-", ".", "-.-"] {
            let base = format!(
                "{}{separator}{}",
                "b".repeat(kept - separator.len()),
                "c".repeat(60)
            );
            let name = run_name(&base, id(1));
            assert!(
                name.starts_with(&format!("{}-", "b".repeat(kept - separator.len()))),
                "{name}"
            );
            assert!(!name.contains(".-") && !name.contains("--"), "{name}");
        }
    }
}
