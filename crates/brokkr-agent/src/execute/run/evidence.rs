//! What is kept of how an attempt ended.

use brokkr_api::stream;

use super::Runs;
use crate::kube::observe::Evidence;
use crate::output::OutputSink;

impl Runs {
    /// Adds the evidence to the output, where people look first.
    pub(crate) async fn tell(&self, evidence: &Evidence, output: &OutputSink) {
        let mut text = evidence.lines().join("\n");
        if !text.is_empty() {
            text.push('\n');
            output.push(stream::SYSTEM, self.clock.now(), text).await;
        }
    }
}
