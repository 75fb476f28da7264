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

/// The parameters.
pub(in crate::dal) fn values(
    work_type: Option<&WorkType>,
    agent: Option<AgentId>,
    label: Option<&Label>,
    submitted_by: Option<&str>,
    text: Option<&str>,
) -> Vec<Value> {
    params![
        work_type,
        agent,
        label.map(Label::as_str),
        submitted_by,
        text.map(containing).as_deref(),
    ]
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
