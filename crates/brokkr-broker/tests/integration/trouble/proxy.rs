//! A link to a server that can stall: bytes stop, and nobody is told.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on until it is dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    /// How often the link has stalled, and whether it is stalled now.
    stalls: watch::Sender<(u32, bool)>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn to(server: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stalls = watch::Sender::new((0, false));
        let state = stalls.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server.clone(), state.clone()));
            }
        });
        Self {
            address,
            stalls,
            task,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every connection is silent, for ever; new ones are taken and are silent too.
    pub(super) fn stall(&self) {
        self.stalls.send_modify(|(times, stalled)| {
            *times += 1;
            *stalled = true;
        });
    }

    /// New connections work again. Those that stalled stay as they are.
    pub(super) fn let_new_ones_pass(&self) {
        self.stalls.send_modify(|(_, stalled)| *stalled = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: TcpStream, server: String, mut stalls: watch::Receiver<(u32, bool)>) {
    let (times, stalled) = *stalls.borrow();
    if !stalled {
        let Ok(mut server) = TcpStream::connect(server).await else {
            return;
        };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = stalls.wait_for(|(now, _)| *now > times) => {}
        }
        let _open = (client, server);
        return std::future::pending().await;
    }
    let _open = client;
    std::future::pending().await
}
