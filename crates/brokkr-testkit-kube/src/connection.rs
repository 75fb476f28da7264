//! Connections that can be cut at any moment, as networks do it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The switch of the whole network. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Wires>>);

#[derive(Debug, Default)]
struct Wires {
    down: bool,
    /// Cancelled when all connections are cut; the next ones get a new one.
    all: CancellationToken,
}

impl Network {
    /// Cuts every connection, and every new one.
    pub(crate) fn down(&self) {
        self.lock().down = true;
        self.cut();
    }

    pub(crate) fn up(&self) {
        self.lock().down = false;
    }

    /// Cuts every connection there is.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut self.lock().all).cancel();
    }

    fn connect(&self) -> Option<CancellationToken> {
        let wires = self.lock();
        (!wires.down).then(|| wires.all.child_token())
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection a request came by.
#[derive(Debug, Clone)]
pub(crate) struct Connection(CancellationToken);

impl Connection {
    /// Cuts the connection, and with it whoever waits for this.
    pub(crate) async fn cut<T>(&self) -> T {
        self.0.cancel();
        std::future::pending().await
    }
}

/// Accepts connections that know how to be cut.
pub(crate) struct Entrance {
    pub(crate) listener: TcpListener,
    pub(crate) network: Network,
}

impl Listener for Entrance {
    type Io = Wire;
    type Addr = Connection;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Nothing but a lack of file descriptors comes to here, and that passes.
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let Some(cut) = self.network.connect() else {
                continue;
            };
            // Latency is all that this could fail to improve.
            let _ = stream.set_nodelay(true);
            let wire = Wire {
                stream,
                cut: Box::pin(cut.clone().cancelled_owned()),
            };
            return (wire, Connection(cut));
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Connection(CancellationToken::new()))
    }
}

impl Entrance {
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Entrance>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Entrance>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection's bytes, until it is cut.
pub(crate) struct Wire {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
