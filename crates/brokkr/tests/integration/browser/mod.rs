//! What the broker serves to people, in a real browser, against real brokers and agents.
//!
//! Controls are found by the names that people read. What holds for each page without a browser (headers, forms, permissions, escaping)
//! is tested at the broker's own level, on both databases.

mod accessibility;
mod agents;
mod documentation;
mod generators;
mod hostile;
mod large;
mod live;
mod log;
mod many;
mod output;
mod pictures;
mod receiver;
mod replicas;
mod scene;
mod session;
mod setting;
mod steering;
mod webhooks;

use setting::Setting;
