//! By what orders are chosen, wherever they are listed, counted, cancelled or repeated: the parameters `$4` to `$8` of a statement.

use brokkr_core::ids::AgentId;
use brokkr_core::names::{Label, WorkType};

use super::{Value, params};

/// The conditions, which hold for whatever was not asked for. The two databases have different words for what is in a list and for letters of any case.
macro_rules! terms {
    (postgres, $table:literal) => {
        $crate::dal::terms::terms!($table, "CAST(", ".targeting AS JSONB) -> 'labels' ? $6", "ILIKE")
    };
    (sqlite, $table:literal) => {
        $crate::dal::terms::terms!(
            $table,
            "EXISTS (SELECT 1 FROM json_each(",
            ".targeting, '$.labels') AS of_label WHERE of_label.value = $6)",
            "LIKE"
        )
    };
    ($table:literal, $labels:literal, $have:literal, $like:literal) => {
        concat!(
            " AND (CAST($4 AS TEXT) IS NULL OR ",
            $table,
            ".work_type = $4)
              AND (CAST($5 AS {uuid}) IS NULL OR ",
            $table,
            ".claimed_by = $5)
              AND (CAST($6 AS TEXT) IS NULL OR ",
            $labels,
            $table,
            $have,
            ")
              AND (CAST($7 AS TEXT) IS NULL OR ",
            $table,
            ".submitted_by = $7)
              AND (CAST($8 AS TEXT) IS NULL
                   OR CAST(",
            $table,
            ".id AS TEXT) ",
            $like,
            " $8 ESCAPE '!'
                   OR ",
            $table,
            ".metadata ",
            $like,
            " $8 ESCAPE '!'
                   OR ",
            $table,
            ".yaml_content ",
            $like,
            " $8 ESCAPE '!') "
        )
    };
}
pub(in crate::dal) use terms;

/// By what orders of the queue and of the log are chosen alike. What is not told holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Only those of this type.
    pub work_type: Option<WorkType>,
    /// Only those that this agent holds, or held at their end.
    pub agent: Option<AgentId>,
    /// Only those that are, or were, for this label.
    pub label: Option<Label>,
    /// Only those that this caller submitted.
    pub submitted_by: Option<String>,
    /// Only those with this text in their id, their metadata or what they say to run, in letters of any case.
    pub text: Option<String>,
}

impl Terms {
    /// Whether they tell something that no index finds.
    pub(in crate::dal) const fn sift(&self) -> bool {
        self.label.is_some() || self.submitted_by.is_some() || self.text.is_some()
    }

    /// The parameters.
    pub(in crate::dal) fn values(&self) -> Vec<Value> {
        params![
            self.work_type.as_ref(),
            self.agent,
            self.label.as_ref().map(Label::as_str),
            self.submitted_by.as_deref(),
            self.text.as_deref().map(containing).as_deref(),
        ]
    }
}

/// What a text is like that has this one in it.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_means_itself() {
        assert_eq!(containing("100%_sure!"), "%100!%!_sure!!%");
    }
}
