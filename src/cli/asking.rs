//! The control API's client: over the socket of the one Weir that runs, over a socket that is named, or over TLS with a token.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{SteerArguments, demo};
use crate::control::sockets;
use crate::upstream::connect_to;

/// How long a command waits: as long as control itself allows a request, and a little.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long it waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// What Weir answered.
#[derive(Debug)]
pub(super) struct Told {
    pub status: StatusCode,
    pub document: Value,
}

impl Told {
    /// Whether it was done.
    pub fn good(&self) -> bool {
        self.status.is_success()
    }

    /// Why it was not, as people read it.
    pub fn refusal(&self) -> String {
        let detail = self.document["detail"].as_str().map_or_else(|| self.status.to_string(), str::to_owned);
        match self.document["help"].as_str() {
            Some(help) => format!("{}\nhelp: {help}", ended(detail)),
            None => ended(detail),
        }
    }
}

/// A sentence with its full stop; a question has its mark already.
fn ended(mut sentence: String) -> String {
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

/// Asks and reads the whole answer.
pub(super) fn ask(
    arguments: &SteerArguments,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Told> {
    ask_written(arguments, method, path, body.map(Value::to_string))
}

/// The same with a body that is written already: nothing in it is read and written anew.
pub(super) fn ask_written(
    arguments: &SteerArguments,
    method: Method,
    path: &str,
    body: Option<String>,
) -> anyhow::Result<Told> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut wanted = Request::builder().method(method.clone()).uri(path);
        if let Some(tag) = expected(arguments, &method).await? {
            wanted = wanted.header(header::IF_MATCH, format!("\"{tag}\""));
        }
        in_time(arguments, async {
            let answer = send(arguments, wanted, body).await?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await?.to_bytes();
            let document = serde_json::from_slice(&bytes)
                .with_context(|| format!("Weir answered {status} with something that is not JSON"))?;
            Ok(Told { status, document })
        })
        .await
    })
}

/// The tag that a change is to find: the one that was named, or over the network that of this moment.
async fn expected(arguments: &SteerArguments, method: &Method) -> anyhow::Result<Option<String>> {
    if *method == Method::GET || arguments.if_match.is_some() || arguments.url.is_none() {
        return Ok(arguments.if_match.clone());
    }
    in_time(arguments, async {
        let answer = send(arguments, Request::builder().uri("/v1/status"), None).await?;
        let tag = answer
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok())
            .map(|tag| tag.trim_matches('"').to_owned());
        Ok(tag)
    })
    .await
}

/// Reads a stream line by line until it ends or `each` has had enough.
pub(super) fn listen(
    arguments: &SteerArguments,
    path: &str,
    mut each: impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut answer = send(arguments, Request::builder().uri(path), None).await?;
        if !answer.status().is_success() {
            let status = answer.status();
            let bytes = answer.into_body().collect().await?.to_bytes();
            let document = serde_json::from_slice(&bytes).unwrap_or_default();
            bail!("{}", Told { status, document }.refusal());
        }
        let mut held = Vec::new();
        while let Some(frame) = answer.frame().await {
            let Ok(bytes) = frame?.into_data() else { continue };
            held.extend_from_slice(&bytes);
            while let Some(end) = memchr::memchr(b'\n', &held) {
                let line: Vec<u8> = held.drain(..=end).collect();
                if !each(String::from_utf8_lossy(&line).trim_end())? {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

async fn in_time<T>(arguments: &SteerArguments, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let place = match (&arguments.url, &arguments.socket) {
            (Some(url), _) => url.clone(),
            (None, Some(socket)) => socket.display().to_string(),
            (None, None) => "its socket".to_owned(),
        };
        bail!("the Weir at {place} did not answer within {} seconds", PATIENCE.as_secs())
    })
}

/// One request over one connection.
async fn send(
    arguments: &SteerArguments,
    wanted: http::request::Builder,
    body: Option<String>,
) -> anyhow::Result<Response<Incoming>> {
    let body = Full::new(body.map(Bytes::from).unwrap_or_default());
    let Some(url) = &arguments.url else {
        let socket = socket(arguments)?;
        let stream = tokio::net::UnixStream::connect(&socket).await.map_err(|cause| match cause.kind() {
            ErrorKind::PermissionDenied => anyhow!("{} belongs to another user's Weir: {cause}", socket.display()),
            _ => anyhow!("no Weir answers at {}; is it running? ({cause})", socket.display()),
        })?;
        return exchange(stream, wanted.header(header::HOST, "weir").body(body)?).await;
    };
    let server = demo::server(url).map_err(|why| anyhow!("--url {url}: {why}"))?;
    let file = arguments.token_file.as_deref().ok_or_else(|| anyhow!("--url needs --token-file FILE"))?;
    let token = std::fs::read_to_string(file).with_context(|| format!("the token in {}", file.display()))?;
    let stream = connect_to(&server, arguments.ca.as_deref(), CONNECT).await.map_err(|failure| {
        let failure = failure.to_string();
        let way = match failure.contains("UnknownIssuer") {
            true => "\nhelp: --ca FILE names the authority that signed it, or the certificate itself",
            false => "",
        };
        anyhow!("no Weir answers at {url}: {failure}{way}")
    })?;
    let host = format!("{}:{}", server.host, server.port);
    let wanted = wanted.header(header::HOST, host).header(header::AUTHORIZATION, format!("Bearer {}", token.trim()));
    let way = match server.tls {
        true => "is this the address in [control]?",
        false => "a door with a certificate wants https://",
    };
    exchange(stream, wanted.body(body)?)
        .await
        .with_context(|| format!("what answers at {url} is no Weir's control; {way}"))
}

#[allow(clippy::disallowed_methods, reason = "it ends with the command's own runtime")]
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The socket that was named, or that of the one Weir that runs.
fn socket(arguments: &SteerArguments) -> anyhow::Result<PathBuf> {
    if let Some(socket) = &arguments.socket {
        return Ok(socket.clone());
    }
    let running = sockets::running();
    match running.as_slice() {
        [] => bail!(
            "no Weir of this user is running; start one with `weir run` or `weir demo`, or name its socket with --socket PATH"
        ),
        [one] => Ok(one.clone()),
        several => {
            let list: Vec<String> = several.iter().map(|socket| format!("  --socket {}", socket.display())).collect();
            bail!("{} Weirs are running; say which:\n{}", several.len(), list.join("\n"))
        }
    }
}

/// The data directory of the Weir that would be asked: where its socket is.
pub(super) fn data(arguments: &SteerArguments) -> anyhow::Result<PathBuf> {
    let socket = socket(arguments)?;
    Ok(socket.parent().map_or_else(PathBuf::new, Path::to_path_buf))
}
