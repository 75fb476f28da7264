//! Tables without lines, fitted to the terminal: one line for each row, and what names a thing is never cut.

use comfy_table::{Color, ColumnConstraint, ContentArrangement, Row, Table, Width};

use super::colour::{self, Stream, Tone};
use super::one_line;

/// Between two columns.
const GAP: u16 = 2;
/// Free text may be cut down to this.
const TEXT_WIDTH_MIN: u16 = 10;

/// A column's heading, and how it behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    wide: bool,
    text: bool,
}

impl Column {
    /// A column that every table has, and that is never cut.
    pub(crate) const fn new(heading: &'static str) -> Column {
        Column {
            heading,
            wide: false,
            text: false,
        }
    }

    /// A column of the wide form.
    pub(crate) const fn wide(heading: &'static str) -> Column {
        Column {
            heading,
            wide: true,
            text: false,
        }
    }

    /// The same with free text in it, which is cut where there is no room.
    pub(crate) const fn of_text(self) -> Column {
        Column { text: true, ..self }
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
        let text = one_line(text.as_ref());
        Cell {
            text: if text.is_empty() { "-".to_owned() } else { text },
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
    let mut table = Table::new();
    let width = table.width();
    let coloured = colour::wanted(Stream::Stdout);
    if coloured {
        table.enforce_styling();
    }
    fill(
        &mut table,
        columns,
        rows,
        Shape {
            wide,
            width,
            coloured,
        },
    );
    table.trim_fmt() + "\n"
}

/// How a table shall look.
#[derive(Debug, Clone, Copy)]
struct Shape {
    wide: bool,
    /// Of the terminal, if it is one.
    width: Option<u16>,
    coloured: bool,
}

fn fill(table: &mut Table, columns: &[Column], rows: Vec<Vec<Cell>>, shape: Shape) {
    let shown = shown(columns, &rows, shape);
    table.load_style(comfy_table::presets::NOTHING);
    table.set_truncation_indicator("…");
    table.set_content_arrangement(match shape.width {
        Some(_) => ContentArrangement::Dynamic,
        None => ContentArrangement::Disabled,
    });
    table.set_header(shown.iter().map(|index| columns[*index].heading));
    for row in rows {
        let cells: Vec<comfy_table::Cell> = shown
            .iter()
            .map(|index| styled(&row[*index], shape.coloured))
            .collect();
        let mut row = Row::from(cells);
        row.max_height(1);
        table.add_row(row);
    }
    for (column, index) in table.column_iter_mut().zip(&shown) {
        column.set_padding((0, GAP));
        column.set_constraint(match columns[*index].text {
            true => ColumnConstraint::LowerBoundary(Width::Fixed(TEXT_WIDTH_MIN + GAP)),
            false => ColumnConstraint::ContentWidth,
        });
    }
}

/// The columns to show. Whoever asks for the wide form gets all of them; else the last ones go until the rest fits.
fn shown(columns: &[Column], rows: &[Vec<Cell>], shape: Shape) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len())
        .filter(|index| shape.wide || !columns[*index].wide)
        .collect();
    let width_of = |index: &usize| {
        let cells = rows.iter().map(|row| row[*index].text.chars().count());
        let width = cells
            .chain([columns[*index].heading.chars().count()])
            .max()
            .unwrap_or(0);
        let width = if columns[*index].text {
            width.min(usize::from(TEXT_WIDTH_MIN))
        } else {
            width
        };
        width + usize::from(GAP)
    };
    if let (Some(width), false) = (shape.width, shape.wide) {
        let room = usize::from(width) + usize::from(GAP);
        while 1 < shown.len() && room < shown.iter().map(width_of).sum() {
            shown.pop();
        }
    }
    shown
}

fn styled(cell: &Cell, coloured: bool) -> comfy_table::Cell {
    let styled = comfy_table::Cell::new(&cell.text);
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

    fn fitted(columns: &[Column], rows: Vec<Vec<Cell>>, width: u16, wide: bool) -> String {
        let mut table = Table::new();
        table.set_width(width);
        fill(
            &mut table,
            columns,
            rows,
            Shape {
                wide,
                width: Some(width),
                coloured: false,
            },
        );
        table.trim_fmt() + "\n"
    }

    #[test]
    fn free_text_is_cut_and_names_never_are() {
        const COLUMNS: &[Column] = &[Column::new("ID"), Column::new("MESSAGE").of_text()];
        let row = || {
            vec![vec![
                "0123456789".into(),
                "a long message that does not fit".into(),
            ]]
        };
        let text = fitted(COLUMNS, row(), 28, false);
        assert!(
            text.contains("0123456789  a long") && text.contains('…') && text.lines().count() == 2,
            "{text}"
        );
    }

    #[test]
    fn columns_for_which_there_is_no_room_are_left_out_from_the_right() {
        assert_eq!(fitted(COLUMNS, rows(), 8, false), "NAME\nfirst\nsecond\n");
        assert!(fitted(COLUMNS, rows(), 11, false).contains("AGE"));
        assert!(fitted(COLUMNS, rows(), 8, true).contains("NOTE"));
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
