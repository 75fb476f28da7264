//! Inputs for which something does not hold: made small, and kept.

use std::any::Any;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::corpus::root;

/// How many smaller inputs are tried before the smallest one so far is shown.
const TRIES_MAX: usize = 2_000;

/// What the target answers to an input, or what it panicked with.
pub(crate) fn outcome(check: &dyn Fn(&[u8]) -> String, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| check(input))).map_err(|panic| message(panic.as_ref()))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

/// A smaller input that fails as well: pieces are left out, halves first, as long as that helps.
pub(crate) fn smallest(check: &dyn Fn(&[u8]) -> String, input: &[u8]) -> Vec<u8> {
    let (mut smallest, mut tries, mut piece) = (input.to_vec(), 0, input.len() / 2);
    while piece > 0 && tries < TRIES_MAX {
        let mut from = 0;
        while from < smallest.len() && tries < TRIES_MAX {
            let mut shorter = smallest.clone();
            shorter.drain(from..(from + piece).min(smallest.len()));
            tries += 1;
            if outcome(check, &shorter).is_err() {
                smallest = shorter;
            } else {
                from += piece;
            }
        }
        piece /= 2;
    }
    smallest
}

/// Keeps the input below `target/fuzz`, and says where.
pub(crate) fn keep(target: &str, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let directory = root().join("target/fuzz").join(target);
    let file = directory.join(format!("{:016x}", hasher.finish()));
    let kept = fs::create_dir_all(&directory).and_then(|()| fs::write(&file, input));
    kept.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_percent(input: &[u8]) -> String {
        assert!(!input.contains(&b'%'), "a percent sign");
        String::new()
    }

    #[test]
    fn what_fails_is_made_as_small_as_it_gets() {
        assert_eq!(smallest(&no_percent, b"some text with a % in it"), b"%");
    }

    #[test]
    fn a_panic_is_told_by_its_words() {
        assert_eq!(outcome(&no_percent, b"%"), Err("a percent sign".to_owned()));
        assert_eq!(outcome(&no_percent, b""), Ok(String::new()));
    }
}
