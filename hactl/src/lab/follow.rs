//! The leader's picture, asked for again and again as an operator's client would.

use std::sync::Arc;
use std::time::Duration;

use api::State;
use tokio::sync::watch;

use super::plan::Plan;
use crate::client::{Client, Reach};

/// Pause between two questions.
const EVERY: Duration = Duration::from_millis(100);

/// The last picture, and why there was none the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    /// The last picture that came.
    pub(super) state: Option<Arc<State>>,
    /// Why the last question was not answered; `None` if it was.
    pub(super) silence: Option<String>,
}

/// Asks for ever.
pub(super) async fn follow(plan: Arc<Plan>, told: watch::Sender<Last>) {
    let reach =
        Reach { controllers: plan.urls(), token_file: Some(plan.token_file()), ca_file: None };
    loop {
        let answer = match Client::new(&reach) {
            Ok(client) => client.picture().await,
            Err(error) => Err(error),
        };
        told.send_modify(|last| match answer {
            Ok(picture) => {
                *last = Last { state: Some(Arc::new(picture.state)), silence: None };
            }
            Err(error) => last.silence = Some(error.to_string()),
        });
        tokio::time::sleep(EVERY).await;
    }
}
