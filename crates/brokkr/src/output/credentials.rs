//! Generators and PAKs as rows.

use brokkr_api::{Generator, PakInfo};

use super::{Around, Cell, Column, Row, age};

impl Row for Generator {
    const COLUMNS: &'static [Column] = &[
        Column::new("NAME"),
        Column::new("DESCRIPTION").of_text(),
        Column::new("AGE"),
        Column::wide("ID"),
    ];

    fn name(&self) -> String {
        format!("generator/{}", self.id)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            self.description.as_deref().unwrap_or_default().into(),
            age::since(self.created_at, around.now).into(),
            self.id.into(),
        ]
    }
}

impl Row for PakInfo {
    const COLUMNS: &'static [Column] = &[
        Column::new("SHORT"),
        Column::new("NAME"),
        Column::new("ROLE"),
        Column::new("EXPIRES"),
        Column::new("AGE"),
    ];

    fn name(&self) -> String {
        format!("pak/{}", self.short)
    }

    fn cells(&self, around: &Around) -> Vec<Cell> {
        vec![
            self.short.as_str().into(),
            self.name.as_str().into(),
            self.role.into(),
            self.expires_at
                .map_or_else(|| "never".to_owned(), |at| age::relative(at, around.now))
                .into(),
            age::since(self.created_at, around.now).into(),
        ]
    }
}
