//! What a work order is: ids, names, states, attempts, leases, routing, retry and keys, and how it is explained.
//!
//! Everything here is pure: no I/O, no async, no SQL, no HTTP, no serde, no clock and no random source. Time and random
//! bytes arrive as arguments, so the broker, the agent, the tests and a simulation reach the same decisions.

pub mod attempt;
pub mod events;
pub mod explain;
pub mod ids;
pub mod life;
pub mod limits;
pub mod names;
pub mod pak;
pub mod report;
pub mod retry;
pub mod routing;
pub mod time;
pub mod webhooks;
