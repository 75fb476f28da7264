//! The body of every answer that is an error.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable and snake_case: decide by this.
    #[schema(example = "work_order_not_found")]
    pub code: String,
    /// For people. It may change at any time.
    #[schema(example = "There is no such work order.")]
    pub message: String,
    /// Facts that belong to the code, such as the offending field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    pub details: Option<Value>,
}

impl Problem {
    /// A problem without details.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            code: code.into(),
            message: message.into(),
            details: None,
        }
    }

    /// The same problem with `details`.
    pub fn with_details(self, details: Value) -> Problem {
        Problem {
            details: Some(details),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_has_no_other_members() {
        let problem = Problem::new("read_only", "no");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            json!({"code": "read_only", "message": "no"})
        );
        let detailed = serde_json::to_value(problem.with_details(json!({"field": "x"}))).unwrap();
        assert_eq!(
            detailed,
            json!({"code": "read_only", "message": "no", "details": {"field": "x"}})
        );
    }
}
