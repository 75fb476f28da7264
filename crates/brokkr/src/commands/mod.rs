//! One file for each command.

pub(crate) mod agent;
pub(crate) mod annotate;
pub(crate) mod bench;
pub(crate) mod broker;
pub(crate) mod cancel;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod internal;
pub(crate) mod label;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod pause;
pub(crate) mod retry;
pub(crate) mod rotate_pak;
pub(crate) mod submit;
pub(crate) mod wait;
