//! The floor: the least that a hyper forwarder can be. One thread, one connection to the upstream for each client connection, no pool, no
//! bounds, no rules. Weir is measured beside it; it is never shipped.
//!
//! Usage: `cargo bench --bench floor -- LISTEN UPSTREAM`, two addresses such as 127.0.0.1:8001 127.0.0.1:8000.

use std::net::SocketAddr;
use std::rc::Rc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Mutex;

fn main() {
    let addresses: Vec<SocketAddr> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let [listen, upstream] = addresses[..] else {
        eprintln!("usage: floor LISTEN UPSTREAM");
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let served = runtime.and_then(|runtime| runtime.block_on(serve(listen, upstream)));
    if let Err(cause) = served {
        eprintln!("{cause}");
    }
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            let _ = converse(stream, upstream).await;
        });
    }
}

async fn converse(stream: TcpStream, upstream: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let back = TcpStream::connect(upstream).await?;
    back.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(back)).await?;
    tokio::task::spawn_local(connection);
    let sender = Rc::new(Mutex::new(sender));
    let forward = service_fn(move |request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let mut sender = sender.lock().await;
            let answer: Result<Response<Incoming>, hyper::Error> = match sender.ready().await {
                Ok(()) => sender.send_request(request).await,
                Err(closed) => Err(closed),
            };
            answer
        }
    });
    let served: Result<(), hyper::Error> = server::Builder::new().serve_connection(TokioIo::new(stream), forward).await;
    Ok(served?)
}
