//! The rules of the house that no compiler and no lint holds.

mod crates;
mod faults;
mod modules;
mod sources;
mod texts;
