//! What the schema says of texts: how long they may be, and of what. The types stand for texts in the schema only; the broker
//! checks the texts themselves, so that it can say which rule was broken.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Printable, and not only white space.
const NAME: &str = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$";
/// Printable, without white space.
const WORD: &str = r"^[^\s\x00-\x1F\x7F-\x9F]+$";
/// Visible ASCII.
const VISIBLE: &str = r"^[!-~]+$";
/// Anything but NUL.
const TEXT: &str = r"^[^\x00]*$";
/// Anything but NUL, and not only white space.
const SAID: &str = r"^[^\x00]*[^\s\x00][^\x00]*$";
/// A type of events, a noun with all of its types, or everything.
const EVENTS: &str = r"^(\*|work_order\.(\*|created|scheduled|due|claimed|released|returned|retry_scheduled|cancel_requested|retargeted|succeeded|failed|cancelled|lost|expired|deleted)|agent\.(\*|created|updated|activated|paused|deleted|labels_changed|annotations_changed|pak_rotated|instance_changed))$";
/// An address for HTTP by name. That others are taken, where the configuration allows them, is said in words.
const HTTP: &str =
    r"^https://[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z][A-Za-z0-9-]*)*(:[0-9]{1,4})?(/[A-Za-z0-9._~/-]*)?$";
/// Printable ASCII.
const HEADER: &str = r"^[ -~]*$";

macro_rules! texts {
    ($($name:ident: $min:literal..=$max:literal of $pattern:ident;)*) => {$(
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.min_length(Some($min)).max_length(Some($max)).pattern(Some($pattern)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

macro_rules! choices {
    ($($name:ident: $($word:literal)|*;)*) => {$(
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.enum_values(Some([$($word),*])).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

texts! {
    Name: 1..=255 of NAME;
    WorkType: 1..=50 of WORD;
    Label: 1..=64 of WORD;
    InstanceId: 1..=64 of VISIBLE;
    Sought: 1..=200 of TEXT;
    Reason: 1..=1024 of SAID;
    Description: 0..=4000 of TEXT;
    Message: 0..=65536 of TEXT;
    MetadataKey: 1..=64 of NAME;
    MetadataValue: 0..=4096 of TEXT;
    EventPattern: 1..=64 of EVENTS;
    Url: 1..=2048 of HTTP;
    HeaderValue: 0..=4096 of HEADER;
}

choices! {
    AgentStatus: "ACTIVE" | "INACTIVE";
    Stream: "stdout" | "stderr" | "system";
    RetryClass: "infrastructure" | "work" | "deadline";
    ReasonCode: "scheduled" | "retry_pending" | "claimable" | "no_agents" | "no_matching_agent"
        | "agent_deleted" | "agent_inactive" | "agent_never_seen" | "agent_not_seen" | "window_closed"
        | "agent_draining" | "work_type_not_run" | "work_type_unavailable" | "no_free_slot"
        | "agent_reports_nothing" | "more_agents" | "start_by" | "running" | "holder_not_seen"
        | "lease_passed" | "deadline" | "cancel_requested" | "succeeded" | "failed" | "cancelled" | "lost"
        | "expired";
}
