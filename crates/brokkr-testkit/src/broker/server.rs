//! The broker's HTTP interface on a free port.

use std::net::{Ipv4Addr, SocketAddr};

use brokkr_broker::app::App;
use brokkr_broker::config::ConsoleConfig;
use brokkr_broker::{api, console};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    url: Url,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(app: App) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let url = Url::parse(&format!("http://{address}")).expect("an address makes a URL");
        let pages = console::router(app.clone(), &ConsoleConfig::default(), false);
        let router = api::router(app, None, pages);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task =
            tokio::spawn(async move { axum::serve(listener, service).await.expect("the server runs") });
        Self { url, task }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
