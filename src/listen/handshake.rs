//! The TLS handshake of one connection. Its first words are read here, so that they can be looked at before they are forgotten.
//!
//! It must never let a look at the hello decide whether the handshake goes on: that is for TLS alone.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Accepted, Acceptor};
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::client_hello::{Ja4, LONGEST};
use crate::confidence::{Reading, Why};

/// Finishes the handshake, and says what the client's hello shows. A hello that is longer than is looked at shows nothing.
pub(super) async fn finish(
    stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<(TlsStream<TcpStream>, Reading<Ja4>)> {
    let (accepted, ja4) = hello(&stream).await?;
    Ok((StartHandshake::from_parts(accepted, stream).into_stream(config).await?, ja4))
}

/// Reads until the client has said hello.
async fn hello(stream: &TcpStream) -> io::Result<(Accepted, Reading<Ja4>)> {
    let mut acceptor = Acceptor::default();
    let mut heard = Vec::with_capacity(2048);
    loop {
        stream.readable().await?;
        match acceptor.read_tls(&mut Hearing { stream, heard: &mut heard }) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => continue,
            Err(cause) => return Err(cause),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let shown = if heard.len() > LONGEST { None } else { Ja4::of_records(&heard) };
                return Ok((accepted, shown.map_or(Reading::Unknown(Why::Ambiguous), Reading::Known)));
            }
            Err((cause, mut alert)) => {
                // Whether the client still hears why is its own affair.
                let _ = alert.write_all(&mut Telling(stream));
                return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
            }
        }
    }
}

/// Reads from the socket, and keeps what was read up to one byte more than is looked at.
struct Hearing<'a> {
    stream: &'a TcpStream,
    heard: &'a mut Vec<u8>,
}

impl Read for Hearing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let many = self.stream.try_read(buf)?;
        let room = (LONGEST + 1).saturating_sub(self.heard.len());
        self.heard.extend(buf.iter().take(many.min(room)));
        Ok(many)
    }
}

/// Writes to the socket as much as it takes at once.
struct Telling<'a>(&'a TcpStream);

impl Write for Telling<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
