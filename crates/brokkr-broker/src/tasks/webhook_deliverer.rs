//! Makes webhooks' deliveries of events, and sends them.

use tokio::task::JoinSet;
use tracing::error;

use super::{Activity, Task, TaskError};
use crate::app::App;
use crate::app::webhooks::InHand;
use crate::error_chain::chain;

/// How many events are looked at in one transaction.
const EVENTS_MAX: u32 = 500;

/// Makes deliveries of the events that came since, and sends those that are due. What is being sent when the broker stops is
/// sent again by whoever finds it due.
pub struct WebhookDeliverer {
    app: App,
    sending_max: u32,
    in_hand: InHand,
    sending: JoinSet<()>,
}

impl WebhookDeliverer {
    /// Sends at most `sending_max` deliveries at the same time.
    #[must_use]
    pub fn new(app: App, sending_max: u32) -> Self {
        Self {
            app,
            sending_max: sending_max.max(1),
            in_hand: InHand::default(),
            sending: JoinSet::new(),
        }
    }
}

impl Task for WebhookDeliverer {
    const NAME: &'static str = "webhook_deliverer";

    async fn run_once(&mut self) -> Result<Activity, TaskError> {
        let made = self.app.make_webhook_deliveries(EVENTS_MAX).await;
        let made = made.map_err(TaskError::because)?.events;
        let due = self
            .app
            .take_webhook_deliveries(&self.in_hand, self.sending_max)
            .await;
        let due = due.map_err(TaskError::because)?;
        let taken = due.len() as u64;
        for one in due {
            let app = self.app.clone();
            self.sending.spawn(async move {
                if let Err(error) = app.send_webhook_delivery(one).await {
                    error!(error = %chain(&error), "could not write down how a webhook's delivery went");
                }
            });
        }
        while let Some(ended) = self.sending.try_join_next() {
            if let Err(panic) = ended {
                error!(error = %panic, "a webhook's delivery panicked");
            }
        }
        Ok(Activity {
            changed: made.max(taken),
            more: made >= u64::from(EVENTS_MAX) || taken > 0,
        })
    }
}
