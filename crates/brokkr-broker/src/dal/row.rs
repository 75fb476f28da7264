//! Reading rows: every value is checked, and a failure names the statement and the column.

use std::str::FromStr;

use brokkr_core::attempt::Attempt;
use brokkr_core::ids::{
    AgentAnnotationId, AgentId, AgentLabelId, DeliveryId, GeneratorId, WebhookId, WorkOrderId,
};
use brokkr_core::life::{AttemptEnding, Delivery, Ending};
use brokkr_core::names::{
    AgentName, AnnotationKey, AnnotationValue, ClusterName, GeneratorName, KeyName, Label, WorkType,
};
use brokkr_core::pak::{PakHash, ShortPart};
use brokkr_core::retry::FailureClass;
use brokkr_core::routing::Route;
use brokkr_core::time::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::error::{BoxError, DalError};

/// One row that a statement answered.
pub struct Row {
    statement: &'static str,
    driver: DriverRow,
}

pub(super) enum DriverRow {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    pub(super) fn new(statement: &'static str, driver: DriverRow) -> Self {
        Self { statement, driver }
    }

    /// The value in `column`.
    ///
    /// # Errors
    /// [`DalError::Corrupt`] when there is no such column, it is NULL for a type that is never NULL, or it is not a `T`.
    pub fn get<T: FromColumn>(&self, column: &'static str) -> Result<T, DalError> {
        let cell = Cell {
            row: &self.driver,
            column,
        };
        T::from_column(&cell).map_err(|source| self.corrupt(column, source))
    }

    /// The value in `column`, turned into something else by `convert`.
    ///
    /// # Errors
    /// As [`Row::get`], and when `convert` refuses the value.
    pub fn get_with<T: FromColumn, U, E: Into<BoxError>>(
        &self,
        column: &'static str,
        convert: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<U, DalError> {
        convert(self.get(column)?).map_err(|error| self.corrupt(column, error))
    }

    /// The error for a value that a row of this statement must not hold.
    pub fn corrupt(&self, column: &'static str, source: impl Into<BoxError>) -> DalError {
        DalError::Corrupt {
            statement: self.statement,
            column,
            source: source.into(),
        }
    }
}

/// A value that a column can hold.
pub trait FromColumn: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// Why the column does not hold one.
    fn from_column(cell: &Cell<'_>) -> Result<Self, BoxError>;
}

/// One column of one row.
pub struct Cell<'r> {
    row: &'r DriverRow,
    column: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("the value is NULL")]
struct UnexpectedNull;

macro_rules! driver_get {
    ($cell:expr, $type:ty) => {
        match $cell.row {
            DriverRow::Postgres(row) => row.try_get::<Option<$type>, _>($cell.column),
            DriverRow::Sqlite(row) => row.try_get::<Option<$type>, _>($cell.column),
        }
        .map_err(BoxError::from)
    };
}

impl Cell<'_> {
    fn uuid(&self) -> Result<Option<Uuid>, BoxError> {
        match self.row {
            DriverRow::Postgres(row) => Ok(row.try_get(self.column)?),
            // SQLite keeps ids as text, lower-case and hyphenated.
            DriverRow::Sqlite(_) => Ok(self.text()?.map(|text| Uuid::try_parse(&text)).transpose()?),
        }
    }

    fn text(&self) -> Result<Option<String>, BoxError> {
        driver_get!(self, String)
    }

    fn bigint(&self) -> Result<Option<i64>, BoxError> {
        driver_get!(self, i64)
    }

    fn boolean(&self) -> Result<Option<bool>, BoxError> {
        driver_get!(self, bool)
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, BoxError> {
        driver_get!(self, Vec<u8>)
    }

    fn null(&self) -> Result<bool, BoxError> {
        use sqlx::ValueRef as _;
        Ok(match self.row {
            DriverRow::Postgres(row) => row.try_get_raw(self.column)?.is_null(),
            DriverRow::Sqlite(row) => row.try_get_raw(self.column)?.is_null(),
        })
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    fn from_column(cell: &Cell<'_>) -> Result<Self, BoxError> {
        if cell.null()? {
            Ok(None)
        } else {
            T::from_column(cell).map(Some)
        }
    }
}

/// Says which kind of column holds a type, and how its value becomes one.
macro_rules! columns {
    ($($type:ty = $kind:ident($value:ident) $convert:expr;)*) => {$(
        impl FromColumn for $type {
            fn from_column(cell: &Cell<'_>) -> Result<Self, BoxError> {
                let $value = cell.$kind()?.ok_or(UnexpectedNull)?;
                $convert
            }
        }
    )*};
}

columns! {
    Uuid = uuid(id) Ok(id);
    WorkOrderId = uuid(id) Ok(Self::new(id));
    AgentId = uuid(id) Ok(Self::new(id));
    GeneratorId = uuid(id) Ok(Self::new(id));
    AgentLabelId = uuid(id) Ok(Self::new(id));
    AgentAnnotationId = uuid(id) Ok(Self::new(id));
    WebhookId = uuid(id) Ok(Self::new(id));
    DeliveryId = uuid(id) Ok(Self::new(id));
    String = text(text) Ok(text);
    WorkType = text(text) Ok(Self::parse(text)?);
    AgentName = text(text) Ok(Self::parse(text)?);
    ClusterName = text(text) Ok(Self::parse(text)?);
    GeneratorName = text(text) Ok(Self::parse(text)?);
    KeyName = text(text) Ok(Self::parse(text)?);
    Label = text(text) Ok(Self::parse(text)?);
    AnnotationKey = text(text) Ok(Self::parse(text)?);
    AnnotationValue = text(text) Ok(Self::parse(text)?);
    Route = text(text) Ok(Self::stored(text));
    ShortPart = text(text) Self::parse(&text).ok_or_else(|| "not the short part of a key".into());
    PakHash = text(text) Self::from_hex(&text).ok_or_else(|| "not the hash of a key".into());
    Delivery = text(text) Ok(Self::from_str(&text)?);
    Ending = text(text) Ok(Self::from_str(&text)?);
    AttemptEnding = text(text) Ok(Self::from_str(&text)?);
    FailureClass = text(text) Ok(Self::from_str(&text)?);
    i64 = bigint(number) Ok(number);
    i32 = bigint(number) Ok(Self::try_from(number)?);
    u32 = bigint(number) Ok(Self::try_from(number)?);
    u64 = bigint(number) Ok(Self::try_from(number)?);
    usize = bigint(number) Ok(Self::try_from(number)?);
    Attempt = bigint(number) Ok(Self::new(number));
    Timestamp = bigint(micros) Ok(Self::from_micros(micros));
    bool = boolean(truth) Ok(truth);
    Vec<u8> = bytes(bytes) Ok(bytes);
}
