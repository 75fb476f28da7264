//! Tables without lines, fitted to the terminal.

use comfy_table::{Color, ContentArrangement, Table};

use super::colour::{self, Stream, Tone};
use super::one_line;

/// A column's heading, and whether only the wide form has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    wide: bool,
}

impl Column {
    /// A column that every table has.
    pub(crate) const fn new(heading: &'static str) -> Column {
        Column { heading, wide: false }
    }

    /// A column of the wide form.
    pub(crate) const fn wide(heading: &'static str) -> Column {
        Column { heading, wide: true }
    }
}

/// What stands in one field.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a tone. Line breaks and control characters become spaces.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Cell {
        Cell {
            text: one_line(text.as_ref()),
            tone,
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::toned(text.to_string(), Tone::Plain)
    }
}

/// The table as text, every line ended.
pub(super) fn render(columns: &[Column], rows: Vec<Vec<Cell>>, wide: bool) -> String {
    let coloured = colour::wanted(Stream::Stdout);
    let shown = |index: usize| wide || !columns[index].wide;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if coloured {
        table.enforce_styling();
    }
    table.set_header(
        columns
            .iter()
            .filter(|column| wide || !column.wide)
            .map(|column| column.heading),
    );
    for row in rows {
        let cells = row.into_iter().enumerate().filter(|(index, _)| shown(*index));
        table.add_row(cells.map(|(_, cell)| styled(cell, coloured)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

fn styled(cell: Cell, coloured: bool) -> comfy_table::Cell {
    let text = if cell.text.is_empty() {
        "-".to_owned()
    } else {
        cell.text
    };
    let styled = comfy_table::Cell::new(text);
    let colour = match cell.tone {
        Tone::Good => Some(Color::Green),
        Tone::Bad => Some(Color::Red),
        Tone::Busy => Some(Color::Yellow),
        Tone::Quiet => Some(Color::DarkGrey),
        Tone::Plain => None,
    };
    match colour.filter(|_| coloured) {
        Some(colour) => styled.fg(colour),
        None => styled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::new("NAME"), Column::wide("NOTE"), Column::new("AGE")];

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["first".into(), "two\nlines".into(), "5m".into()],
            vec!["second".into(), "".into(), "2h".into()],
        ]
    }

    #[test]
    fn columns_stand_under_their_headings() {
        assert_eq!(
            render(COLUMNS, rows(), false),
            "NAME    AGE\nfirst   5m\nsecond  2h\n"
        );
    }

    #[test]
    fn the_wide_form_has_all_columns_and_an_empty_field_shows() {
        assert_eq!(
            render(COLUMNS, rows(), true),
            "NAME    NOTE       AGE\nfirst   two lines  5m\nsecond  -          2h\n"
        );
    }
}
