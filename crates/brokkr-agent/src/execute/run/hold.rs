//! Whether work of an attempt is here.

use std::collections::BTreeSet;

use super::Runs;
use crate::attempt::AttemptId;
use crate::execute::LookupError;
use crate::kube::labels::of_attempt;

impl Runs {
    /// Whether the attempt has a record here, or a run that nobody deletes in one of these namespaces. The record is asked
    /// first: while the API is away it still tells what was begun.
    ///
    /// # Errors
    /// When the record or the cluster cannot be read.
    pub(crate) async fn holds(
        &self,
        id: AttemptId,
        namespaces: &BTreeSet<String>,
    ) -> Result<bool, LookupError> {
        if self.records.get(id).map_err(LookupError::new)?.is_some() {
            return Ok(true);
        }
        for namespace in namespaces {
            let found = self
                .cluster
                .list(&self.kind.kind(), Some(namespace), &of_attempt(id))
                .await;
            let found = found.map_err(LookupError::new)?;
            if found.iter().any(|run| run.metadata.deletion_timestamp.is_none()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The namespaces that objects go to, where those that name none go to `default`.
pub(crate) fn namespaces_with<'a>(
    named: impl Iterator<Item = Option<&'a str>>,
    default: &str,
) -> BTreeSet<String> {
    named
        .map(|namespace| namespace.unwrap_or(default).to_owned())
        .collect()
}
