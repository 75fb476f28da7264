//! Changes in their order.

use std::sync::Arc;

use serde_json::Value;

use super::Key;

/// What a change was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) key: Key,
    pub(crate) object: Arc<Value>,
    /// The object before it, which tells whether a selector matched then.
    pub(crate) before: Option<Arc<Value>>,
}

/// The changes since the last compaction.
#[derive(Debug, Default)]
pub(super) struct History {
    changes: Vec<Change>,
    version: u64,
    compacted: u64,
}

impl History {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn since(&self, version: u64) -> Result<Vec<Change>, u64> {
        if version < self.compacted {
            return Err(self.compacted);
        }
        let first = self.changes.partition_point(|change| change.version <= version);
        Ok(self.changes[first..].to_vec())
    }

    /// The compaction is a version of its own, so that even who knows the newest state is too old then.
    pub(super) fn compact(&mut self) {
        self.compacted = self.next_version();
        self.changes.clear();
    }
}
