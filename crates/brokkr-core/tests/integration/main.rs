//! What the life of a work order promises, seen from outside the crate.

mod fuzz;
mod invariants;
mod transition_table;
