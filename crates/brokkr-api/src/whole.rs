//! Whole numbers of requests. JSON does not tell `3` from `3.0` or `3e0`, and there are clients that write all numbers alike.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Every whole number from here to its negative is a number of its own as a `f64`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a whole number.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(WholeVisitor)
}

/// Reads a whole number, or nothing.
pub(crate) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Whole>::deserialize(deserializer).map(|number| number.map(|Whole(number)| number))
}

struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number(deserializer).map(Self)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("i64")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
            return Ok(number as i64);
        }
        Err(E::invalid_type(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{ClaimRequest, HeldClaim};

    fn claim(max: serde_json::Value) -> Option<i64> {
        let request = json!({"instance_id": "p", "max": max});
        serde_json::from_value::<ClaimRequest>(request).ok()?.max
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(claim(json!(3)), Some(3));
        assert_eq!(claim(json!(3.0)), Some(3));
        assert_eq!(claim(json!(-3e2)), Some(-300));
        assert_eq!(claim(json!(null)), None);
        let held = json!({"id": "00000000-0000-0000-0000-000000000001", "attempt": 2.0});
        assert_eq!(serde_json::from_value::<HeldClaim>(held).unwrap().attempt, 2);
    }

    #[test]
    fn what_is_no_whole_number_is_refused() {
        for number in [json!(1.5), json!(1e300), json!(u64::MAX), json!("3"), json!([3])] {
            let request = json!({"instance_id": "p", "max": number});
            assert!(
                serde_json::from_value::<ClaimRequest>(request).is_err(),
                "{number}"
            );
        }
    }
}
