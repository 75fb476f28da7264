//! A look at how many orders something is about to be done with, before it is.

use askama::Template;
use brokkr_core::ids::WorkOrderId;

use super::order_filter::OrderFilter;
use super::page::{Shell, Trouble};
use crate::app::work_orders::Choice;

/// So many are done at once. Whoever wants more presses the button again.
pub(super) const AT_ONCE: u32 = 500;

/// The fields of a form, of which some come many times.
pub(super) type Form = Vec<(String, String)>;

#[derive(Template)]
#[template(path = "many.html")]
pub(super) struct Many {
    pub(super) shell: Shell,
    pub(super) title: &'static str,
    pub(super) sentence: &'static str,
    /// What the button says.
    pub(super) act: &'static str,
    /// Where the form goes.
    pub(super) action: &'static str,
    pub(super) asks_reason: bool,
    pub(super) count: u64,
    /// Only what was there before this time was counted.
    pub(super) before: i64,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) back: String,
}

impl Many {
    /// What says in the form which orders it is about.
    pub(super) fn fields<F>(filter: &OrderFilter, choice: &Choice<F>) -> Vec<(&'static str, String)> {
        let told = filter
            .fields()
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()));
        let ids = match choice {
            Choice::All(_) => &[][..],
            Choice::These(ids) => ids,
        };
        told.chain(ids.iter().map(|id| ("id", id.to_string()))).collect()
    }

    fn goes_beyond_once(&self) -> bool {
        self.count > AT_ONCE.into()
    }
}

/// The orders that were ticked. `chosen` says that some should have been.
pub(super) fn these(form: &Form) -> Result<Vec<WorkOrderId>, Trouble> {
    let ids = form
        .iter()
        .filter(|(name, _)| name == "id")
        .map(|(_, id)| {
            id.parse()
                .map_err(|_| Trouble::bad("The form names what is no order."))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let ticked = form.iter().any(|(name, _)| name == "chosen");
    match (ticked, ids.len()) {
        (true, 0) => Err(Trouble::bad("No order was chosen. Go back and tick some.")),
        (_, 0..=500) => Ok(ids),
        _ => Err(Trouble::bad("At most 500 orders can be chosen.")),
    }
}

/// The time of the count that somebody has seen; nothing as long as nobody has counted.
pub(super) fn sure(form: &Form) -> Result<Option<i64>, Trouble> {
    let before = form.iter().find(|(name, _)| name == "before");
    before
        .map(|(_, text)| text.parse())
        .transpose()
        .map_err(|_| Trouble::bad("The time of the count cannot be read."))
}

/// Why, for the record.
pub(super) fn reason(form: &Form, characters_max: usize) -> Result<Option<String>, Trouble> {
    let reason = form
        .iter()
        .find(|(name, _)| name == "reason")
        .map_or("", |(_, text)| text.trim());
    if reason.chars().count() > characters_max || reason.contains('\0') {
        return Err(Trouble::bad("A reason has at most 1,024 characters."));
    }
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}
