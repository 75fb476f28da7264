//! What the broker asks of YAML: that it is YAML, and that nobody who reads it later can be overrun by it.

use serde_saphyr::budget::{Budget, BudgetBreach, EnforcingPolicy, check_yaml_budget};

use crate::config::Limits;

/// The most references to anchors. Each is cheap to write and as large as what it refers to.
const ALIASES_MAX: usize = 1_000;
/// The most documents of one order.
const DOCUMENTS_MAX: usize = 1_000;
/// The most nodes: scalars, sequences and maps.
const NODES_MAX: usize = 250_000;

/// Why a text cannot be an order's content. Sentences name places and bounds, and never quote the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Nothing, or nothing but white space.
    #[error("yaml_content must not be blank")]
    Blank,
    /// Larger than the broker accepts.
    #[error("yaml_content must have at most {bytes_max} bytes, not {bytes}")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
        /// What was found.
        bytes: usize,
    },
    /// A character that a database cannot keep.
    #[error("yaml_content must not contain a NUL character")]
    Nul,
    /// Not YAML.
    #[error("yaml_content is not YAML at line {line}, column {column}: {reason}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// YAML that goes deeper, or refers to itself more often, than any reader should have to follow.
    #[error("yaml_content has too many or too deep {0}")]
    Overrun(&'static str),
}

/// Checks the content of an order. Any YAML will do: what it means is for the agent that runs it.
///
/// # Errors
/// [`YamlError`] says what is wrong, and where.
pub fn check(content: &str, limits: &Limits) -> Result<(), YamlError> {
    if content.trim().is_empty() {
        return Err(YamlError::Blank);
    }
    let bytes_max = limits.yaml_bytes_max;
    if content.len() > bytes_max {
        return Err(YamlError::TooLarge {
            bytes_max,
            bytes: content.len(),
        });
    }
    if content.contains('\0') {
        return Err(YamlError::Nul);
    }
    let report =
        check_yaml_budget(content, budget(limits), EnforcingPolicy::AllContent).map_err(|error| {
            let place = error.marker();
            YamlError::Syntax {
                line: place.line(),
                column: place.col() + 1,
                reason: error.info(),
            }
        })?;
    report
        .breached
        .map_or(Ok(()), |breach| Err(YamlError::Overrun(words(&breach))))
}

fn budget(limits: &Limits) -> Budget {
    let mut budget = Budget::default();
    budget.max_depth = limits.yaml_depth_max;
    budget.flow_nesting_limit = limits.yaml_depth_max;
    budget.max_aliases = ALIASES_MAX;
    budget.max_anchors = ALIASES_MAX;
    budget.max_documents = DOCUMENTS_MAX;
    budget.max_nodes = NODES_MAX;
    budget
}

fn words(breach: &BudgetBreach) -> &'static str {
    match breach {
        BudgetBreach::Depth { .. } => "levels",
        BudgetBreach::Aliases { .. } | BudgetBreach::AliasAnchorRatio { .. } => "aliases",
        BudgetBreach::Anchors { .. } => "anchors",
        BudgetBreach::Documents { .. } => "documents",
        _ => "nodes",
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(content: &str) -> Result<(), YamlError> {
        check(content, &Limits::default())
    }

    #[test]
    fn any_yaml_will_do() {
        for content in [
            "a: 1",
            "just words",
            "a: 1\n---\nb: [1, 2]\n---\n",
            "- &x {a: 1}\n- *x",
            "!Custom {a: b}",
            "a: 1\na: 2",
            "# nothing but a remark",
        ] {
            assert_eq!(checked(content), Ok(()), "{content}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        let Err(YamlError::Syntax { line, .. }) = checked("a: 1\nb: [1, 2\nc: }") else {
            panic!("it is not YAML");
        };
        assert!(line >= 2);
        assert!(checked("a: *nobody").is_err());
    }

    #[test]
    fn blank_nul_and_oversized_content_is_refused() {
        assert_eq!(checked(" \n\t"), Err(YamlError::Blank));
        assert_eq!(checked("a: \"\0\""), Err(YamlError::Nul));
        let limits = Limits {
            yaml_bytes_max: 4,
            ..Limits::default()
        };
        assert_eq!(
            check("a: 12", &limits),
            Err(YamlError::TooLarge {
                bytes_max: 4,
                bytes: 5
            })
        );
    }

    #[test]
    fn content_that_would_overrun_its_readers_is_refused() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(checked(&deep).is_err());
        let blocks: String = (0..100)
            .map(|level| format!("{}a:\n", " ".repeat(level)))
            .collect();
        assert_eq!(checked(&blocks), Err(YamlError::Overrun("levels")));
        let laughs = format!("- &x a\n{}", "- *x\n".repeat(5_000));
        assert_eq!(checked(&laughs), Err(YamlError::Overrun("aliases")));
    }
}
