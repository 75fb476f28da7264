//! Looking at an order before it is submitted, far away from the cluster that it is for.

use super::document::Order;

/// What an agent would refuse in an order, whatever its cluster and its policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OrderFault {
    /// The line, counted from 1; nothing when the order is wrong as a whole.
    pub line: Option<usize>,
    /// What is wrong, and in which document.
    pub message: String,
}

/// Reads an order of manifests as an agent does.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(yaml: &str) -> Result<(), OrderFault> {
    Order::parse(yaml).map(drop).map_err(|error| OrderFault {
        line: error.place.map(|place| place.line),
        message: match error.place {
            Some(place) => format!("{place}: {}", error.problem),
            None => error.problem.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_a_name_is_a_fault_with_its_line_and_number() {
        let yaml =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\n";
        let fault = check(yaml).unwrap_err();
        assert!(fault.line.is_some_and(|line| 4 <= line), "{fault:?}");
        assert!(fault.message.starts_with("document 2: metadata"), "{fault:?}");
        assert_eq!(
            check("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
            Ok(())
        );
    }
}
