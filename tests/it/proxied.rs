//! The PROXY protocol: from proxies that a listener names it must come and is believed, from others it is noise.

use std::io;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::Rig;
use crate::support::upstream::Upstream;

const JOURNEYS: &str = r#"
[journeys.order_status]
routes = ["GET /order-status"]
ladder = [{ at = 0, do = "allow" }]
"#;

const GET: &str = "GET /order-status HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";

fn rig(proxies: &str, each: usize) -> Rig {
    Rig::start(JOURNEYS, Upstream::shop(), &[], |options| {
        let networks: Vec<IpNet> = vec![proxies.parse().unwrap()];
        for listener in options.listeners.as_mut().unwrap() {
            listener.proxy_protocol.clone_from(&networks);
        }
        let settings = format!("[bounds]\nconnections_per_address = {each}\n");
        std::fs::write(options.rules.join("gateway.toml"), settings).unwrap();
    })
}

fn v2(command: u8, family: u8, addresses: &[u8], more: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len() + more.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, addresses, more].concat()
}

/// What is answered to these bytes and then a request, if anything.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<String> {
    stream.write_all(GET.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn begin(rig: &Rig, listener: usize, header: &[u8], each: usize) -> TcpStream {
    let mut stream = TcpStream::connect(rig.weir().addresses[listener]).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in header.chunks(each) {
        stream.write_all(piece).await.unwrap();
    }
    stream
}

#[tokio::test]
async fn a_named_proxy_says_for_whom_it_comes_in_both_versions_and_over_tls() {
    let rig = rig("127.0.0.0/8", 1000);
    let four = [192, 0, 2, 7, 198, 51, 100, 1, 0, 5, 0, 6];
    let mut six = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec();
    six.extend([0; 16]);
    six.extend([0, 5, 0, 6]);
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.8 198.51.100.1 5 6\r\n".to_vec(), "192.0.2.8"),
        (b"PROXY TCP6 2001:db8::8 2001:db8::1 5 6\r\n".to_vec(), "2001:db8::8"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(1, 0x11, &four, &[]), "192.0.2.7"),
        (v2(1, 0x21, &six, &[4, 0, 3, 1, 2, 3]), "2001:db8::7"),
        (v2(0, 0x00, &[], &[]), "127.0.0.1"),
    ] {
        for each in [1, 1000] {
            let answer = ask(begin(&rig, 1, &header, each).await).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{client}: {answer}");
            assert_eq!(rig.upstream.last().header("x-forwarded-for"), client);
        }
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(rig.dir().join("certs/weir.pem")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = begin(&rig, 0, &v2(1, 0x11, &four, &[]), 7).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert!(ask(stream).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(rig.upstream.last().header("x-forwarded-for"), "192.0.2.7");
}

#[tokio::test]
async fn without_its_header_a_named_proxy_is_not_served() {
    let rig = rig("127.0.0.0/8", 1000);
    for header in [&b""[..], b"PROXY TCP4 nonsense\r\n", b"PROXY ", &v2(1, 0x11, &[1, 2, 3], &[])] {
        // It may be closed before it was heard out.
        let answer = ask(begin(&rig, 1, header, 1000).await).await.unwrap_or_default();
        assert_eq!(answer, "", "{header:?}");
    }
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn from_elsewhere_a_header_is_no_header() {
    let rig = rig("192.0.2.0/24", 1000);
    let answer =
        ask(begin(&rig, 1, b"PROXY TCP4 192.0.2.8 198.51.100.1 5 6\r\n", 1000).await).await.unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(rig.upstream.seen().is_empty());
    assert!(ask(begin(&rig, 1, b"", 1).await).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(rig.upstream.last().header("x-forwarded-for"), "127.0.0.1");
}

#[tokio::test]
async fn each_client_of_a_proxy_is_counted_as_itself() {
    let rig = rig("127.0.0.0/8", 2);
    let header = |last: u8| v2(1, 0x11, &[192, 0, 2, last, 198, 51, 100, 1, 0, 5, 0, 6], &[]);
    let mut open = Vec::new();
    for last in [1, 1, 2, 2, 3] {
        let mut stream = begin(&rig, 1, &header(last), 1000).await;
        stream.write_all(b"GET /order-status HTTP/1.1\r\nhost: shop.example\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200", "{last}");
        open.push(stream);
    }
    assert_eq!(ask(begin(&rig, 1, &header(1), 1000).await).await.unwrap_or_default(), "");
    assert!(ask(begin(&rig, 1, &header(4), 1000).await).await.unwrap().starts_with("HTTP/1.1 200"));
    drop(open);
}
