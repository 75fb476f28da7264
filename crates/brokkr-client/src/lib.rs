//! The typed client of the broker.
//!
//! One method per endpoint, in the words of `brokkr-api`. Nothing is retried in secret: an error says whether it may pass
//! ([`ClientError::is_transient`]), and [`retry`] helps those who want to try again.

mod agents;
mod carrier;
mod claims;
mod config;
mod error;
mod events;
mod generators;
mod output;
mod page;
mod paks;
pub mod retry;
mod sse;
mod status;
mod transport;
mod webhooks;
mod work_orders;

pub use carrier::{Carriage, Carrier, NotCarried};
pub use claims::CompleteOutcome;
pub use config::{ClientConfig, ConfigError, HeaderProvider};
pub use error::{ClientError, ProblemAnswer, Unreachable};
pub use events::{EventTold, EventsTold};
pub use output::{OutputEvent, OutputEvents};
pub use page::Page;
pub use transport::{Client, install_crypto_provider};
pub use work_orders::{CancelOutcome, Created};

pub use brokkr_api as api;
