//! The shop on a thread of its own, on a port that nobody else has.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::shop;

/// A shop that is open.
#[derive(Debug)]
pub struct Running {
    /// Where.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Opens a shop on a free loopback port.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("weir-shop".into()).spawn(move || {
            let served = runtime.block_on(async {
                let stopped = async {
                    let _ = stopped.await;
                };
                shop::serve(TcpListener::from_std(listener)?, stopped).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the demonstration shop ended");
            }
        })?;
        Ok(Self { address, stop, thread })
    }

    /// Closes the shop.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the demonstration shop ended by a panic");
        }
    }
}
