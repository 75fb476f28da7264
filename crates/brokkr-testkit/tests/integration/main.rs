//! The kit's databases and brokers are there, apart from each other, and gone afterwards.

mod broker;
mod db;
