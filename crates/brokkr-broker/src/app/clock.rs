//! The broker's clock, as a parameter.

use brokkr_core::time::Timestamp;

/// Tells the time that the broker decides by. In earnest it is the database's clock; tests advance one by hand.
pub trait Clock: Send + Sync + 'static {
    /// The present time, to the microsecond.
    fn now(&self) -> Timestamp;

    /// Whether [`Clock::now`] can be relied on. A broker that does not know the time is not ready.
    fn known(&self) -> bool {
        true
    }
}
