//! Parameters in the path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use brokkr_core::ids::{AgentId, DeliveryId, GeneratorId, WebhookId, WorkOrderId};

use crate::api::problem::{Code, Problem};

/// What the path names: an id, or an id and a name below it.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

/// Something that a path can name.
pub(crate) trait FromPath: Sized {
    fn from_path(params: &RawPathParams) -> Result<Self, Problem>;
}

impl<S: Send + Sync, T: FromPath> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        T::from_path(&params(parts, state).await?).map(Self)
    }
}

async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::new(Code::InvalidPath, "The path cannot be decoded."))
}

/// The `{id}` of the path.
pub(super) async fn id<S: Send + Sync, T: FromPath>(parts: &mut Parts, state: &S) -> Result<T, Problem> {
    T::from_path(&params(parts, state).await?)
}

fn text<'p>(params: &'p RawPathParams, name: &str) -> &'p str {
    params
        .iter()
        .find(|(key, _)| *key == name)
        .map_or("", |(_, value)| value)
}

macro_rules! ids {
    ($($id:ty = $param:literal),*) => {$(
        impl FromPath for $id {
            fn from_path(params: &RawPathParams) -> Result<Self, Problem> {
                text(params, $param)
                    .parse()
                    .map_err(|_| Problem::new(Code::InvalidId, "The id in the path is not a UUID."))
            }
        }
    )*};
}

ids!(
    AgentId = "id",
    GeneratorId = "id",
    WorkOrderId = "id",
    WebhookId = "id",
    DeliveryId = "delivery"
);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $param:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) String);

        impl FromPath for $name {
            fn from_path(params: &RawPathParams) -> Result<Self, Problem> {
                Ok(Self(text(params, $param).to_owned()))
            }
        }
    )*};
}

names! {
    /// The `{label}` of the path, unchecked.
    LabelInPath = "label";
    /// The `{key}` of the path, unchecked.
    KeyInPath = "key";
    /// The `{short}` of the path, unchecked.
    ShortInPath = "short";
}

impl<A: FromPath, B: FromPath> FromPath for (A, B) {
    fn from_path(params: &RawPathParams) -> Result<Self, Problem> {
        Ok((A::from_path(params)?, B::from_path(params)?))
    }
}
