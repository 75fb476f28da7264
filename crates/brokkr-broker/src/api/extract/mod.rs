//! What handlers take as arguments. Whoever may not call, and whatever makes no sense, ends here.

mod body;
mod callers;
mod path;
mod query;

pub(crate) use body::{Json, LenientJson, hear_out, too_large};
pub(crate) use callers::{
    Admin, AdminOrAgent, AdminOrGenerator, AdminOrSelfAgent, AdminOrSelfGenerator, AgentReader, AnyCaller,
    GeneratorReader, OwnAgent, Reader,
};
pub(crate) use path::{KeyInPath, LabelInPath, Path, ShortInPath};
pub(crate) use query::Query;
