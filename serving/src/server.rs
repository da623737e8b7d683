//! The server: a socket, the router behind it, and the follower of the table's log beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use lake_config::Settings;
use lake_delta::Lake;
use lake_runtime::{RandomIds, SystemClock, telemetry};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::error::ServingError;
use crate::router::router;
use crate::state::App;

/// Longest time that requests in progress are given to end once the server is asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves as the settings describe until `shutdown` completes and the requests in progress are answered.
///
/// # Errors
/// The lake can't be opened as configured or belongs to another pipeline, or the address can't be listened on. A lake
/// without tables is no error: the server waits for them and reports that at `/health/ready`.
pub async fn run(
    settings: &Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServingError> {
    Server::bind(settings).await?.run(shutdown).await
}

/// A server that has its address and does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
    refresh_interval: Duration,
}

impl Server {
    /// Opens the lake and binds the address that the settings name.
    ///
    /// # Errors
    /// The lake can't be opened as configured, or the address can't be listened on.
    pub async fn bind(settings: &Settings) -> Result<Server, ServingError> {
        let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
        let address = settings.serving.listen;
        let listen_error = |source| ServingError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let recorder = telemetry::install_metrics("serving", &settings.pipeline.name);
        let app = App::new(&lake, settings, recorder);
        Ok(Server { listener, address, app, refresh_interval: settings.serving.refresh_interval })
    }

    /// The address that clients reach the server at.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` completes; requests in progress then have ten seconds to end.
    ///
    /// # Errors
    /// The system fails the socket, or the lake belongs to another pipeline.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServingError> {
        info!(address = %self.address, "serving averages; GET / lists the paths");
        let store = Arc::clone(self.app.store());
        let (stopping, stopped) = oneshot::channel();
        let signalled = async move {
            shutdown.await;
            info!("stopping: no more requests are accepted");
            // The receiver goes only when the server has ended by itself.
            let _ = stopping.send(());
        };
        let drained = async {
            let _ = stopped.await;
            tokio::time::sleep(DRAIN_TIMEOUT).await;
        };
        let listener = self.listener.tap_io(|stream| {
            // Without it answers wait for acknowledgements; a socket that refuses it works all the same.
            let _ = stream.set_nodelay(true);
        });
        let serving = axum::serve(listener, router(self.app)).with_graceful_shutdown(signalled);
        tokio::select! {
            ended = serving => {
                let action = "accept connections";
                ended.map_err(|source| ServingError::System { action, source })?;
            }
            () = drained => warn!("requests that did not end within {DRAIN_TIMEOUT:?} are dropped"),
            never = store.follow_runs() => match never {},
            error = store.follow(self.refresh_interval) => return Err(error.into()),
        }
        Ok(())
    }
}
