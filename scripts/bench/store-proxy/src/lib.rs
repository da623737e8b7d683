//! A store as it is: a proxy before an S3 store that adds the times of a real one, and counts who asks it for what.
//!
//! `cli` is the command line; `kind` says what a request is, by the price list of S3; `delays` has a time for each kind;
//! `proxy` passes requests on, a listener for each client; `counts` has what passed. `GET /counts` of the admin's listener
//! reports it.

mod cli;
mod counts;
mod delays;
mod kind;
mod proxy;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use cli::Cli;
pub use counts::ClientCounts;
pub use delays::Delays;
pub use kind::Kind;
pub use proxy::Proxy;

/// The clients' names with their counts.
type Clients = Arc<Vec<(String, Arc<ClientCounts>)>>;

/// A proxy whose listeners are open.
#[derive(Debug)]
pub struct Opened {
    proxy: Arc<Proxy>,
    clients: Clients,
    listeners: Vec<TcpListener>,
    admin: TcpListener,
}

impl Opened {
    /// Opens the listeners of a command line.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn open(cli: &Cli) -> anyhow::Result<Opened> {
        let admin = listen("--admin", cli.admin).await?;
        let mut listeners = Vec::new();
        for (name, address) in &cli.clients {
            listeners.push(listen(&format!("--client {name}"), *address).await?);
        }
        let clients = cli.clients.iter().map(|(name, _)| (name.clone(), Arc::default())).collect();
        let proxy = Arc::new(Proxy::new(cli.to.clone(), cli.delays()));
        Ok(Opened { proxy, clients: Arc::new(clients), listeners, admin })
    }

    /// The addresses that the listeners have.
    ///
    /// # Errors
    /// The system does not say them.
    pub fn addresses(&self) -> anyhow::Result<Value> {
        let address =
            |listener: &TcpListener| Ok::<_, std::io::Error>(listener.local_addr()?.to_string());
        let named = self.clients.iter().zip(&self.listeners);
        let clients: Result<Value, std::io::Error> = named
            .map(|((name, _), listener)| Ok((name.clone(), Value::from(address(listener)?))))
            .collect();
        Ok(json!({ "admin": address(&self.admin)?, "clients": clients? }))
    }

    /// Serves all clients until `stop` ends.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut serving = tokio::task::JoinSet::new();
        for ((_, counts), listener) in self.clients.iter().zip(self.listeners) {
            serving.spawn(self.proxy.clone().serve(listener, counts.clone()));
        }
        serving.spawn(serve_admin(self.admin, self.clients));
        stop.await;
    }
}

async fn listen(option: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "{option}: listen on {address}; end what uses the port, or give port 0 for a free one"
        )
    })
}

/// Answers `GET /counts`, for ever.
async fn serve_admin(listener: TcpListener, clients: Clients) {
    proxy::accept(listener, move |request| {
        let is_known = request.method() == Method::GET && request.uri().path() == "/counts";
        let answer = if is_known {
            proxy::plain(StatusCode::OK, &report(&clients).to_string())
        } else {
            let asked = format!("{} {}", request.method(), request.uri());
            proxy::plain(StatusCode::NOT_FOUND, &format!("{asked}: expected GET /counts"))
        };
        std::future::ready(answer)
    })
    .await;
}

fn report(clients: &Clients) -> Value {
    let clients: Value =
        clients.iter().map(|(name, counts)| (name.clone(), counts.report())).collect();
    json!({ "clients": clients })
}
