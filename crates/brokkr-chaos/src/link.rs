//! A TCP proxy on the loopback interface, which stands for the network between two parties.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::plan::Weather;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Question,
    Answer,
}

/// A way to one of several servers. It ends with this value.
#[derive(Debug)]
pub(crate) struct Link {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Held by the fault that made the weather.
    fault: Mutex<()>,
    task: JoinHandle<()>,
}

impl Link {
    /// Each new connection goes to the next one of the servers.
    pub(crate) async fn to(servers: Vec<SocketAddr>) -> anyhow::Result<Link> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("could not listen on the loopback interface")?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::Clear);
        let task = tokio::spawn(accept(listener, servers, seen));
        Ok(Link {
            address,
            weather,
            fault: Mutex::new(()),
            task,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has this weather for some time, and then clears up. Nothing when it has some already.
    pub(crate) async fn suffer(&self, weather: Weather, time: Duration) -> bool {
        let Ok(_fault) = self.fault.try_lock() else {
            return false;
        };
        self.set(weather);
        sleep(time).await;
        self.set(Weather::Clear);
        true
    }

    fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, servers: Vec<SocketAddr>, weather: watch::Receiver<Weather>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let server = servers[turn.fetch_add(1, Ordering::Relaxed) % servers.len()];
                connections.spawn(carry(client, server, weather.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until either side closes it or the weather breaks it.
async fn carry(client: TcpStream, server: SocketAddr, mut weather: watch::Receiver<Weather>) {
    if !passes(&mut weather, Direction::Question).await {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    // Small messages that go back and forth are not worth waiting for more.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = pump(client_reads, server_writes, Direction::Question, weather.clone()) => {}
        () = pump(server_reads, client_writes, Direction::Answer, weather.clone()) => {}
        () = cut(weather) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !passes(&mut weather, direction).await || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Waits until something may get through; false when it never will.
async fn passes(weather: &mut watch::Receiver<Weather>, direction: Direction) -> bool {
    loop {
        let now = *weather.borrow_and_update();
        match now {
            Weather::Clear => return true,
            Weather::Cut => return false,
            Weather::AnswersLost => return direction == Direction::Question,
            Weather::Slow(time) => {
                sleep(time).await;
                return true;
            }
            Weather::Stalled => {
                if weather.changed().await.is_err() {
                    return false;
                }
            }
        }
    }
}

async fn cut(mut weather: watch::Receiver<Weather>) {
    // The sender goes only with the whole link.
    let _ = weather.wait_for(|weather| *weather == Weather::Cut).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that answers every byte with the next one.
    async fn server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(byte) = connection.read_u8().await {
                        if connection.write_u8(byte + 1).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    async fn asked(connection: &mut TcpStream, byte: u8) -> Option<u8> {
        connection.write_u8(byte).await.ok()?;
        connection.read_u8().await.ok()
    }

    #[tokio::test]
    async fn a_cut_breaks_connections_and_lets_new_ones_through_afterwards() {
        let link = Link::to(vec![server().await]).await.unwrap();
        let mut connection = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(asked(&mut connection, 1).await, Some(2));

        link.set(Weather::Cut);
        assert_eq!(asked(&mut connection, 1).await, None);

        link.set(Weather::Clear);
        let mut connection = TcpStream::connect(link.address()).await.unwrap();
        assert_eq!(asked(&mut connection, 3).await, Some(4));
    }

    #[tokio::test]
    async fn what_is_stalled_arrives_later() {
        let link = Link::to(vec![server().await]).await.unwrap();
        let mut connection = TcpStream::connect(link.address()).await.unwrap();
        link.set(Weather::Stalled);
        connection.write_u8(1).await.unwrap();
        let early = timeout(Duration::from_millis(50), connection.read_u8()).await;
        assert!(early.is_err(), "{early:?}");

        link.set(Weather::Clear);
        assert_eq!(connection.read_u8().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_lost_answer_was_given_by_the_server() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let link = Link::to(vec![listener.local_addr().unwrap()]).await.unwrap();
        link.set(Weather::AnswersLost);
        let mut connection = TcpStream::connect(link.address()).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        connection.write_u8(7).await.unwrap();
        assert_eq!(accepted.read_u8().await.unwrap(), 7, "the question arrives");
        accepted.write_u8(8).await.unwrap();
        assert!(connection.read_u8().await.is_err(), "the answer does not");
    }
}
