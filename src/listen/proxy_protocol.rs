//! The PROXY protocol (HAProxy's specification, versions 1 and 2): what a proxy in front says of the connection that it passes on,
//! before the client's own first byte.
//!
//! Believed only from networks that the listener names, and there it must come. It must never read a byte of what follows, and
//! never guess: a header that cannot be read ends the connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// How version 2 begins; the lengths that its head and version 1 have.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD: usize = 16;
const V1_LONGEST: usize = 107;
/// Bytes that a header may have with what it carries beside addresses.
const LONGEST: usize = 2048;

/// Who must say, before anything else, for whom it comes.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Proxies in these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether a connection from here begins with a header.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Reads a header and nothing after it: the client's address and the one that it asked for. None when the proxy speaks for itself.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let mut heard = [0; LONGEST];
    let mut length = 0;
    loop {
        let more = wanted(&heard[..length])?;
        if more == 0 {
            return addresses(&heard[..length]);
        }
        // Looked at before it is taken: version 1 does not say how long it is.
        let room = heard.get_mut(length..).filter(|room| room.len() >= more).ok_or_else(|| wrong("is too long"))?;
        let seen = stream.peek(&mut room[..more]).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let own = if is_binary(&heard[..length]) { seen } else { line(&heard, length, seen) };
        stream.read_exact(&mut heard[length..length + own]).await?;
        length += own;
    }
}

/// How many bytes of the header may still come at most; 0 when it is whole.
fn wanted(heard: &[u8]) -> io::Result<usize> {
    let known = heard.len().min(SIGNATURE.len());
    if heard[..known] == SIGNATURE[..known] && !heard.is_empty() {
        let whole = match heard.get(14..V2_HEAD) {
            Some(&[high, low]) => V2_HEAD + usize::from(u16::from_be_bytes([high, low])),
            Some(_) | None => V2_HEAD,
        };
        return match whole <= LONGEST {
            true => Ok(whole.saturating_sub(heard.len())),
            false => Err(wrong("is too long")),
        };
    }
    if !heard.is_empty() && !b"PROXY ".starts_with(&heard[..heard.len().min(6)]) {
        return Err(wrong("is not there"));
    }
    if heard.ends_with(b"\r\n") {
        return Ok(0);
    }
    // The first byte tells the versions apart.
    match heard.len() {
        0 => Ok(1),
        some if some < V1_LONGEST => Ok(V1_LONGEST - some),
        _ => Err(wrong("has no end")),
    }
}

fn is_binary(heard: &[u8]) -> bool {
    heard.first() == SIGNATURE.first()
}

/// How many of the bytes that were seen after these belong to a line.
fn line(heard: &[u8], length: usize, seen: usize) -> usize {
    let from = length.saturating_sub(1);
    let end = heard[from..length + seen].windows(2).position(|pair| pair == b"\r\n");
    end.map_or(seen, |end| from + end + 2 - length)
}

fn addresses(header: &[u8]) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let pair = |from: IpAddr, to: IpAddr, ports: (u16, u16)| {
        Some((SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1)))
    };
    match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(all) => {
                pair(all.source_address.into(), all.destination_address.into(), (all.source_port, all.destination_port))
            }
            v1::Addresses::Tcp6(all) => {
                pair(all.source_address.into(), all.destination_address.into(), (all.source_port, all.destination_port))
            }
        }),
        HeaderResult::V2(Ok(header)) => match (header.command, header.addresses) {
            // The proxy asks for itself, as for its own health checks.
            (v2::Command::Local, _) => Ok(None),
            (v2::Command::Proxy, v2::Addresses::IPv4(all)) => Ok(pair(
                all.source_address.into(),
                all.destination_address.into(),
                (all.source_port, all.destination_port),
            )),
            (v2::Command::Proxy, v2::Addresses::IPv6(all)) => Ok(pair(
                all.source_address.into(),
                all.destination_address.into(),
                (all.source_port, all.destination_port),
            )),
            (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => Ok(None),
        },
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(wrong("cannot be read")),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the header of the PROXY protocol {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_taken_whole_and_nothing_after_it() {
        for (header, heard) in [("PROXY TCP4 192.0.2.7 198.51.100.1 5 6\r\n", 1), ("PROXY UNKNOWN\r\n", 14)] {
            let all = format!("{header}GET / HTTP/1.1\r\n\r\n");
            let seen = all.len().min(V1_LONGEST) - heard;
            assert_eq!(heard + line(all.as_bytes(), heard, seen), header.len(), "{header}");
            assert_eq!(wanted(header.as_bytes()).unwrap(), 0);
            assert!(wanted(&header.as_bytes()[..heard]).unwrap() > 0);
        }
        let mut binary = SIGNATURE.to_vec();
        binary.extend([0x21, 0x11, 0, 12]);
        assert_eq!((wanted(&[]).unwrap(), wanted(&binary[..1]).unwrap(), wanted(&binary).unwrap()), (1, 15, 12));
        binary.extend([192, 0, 2, 7, 198, 51, 100, 1, 0, 5, 0, 6]);
        assert_eq!(wanted(&binary).unwrap(), 0);
        let found = addresses(&binary).unwrap().unwrap();
        assert_eq!(found, ("192.0.2.7:5".parse().unwrap(), "198.51.100.1:6".parse().unwrap()));
    }

    #[test]
    fn what_is_no_header_ends_there() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PROXX",
            b"PROXY TCP9 a b 1 2\r\n",
            b"PROXY TCP4 192.0.2.7\r\n",
        ] {
            assert!(wanted(bytes).and_then(|_| addresses(bytes)).is_err(), "{bytes:?}");
        }
        let mut long = SIGNATURE.to_vec();
        long.extend([0x21, 0x11, 0xff, 0xff]);
        assert!(wanted(&long).is_err());
        assert!(wanted(&[b"PROXY ".to_vec(), vec![b'x'; 200]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), head in 0..16_usize) {
            let bytes = [&SIGNATURE[..head.min(SIGNATURE.len())], &bytes].concat();
            let _ = wanted(&bytes);
            let _ = addresses(&bytes);
        }
    }
}
