//! What the controllers and the kubelet of the fake cluster do, seen through a real client.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that finds something unexpected fails its test"
)]

mod accidents;
mod builds;
mod cluster;
mod deletion;
mod jobs;
mod kubelet;
mod logs;
mod workloads;
