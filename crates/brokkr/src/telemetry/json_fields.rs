//! The fields of spans, as JSON.
//!
//! A field that is recorded after the span began is appended. The library would read the text of all fields again and write it anew,
//! which takes longer than everything else that is done for a span.

use std::fmt::{self, Write as _};

use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{self, FormatFields, Writer};

/// Formats fields as the library's own [`format::JsonFields`] does.
#[derive(Debug, Default)]
pub(super) struct JsonFields(format::JsonFields);

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        self.0.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut added = FormattedFields::<format::JsonFields>::new(String::new());
        self.0.format_fields(added.as_writer(), fields)?;
        let text = &mut current.fields;
        let (Some(_), Some(members)) = (text.strip_suffix('}'), added.fields.strip_prefix('{')) else {
            return text.write_str(&added.fields);
        };
        if members == "}" {
            return Ok(());
        }
        text.pop();
        if !text.ends_with('{') {
            text.push(',');
        }
        text.write_str(members)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{field, info, info_span};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Registry, fmt};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_span_tells_later_stands_beside_what_it_told_first() {
        let log = Log::default();
        let writer = log.clone();
        let layer = fmt::layer()
            .with_writer(move || writer.clone())
            .json()
            .flatten_event(true)
            .fmt_fields(JsonFields::default());
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            let span = info_span!("request", id = 7, caller = field::Empty, status = field::Empty);
            span.record("caller", "say \"hi\"}");
            span.record("status", 200);
            let bare = info_span!(parent: &span, "bare", late = field::Empty);
            bare.record("late", true);
            bare.in_scope(|| info!("something happened"));
        });

        let line: Value = serde_json::from_slice(&log.0.lock().unwrap()).expect("it is one JSON object");
        assert_eq!(
            line["spans"],
            json!([
                {"name": "request", "id": 7, "caller": "say \"hi\"}", "status": 200},
                {"name": "bare", "late": true},
            ])
        );
    }
}
