//! Whole brokers whose database is in trouble: they say so soon, write nothing by halves, and need no restart.

mod postgres;
mod proxy;
mod scene;
mod sqlite;
