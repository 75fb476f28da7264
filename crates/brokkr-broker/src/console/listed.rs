//! Long lists, a page at a time.

use serde::Deserialize;

/// The most rows of a page.
const ROWS: usize = 100;
/// How many rows to ask for: one more than a page has, which tells whether there is a next one.
pub(super) const FETCHED: u32 = ROWS as u32 + 1;
/// As much of an id as tells it from those around it.
const NAME: usize = 13;

/// A page of a list.
pub(super) struct Listed<T> {
    pub(super) rows: Vec<T>,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

impl<T> Listed<T> {
    /// Of at most [`FETCHED`] rows. `next` makes the address of the page that begins after a row.
    pub(super) fn new(mut fetched: Vec<T>, next: impl FnOnce(&T) -> String) -> Listed<T> {
        let is_more = fetched.len() > ROWS;
        fetched.truncate(ROWS);
        let next = fetched.last().filter(|_| is_more).map(next);
        Listed { rows: fetched, next }
    }

    /// Of a list that has no other page.
    pub(super) fn whole(rows: Vec<T>) -> Listed<T> {
        Listed { rows, next: None }
    }

    /// The same page, with each row as it is shown.
    pub(super) fn map<U>(self, shown: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            rows: self.rows.into_iter().map(shown).collect(),
            next: self.next,
        }
    }
}

/// After which row a page begins.
#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    pub(super) after: String,
}

/// The beginning of an id, for people.
pub(super) fn name_of(id: &str) -> &str {
    id.get(..NAME).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_goes_on_has_a_next_page_which_begins_after_the_last_row() {
        let next = |row: &usize| row.to_string();
        assert_eq!(Listed::new((0..ROWS).collect(), next).next, None);
        let page = Listed::new((0..=ROWS).collect(), next);
        assert_eq!((page.rows.len(), page.next.as_deref()), (ROWS, Some("99")));
    }
}
