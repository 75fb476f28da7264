//! Who follows the output of orders at this broker. Being told carries no authority: a follower then looks for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use brokkr_core::ids::WorkOrderId;
use tokio::sync::Notify;

/// Everybody who follows an order at this broker. Cheap to clone; all clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<HashMap<WorkOrderId, Vec<Arc<Notify>>>>>);

/// One who follows an order, until dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    followers: Followers,
    id: WorkOrderId,
    notify: Arc<Notify>,
}

impl Followers {
    /// Follows an order. Look at it after this and before waiting, or what came in between is missed.
    pub(crate) fn follow(&self, id: WorkOrderId) -> Follower {
        let notify = Arc::new(Notify::new());
        self.with(|followers| followers.entry(id).or_default().push(Arc::clone(&notify)));
        Follower {
            followers: self.clone(),
            id,
            notify,
        }
    }

    /// Tells those who follow these orders that there is something new.
    pub(crate) fn tell(&self, ids: impl IntoIterator<Item = WorkOrderId>) {
        self.with(|followers| {
            for id in ids {
                followers
                    .get(&id)
                    .into_iter()
                    .flatten()
                    .for_each(|notify| notify.notify_one());
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<WorkOrderId, Vec<Arc<Notify>>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Follower {
    /// Waits to be told. What was told before the call counts.
    pub(crate) async fn told(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.followers.with(|followers| {
            let Some(others) = followers.get_mut(&self.id) else {
                return;
            };
            others.retain(|notify| !Arc::ptr_eq(notify, &self.notify));
            if others.is_empty() {
                followers.remove(&self.id);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_those_who_follow_an_order_are_told_of_it() {
        let followers = Followers::default();
        let order = |n| WorkOrderId::new(Uuid::from_u128(n));
        let (one, other) = (followers.follow(order(1)), followers.follow(order(2)));
        followers.tell([order(1)]);
        assert!(one.told().now_or_never().is_some());
        assert!(other.told().now_or_never().is_none());
        drop((one, other));
        assert!(followers.with(|followers| followers.is_empty()));
    }
}
