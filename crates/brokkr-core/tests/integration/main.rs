//! What the life of a work order promises and how it is explained, seen from outside the crate.

mod explain;
mod fuzz;
mod invariants;
mod transition_table;
