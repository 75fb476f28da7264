//! Lists that come in pages.

use brokkr_client::{ClientError, Page};
use serde::de::DeserializeOwned;

/// The most that one page can have.
pub(super) fn page(limit: usize) -> Option<i64> {
    Some(limit.clamp(1, 1_000) as i64)
}

/// Up to `limit` items of a list, page by page.
pub(super) async fn paged<T: DeserializeOwned>(
    limit: usize,
    mut cursor: Option<String>,
    mut next: impl AsyncFnMut(Option<String>) -> Result<Page<T>, ClientError>,
) -> anyhow::Result<Vec<T>> {
    let mut items = Vec::new();
    while items.len() < limit {
        let page = next(cursor.take()).await?;
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if cursor.is_some() {
        eprintln!("There are more; see --limit.");
    }
    items.truncate(limit);
    Ok(items)
}
