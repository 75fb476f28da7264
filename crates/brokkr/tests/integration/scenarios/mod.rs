//! Work on a cluster, from the submission to the ending, with real processes of the binary.
//!
//! The cluster is a `FakeKube`, or the one that `BROKKR_TEST_KUBECONFIG` leads to (`cargo xtask test --cluster`). The scenarios
//! use only what every conformant cluster does, so they are the same for both. Each has a namespace of its own.

mod adoption;
mod cluster;
mod deployment;
mod jobs;
mod manifests;
mod refusals;
mod stopping;
mod trouble;
