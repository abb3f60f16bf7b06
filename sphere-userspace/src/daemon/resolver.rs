//! Keeps the resolver asking, whatever the gateway's own settings look like at the moment.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::resolve::{Orders, Resolution, poll};

/// How long until servers are looked for again when there are none. A gateway that boots may not know any yet.
const AGAIN: Duration = Duration::from_secs(10);

/// Polls what is ordered until it is cancelled. Without a server to ask, it waits for one.
pub(super) async fn resolve(
    mut orders: watch::Receiver<Orders>,
    answers: mpsc::Sender<Resolution>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match poll(orders.clone(), answers.clone(), cancel.clone()).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "names cannot be asked for"),
        }
        orders.mark_unchanged();
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            _ = orders.changed() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}
