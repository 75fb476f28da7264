//! Lists in pages: the body stays an array, and the `Link` header says where the next page is.

use axum::Json;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use brokkr_core::ids::{
    AgentAnnotationId, AgentId, AgentLabelId, DeliveryId, GeneratorId, WebhookId, WorkOrderId,
};
use brokkr_core::limits::PageLimit;
use brokkr_core::pak::ShortPart;
use brokkr_core::time::Timestamp;
use serde::Serialize;

use super::problem::{Code, Problem};
use crate::config::Limits;

/// The key of a list's rows, after which the next page begins.
pub(crate) trait CursorKey: Sized {
    /// The key as letters, digits, `-` and `.`.
    fn to_cursor(&self) -> String;
    /// `None` for a text that [`CursorKey::to_cursor`] cannot have made.
    fn from_cursor(text: &str) -> Option<Self>;
}

macro_rules! id_keys {
    ($($id:ty),*) => {$(
        impl CursorKey for $id {
            fn to_cursor(&self) -> String {
                self.as_uuid().simple().to_string()
            }

            fn from_cursor(text: &str) -> Option<Self> {
                if text.len() == 32 { text.parse().ok() } else { None }
            }
        }
    )*};
}

id_keys!(
    WorkOrderId,
    AgentId,
    GeneratorId,
    AgentLabelId,
    AgentAnnotationId,
    WebhookId,
    DeliveryId
);

impl CursorKey for ShortPart {
    fn to_cursor(&self) -> String {
        self.as_str().to_owned()
    }

    fn from_cursor(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl<K: CursorKey> CursorKey for (Timestamp, K) {
    fn to_cursor(&self) -> String {
        format!("{:x}.{}", self.0.as_micros(), self.1.to_cursor())
    }

    fn from_cursor(text: &str) -> Option<Self> {
        let (micros, key) = text.split_once('.')?;
        let micros = i64::from_str_radix(micros, 16)
            .ok()
            .filter(|micros| *micros >= 0)?;
        Some((Timestamp::from_micros(micros), K::from_cursor(key)?))
    }
}

/// Which page was asked for.
#[derive(Debug)]
pub(crate) struct PageRequest<K> {
    /// The key of the last row before the page; `None` for the first page.
    pub(crate) after: Option<K>,
    rows: u32,
    uri: Uri,
}

impl<K: CursorKey> PageRequest<K> {
    /// Checks `limit` and `cursor` of a query.
    pub(crate) fn new(
        limit: Option<i64>,
        cursor: Option<&str>,
        uri: Uri,
        limits: &Limits,
    ) -> Result<Self, Problem> {
        let rows_max = limits.page_rows_max.clamp(1, PageLimit::MAX);
        let rows = limit
            .map_or(Ok(PageLimit::default()), PageLimit::new)
            .map_err(|error| Problem::out_of_bounds(Code::InvalidLimit, &error))?
            .get();
        if limit.is_some() && rows > rows_max {
            return Err(Problem::new(
                Code::InvalidLimit,
                format!("limit must be at most {rows_max} at this broker."),
            ));
        }
        let after = cursor
            .map(|text| {
                issued(text).ok_or_else(|| {
                    Problem::new(
                        Code::InvalidCursor,
                        "The cursor is not one that this list gave out.",
                    )
                })
            })
            .transpose()?;
        Ok(Self {
            after,
            rows: rows.min(rows_max),
            uri,
        })
    }

    /// How many rows to fetch: one more than the page has, which tells whether there is a next one.
    pub(crate) fn fetch(&self) -> u32 {
        self.rows + 1
    }

    /// The answer with the rows that were fetched. `key` names a row in the next page's cursor.
    pub(crate) fn answer<R, T: From<R>>(self, fetched: Vec<R>, key: impl Fn(&R) -> K) -> Page<T> {
        self.answer_until(fetched, None, key)
    }

    /// The same, where no row after `looked_until` was looked at: the next page goes on there.
    pub(crate) fn answer_until<R, T: From<R>>(
        self,
        mut fetched: Vec<R>,
        looked_until: Option<K>,
        key: impl Fn(&R) -> K,
    ) -> Page<T> {
        let rows = self.rows as usize;
        let more = fetched.len() > rows;
        fetched.truncate(rows);
        let next = fetched
            .last()
            .filter(|_| more)
            .map(key)
            .or(looked_until)
            .map(|last| next_page(&self.uri, &last.to_cursor()));
        Page {
            rows: fetched.into_iter().map(T::from).collect(),
            next,
        }
    }
}

/// The key that a cursor was made of. A text that only reads as one, such as `+1` for `1`, was never given out.
fn issued<K: CursorKey>(text: &str) -> Option<K> {
    K::from_cursor(text).filter(|key| key.to_cursor() == text)
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    rows: Vec<T>,
    next: Option<String>,
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = self
            .next
            .and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
        let mut response = Json(self.rows).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// The same request with another cursor, as a reference that is relative to the broker's address.
fn next_page(uri: &Uri, cursor: &str) -> String {
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("cursor"));
    let pairs: Vec<String> = kept
        .map(str::to_owned)
        .chain([format!("cursor={cursor}")])
        .collect();
    format!("{}?{}", uri.path(), pairs.join("&"))
}

/// A text from outside as a cursor may carry it.
pub(super) fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The text again; `None` for what [`hex`] cannot have made.
pub(super) fn unhex(digits: &str) -> Option<String> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_next_page_keeps_the_filters_and_replaces_the_cursor() {
        let uri = Uri::from_static("/api/v1/work-orders?status=PENDING&cursor=old&limit=2");
        assert_eq!(
            next_page(&uri, "new"),
            "/api/v1/work-orders?status=PENDING&limit=2&cursor=new"
        );
    }

    #[test]
    fn a_cursor_reads_back_as_its_key() {
        let key = (
            Timestamp::from_micros(1_700_000_000_000_001),
            WorkOrderId::new(Uuid::from_u128(7)),
        );
        assert_eq!(issued(&key.to_cursor()), Some(key));
        for nonsense in [
            "",
            ".",
            "-1.0",
            "zz.00000000000000000000000000000007",
            "10",
            "+1.00000000000000000000000000000007",
            "01.00000000000000000000000000000007",
            "1.0000000000000000000000000000000A",
        ] {
            assert_eq!(issued::<(Timestamp, WorkOrderId)>(nonsense), None, "{nonsense}");
        }
        assert_eq!(issued::<WorkOrderId>(&"A".repeat(32)), None);
    }

    #[test]
    fn only_a_page_with_more_behind_it_has_a_next_one() {
        let page = |fetched: Vec<WorkOrderId>| {
            let request =
                PageRequest::new(Some(1), None, Uri::from_static("/list"), &Limits::default()).unwrap();
            assert_eq!(request.fetch(), 2);
            request.answer::<_, WorkOrderId>(fetched, |id| *id).next
        };
        let id = |n| WorkOrderId::new(Uuid::from_u128(n));
        assert_eq!(page(vec![id(1)]), None);
        assert_eq!(
            page(vec![id(1), id(2)]).as_deref(),
            Some("/list?cursor=00000000000000000000000000000001")
        );
    }
}
