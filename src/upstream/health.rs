//! Asks servers whether they are well, away from the request path. Two failures in a row mark a server as down, one success marks it as up.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::{Request, header::HOST};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::watch;
use tokio::time::Instant;

use super::dial::dial;
use super::reach::Reach;
use super::tap::Stream;
use crate::rules::in_force::InForce;
use crate::rules::ruleset::{Server, Upstream};
use crate::swap::Swap;

/// How often the list of what is due is looked through.
const LOOK: Duration = Duration::from_millis(100);
/// Probes at once. The others wait for their turn.
const AT_ONCE: usize = 64;

/// Probes the servers of whatever law is in force, until `stop` becomes true or its sender is gone. Servers without a health check
/// count as up. Whenever another law is in force, what its upstreams need is read first, away from the request path; what was there
/// when this began is the caller's to prepare.
pub async fn watch(reach: Arc<Reach>, in_force: Swap<InForce>, mut stop: watch::Receiver<bool>) {
    let mut due: HashMap<Server, Instant> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut prepared = in_force.load();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            Some((server, well)) = running.next(), if !running.is_empty() => judge(&reach, &server, well),
            _ = looks.tick() => {
                let law = in_force.load();
                if !Arc::ptr_eq(&law, &prepared) {
                    prepare(&reach, &law).await;
                    prepared = law.clone();
                }
                let now = Instant::now();
                due.retain(|server, _| law.rules.upstreams.iter().any(|upstream| upstream.servers.contains(server)));
                for (at, upstream) in law.rules.upstreams.iter().enumerate() {
                    for server in &upstream.servers {
                        let Some(health) = &upstream.health else {
                            reach.up(&reach.mark(server));
                            continue;
                        };
                        if running.len() >= AT_ONCE || due.get(server).is_some_and(|due| *due > now) {
                            continue;
                        }
                        due.insert(server.clone(), now + health.every);
                        running.push(asked(reach.clone(), law.clone(), at, server.clone()));
                    }
                }
            }
        }
    }
}

async fn prepare(reach: &Arc<Reach>, law: &Arc<InForce>) {
    let (reach, law) = (reach.clone(), law.clone());
    match tokio::task::spawn_blocking(move || reach.prepare(&law.rules.upstreams)).await {
        Ok(faults) => faults.iter().for_each(|fault| tracing::error!(%fault, "an upstream cannot be reached over TLS")),
        Err(panicked) => tracing::error!(%panicked, "certificate authorities were not read"),
    }
}

fn judge(reach: &Reach, server: &Server, well: bool) {
    let mark = reach.mark(server);
    if well {
        if reach.up(&mark) {
            tracing::info!(%server, "a server is up again");
        }
    } else if reach.bad(&mark) {
        tracing::warn!(%server, "a server is marked as down");
    }
}

async fn asked(reach: Arc<Reach>, law: Arc<InForce>, at: usize, server: Server) -> (Server, bool) {
    let well = match law.rules.upstreams.get(at) {
        Some(upstream) => probe(&reach, upstream, &server).await,
        None => true,
    };
    (server, well)
}

/// One question: 2xx or 3xx within the upstream's own times is well.
pub(super) async fn probe(reach: &Reach, upstream: &Upstream, server: &Server) -> bool {
    let Some(health) = &upstream.health else { return true };
    let limit = upstream.timeout.connect + upstream.timeout.answer;
    let asking = async {
        let connect = upstream.timeout.connect;
        let dialled = dial(reach, server, upstream.protocol, upstream.ca.as_deref(), connect).await.ok()?;
        let status = match dialled.h2 {
            false => ask_h1(dialled.stream, server, &health.path).await?,
            true => ask_h2(dialled.stream, server, &health.path).await?,
        };
        Some(status.is_success() || status.is_redirection())
    };
    tokio::time::timeout(limit, asking).await.ok().flatten().unwrap_or(false)
}

fn question(uri: String, server: &Server) -> Option<Request<Empty<Bytes>>> {
    let host = format!("{}:{}", server.host, server.port);
    Request::get(uri).header(HOST, host).header("user-agent", "weir-health").body(Empty::new()).ok()
}

async fn ask_h1(stream: Stream, server: &Server, path: &str) -> Option<http::StatusCode> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let reply = sender.send_request(question(path.to_owned(), server)?);
    beside(connection, reply).await?.ok().map(|response| response.status())
}

async fn ask_h2(stream: Stream, server: &Server, path: &str) -> Option<http::StatusCode> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
    let uri = format!("{}://{}:{}{path}", if server.tls { "https" } else { "http" }, server.host, server.port);
    let mut question = question(uri, server)?;
    question.headers_mut().remove(HOST);
    let reply = sender.send_request(question);
    beside(connection, reply).await?.ok().map(|response| response.status())
}

/// Waits for the reply while the connection is driven; `None` if the connection ends first.
async fn beside<T>(connection: impl Future, reply: impl Future<Output = T>) -> Option<T> {
    let (mut connection, mut reply) = (pin!(connection), pin!(reply));
    tokio::select! {
        biased;
        reply = &mut reply => Some(reply),
        _ = &mut connection => tokio::time::timeout(Duration::ZERO, reply).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::rules::source::Sources;
    use crate::rules::{compile, ruleset::Protocol};

    fn law(generation: u64, upstream: &str) -> Arc<InForce> {
        let sites =
            format!("[[site]]\nhosts = [\"shop.example\"]\nupstream = \"shop\"\n[upstreams.shop]\n{upstream}\n");
        let compiled = compile(&Sources::from_texts(vec![("sites.toml".to_owned(), sites)]));
        let rules = compiled.rules.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        Arc::new(InForce::calm(generation, Arc::new(rules), Moment::default()))
    }

    #[tokio::test]
    async fn what_a_new_law_trusts_is_read_before_a_request_needs_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("authorities.pem");
        let made = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).expect("made");
        std::fs::write(&file, made.cert.pem()).expect("written");
        let in_force = Swap::new(law(1, "servers = [\"http://127.0.0.1:1\"]"));
        let reach = Reach::new();
        let (_stop, stopped) = watch::channel(false);
        let watching = watch(reach.clone(), in_force.clone(), stopped);
        let trusts = |reach: &Reach| reach.trusts(Some(&file), Protocol::Auto).is_some();
        let installing = async {
            tokio::task::yield_now().await;
            assert!(!trusts(&reach));
            let upstream = format!("servers = [\"https://127.0.0.1:1\"]\nca = \"{}\"", file.display());
            in_force.store(law(2, &upstream));
            while !trusts(&reach) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = watching => panic!("the prober ended"),
            () = installing => {}
        }
    }
}
