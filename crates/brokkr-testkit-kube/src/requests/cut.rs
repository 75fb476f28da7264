//! Answers that break off.

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use tokio::task::yield_now;

use crate::connection::Connection;

/// The first `left` bytes of a body, after which the connection is cut; a shorter body ends as it does.
pub(super) fn after(body: Body, left: usize, connection: Connection) -> Body {
    let state = (body.into_data_stream(), left, connection);
    Body::from_stream(stream::unfold(state, async |(mut data, left, connection)| {
        if left == 0 {
            // What was sent before leaves the server's buffer only while there is nothing more to send.
            yield_now().await;
            return connection.cut().await;
        }
        let chunk = data.next().await?;
        let chunk = chunk.map(|bytes| bytes.slice(..bytes.len().min(left)));
        let sent = chunk.as_ref().map_or(0, |bytes| bytes.len());
        Some((chunk, (data, left - sent, connection)))
    }))
}
