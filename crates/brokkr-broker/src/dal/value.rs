//! What goes into a statement: single values, and rows of them for a batch.

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
use uuid::Uuid;

/// What a column holds. Times are `BigInt` (microseconds), JSON is `Text`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An id.
    Uuid,
    /// Text, without NUL characters.
    Text,
    /// Every number, and every time.
    BigInt,
    /// True or false.
    Bool,
    /// Raw data.
    Bytes,
}

/// One parameter. `None` is NULL of that kind: PostgreSQL wants to know the kind even then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An id.
    Uuid(Option<Uuid>),
    /// Text.
    Text(Option<String>),
    /// A number, or a time in microseconds.
    BigInt(Option<i64>),
    /// True or false.
    Bool(Option<bool>),
    /// Raw data.
    Bytes(Option<Vec<u8>>),
    /// The rows of a batch.
    Rows(Rows),
}

impl Value {
    /// PostgreSQL keeps no NUL in text, so none is sent to either database.
    pub(super) fn has_nul(&self) -> bool {
        match self {
            Self::Text(Some(text)) => text.contains('\0'),
            Self::Rows(rows) => rows.nul,
            _ => false,
        }
    }
}

/// The parameter of a batch: rows of values, kept as the JSON array of arrays that the statement unpacks.
///
/// Collected from rows made by `params!`, whose values stand in the order of the statement's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    json: String,
    columns: Option<usize>,
    len: usize,
    even: bool,
    nul: bool,
}

impl Rows {
    /// Rows of one column, such as the ids that a batch is about.
    pub(super) fn of<T: Into<Value>>(column: impl IntoIterator<Item = T>) -> Self {
        column.into_iter().map(|value| vec![value.into()]).collect()
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none, so that the statement need not be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every row has this many values.
    pub(super) fn fits(&self, columns: usize) -> bool {
        self.even && self.columns.is_none_or(|found| found == columns)
    }

    pub(super) fn into_json(self) -> String {
        self.json
    }

    fn push(&mut self, row: &[Value]) {
        self.even &= *self.columns.get_or_insert(row.len()) == row.len();
        self.json.push_str(if self.len == 0 { "[" } else { ",[" });
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                self.json.push(',');
            }
            self.push_value(value);
        }
        self.json.push(']');
        self.len += 1;
    }

    fn push_value(&mut self, value: &Value) {
        self.nul |= value.has_nul();
        match value {
            Value::Uuid(Some(id)) => self.push_text(&id.to_string()),
            Value::Text(Some(text)) => self.push_text(text),
            Value::BigInt(Some(number)) => self.json.push_str(&number.to_string()),
            Value::Bool(Some(true)) => self.json.push_str("true"),
            Value::Bool(Some(false)) => self.json.push_str("false"),
            Value::Bytes(Some(bytes)) => self.push_hex(bytes),
            Value::Rows(rows) => self.push_text(&rows.json),
            Value::Uuid(None)
            | Value::Text(None)
            | Value::BigInt(None)
            | Value::Bool(None)
            | Value::Bytes(None) => self.json.push_str("null"),
        }
    }

    fn push_text(&mut self, text: &str) {
        self.json.push_str(&serde_json::Value::from(text).to_string());
    }

    fn push_hex(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.json.reserve(bytes.len() * 2 + 2);
        self.json.push('"');
        for byte in bytes {
            self.json.push(char::from(DIGITS[usize::from(byte >> 4)]));
            self.json.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        self.json.push('"');
    }
}

impl FromIterator<Vec<Value>> for Rows {
    fn from_iter<T: IntoIterator<Item = Vec<Value>>>(rows: T) -> Self {
        let mut collected = Self {
            json: String::from("["),
            columns: None,
            len: 0,
            even: true,
            nul: false,
        };
        for row in rows {
            collected.push(&row);
        }
        collected.json.push(']');
        collected
    }
}

/// The parameters of a statement, in order: `params![id, now, name]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::dal::Value::from($value)),*]
    };
}
pub(crate) use params;

/// Says how a type becomes a value, both for itself and for an `Option` of it.
macro_rules! values {
    ($($type:ty => $kind:ident($value:ident) $convert:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$kind(Some($convert))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value.map(|$value| $convert))
            }
        }
    )*};
}

values! {
    Uuid => Uuid(id) id;
    WorkOrderId => Uuid(id) id.as_uuid();
    AgentId => Uuid(id) id.as_uuid();
    GeneratorId => Uuid(id) id.as_uuid();
    AgentLabelId => Uuid(id) id.as_uuid();
    AgentAnnotationId => Uuid(id) id.as_uuid();
    WebhookId => Uuid(id) id.as_uuid();
    DeliveryId => Uuid(id) id.as_uuid();
    String => Text(text) text;
    &String => Text(text) text.clone();
    &str => Text(text) text.to_owned();
    &WorkType => Text(name) name.as_str().to_owned();
    &AgentName => Text(name) name.as_str().to_owned();
    &ClusterName => Text(name) name.as_str().to_owned();
    &GeneratorName => Text(name) name.as_str().to_owned();
    &KeyName => Text(name) name.as_str().to_owned();
    &Label => Text(name) name.as_str().to_owned();
    &AnnotationKey => Text(name) name.as_str().to_owned();
    &AnnotationValue => Text(name) name.as_str().to_owned();
    &Route => Text(route) route.as_str().to_owned();
    &ShortPart => Text(short) short.as_str().to_owned();
    &PakHash => Text(hash) hash.to_hex();
    Delivery => Text(word) word.as_str().to_owned();
    Ending => Text(word) word.as_str().to_owned();
    AttemptEnding => Text(word) word.as_str().to_owned();
    FailureClass => Text(word) word.as_str().to_owned();
    i64 => BigInt(number) number;
    i32 => BigInt(number) i64::from(number);
    u32 => BigInt(number) i64::from(number);
    Attempt => BigInt(attempt) attempt.number();
    Timestamp => BigInt(time) time.as_micros();
    bool => Bool(truth) truth;
    Vec<u8> => Bytes(bytes) bytes;
    &[u8] => Bytes(bytes) bytes.to_vec();
}

impl From<Rows> for Value {
    fn from(rows: Rows) -> Self {
        Self::Rows(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_json_array_of_arrays_that_keeps_nulls() {
        let rows: Rows = [
            params![Uuid::nil(), 7_i64, "say \"hi\"\n", true, vec![0_u8, 255]],
            params![
                None::<Uuid>,
                None::<i64>,
                None::<&str>,
                None::<bool>,
                None::<Vec<u8>>
            ],
        ]
        .into_iter()
        .collect();

        assert_eq!(rows.len(), 2);
        assert!(rows.fits(5));
        assert_eq!(
            rows.into_json(),
            r#"[["00000000-0000-0000-0000-000000000000",7,"say \"hi\"\n",true,"00ff"],[null,null,null,null,null]]"#
        );
    }

    #[test]
    fn a_nul_character_is_noticed_wherever_it_hides() {
        assert!(Value::from("a\0b").has_nul());
        let rows: Rows = [params!["fine"], params!["a\0b"]].into_iter().collect();
        assert!(Value::from(rows).has_nul());
    }

    #[test]
    fn rows_of_different_lengths_fit_no_statement() {
        let rows: Rows = [params![1_i64], params![1_i64, 2_i64]].into_iter().collect();
        assert!(!rows.fits(1) && !rows.fits(2));
        assert!(Rows::from_iter([]).fits(3));
    }
}
