//! Descriptions: names and values under headings.

use super::one_line;

/// Collects the lines of a description.
#[derive(Debug, Default)]
pub(crate) struct Details {
    lines: Vec<(String, String)>,
    blocks: String,
}

impl Details {
    /// A name and its value on one line. Nothing is said about what is empty.
    pub(crate) fn field(mut self, name: &str, value: impl ToString) -> Details {
        let value = one_line(&value.to_string());
        if !value.is_empty() {
            self.lines.push((format!("{name}:"), value));
        }
        self
    }

    /// A field whose value has been coloured already and can be trusted.
    pub(crate) fn coloured(mut self, name: &str, value: String) -> Details {
        self.lines.push((format!("{name}:"), value));
        self
    }

    /// A field that may be missing.
    pub(crate) fn maybe(self, name: &str, value: Option<impl ToString>) -> Details {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// A heading with indented lines under it.
    pub(crate) fn block(mut self, heading: &str, text: &str) -> Details {
        self.blocks.push_str(&format!("\n{heading}:\n"));
        for line in text.lines() {
            let visible: String = line
                .chars()
                .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
                .collect();
            self.blocks.push_str(format!("  {visible}").trim_end());
            self.blocks.push('\n');
        }
        self
    }

    /// All of it, the values in one column.
    pub(crate) fn render(&self) -> String {
        let width = self
            .lines
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            + 2;
        let fields: String = self
            .lines
            .iter()
            .map(|(name, value)| format!("{name:<width$}{value}\n"))
            .collect();
        fields + &self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column_and_blocks_follow() {
        let details = Details::default()
            .field("Id", 7)
            .field("Empty", "")
            .maybe("Absent", None::<i64>)
            .field("Priority", 3)
            .block("Document", "a: 1\n  b: 2\n");
        assert_eq!(
            details.render(),
            "Id:        7\nPriority:  3\n\nDocument:\n  a: 1\n    b: 2\n"
        );
    }
}
