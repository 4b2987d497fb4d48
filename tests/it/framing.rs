//! Where a request ends is never in doubt: after anything that leaves a doubt, the connection is closed.

use tokio::net::TcpStream;

use crate::edge::Client;
use crate::support::Rig;

async fn client(rig: &Rig) -> Client {
    Client::over(TcpStream::connect(rig.weir().addresses[1]).await.unwrap())
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";

#[tokio::test]
async fn a_request_without_one_clear_host_ends_its_connection() {
    let rig = Rig::with("");
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n", 400),
        ("GET http://other.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a@shop.example\r\n\r\n", 400),
        ("CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ] {
        let mut client = client(&rig).await;
        let answer = client.ask(format!("{head}{SMUGGLED}")).await;
        assert_eq!((answer.status, answer.field("connection")), (status, Some("close")), "{head:?}");
        assert!(client.closed().await, "{head:?}");
    }
    // What is merely unknown or unreadable is no such doubt.
    let mut client = client(&rig).await;
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n").await.status, 421);
    assert_eq!(client.ask(SMUGGLED).await.text(), "GET /smuggled");
    assert_eq!(rig.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_head_with_bare_line_feeds_is_the_last_of_its_connection() {
    let rig = Rig::with("");
    for head in [
        "GET /a HTTP/1.1\nHost: shop.example\n\n",
        "GET /a HTTP/1.1\r\nX: a\nHost: shop.example\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: shop.example\r\n\n",
    ] {
        let mut client = client(&rig).await;
        let answer = client.ask(format!("{head}{SMUGGLED}")).await;
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")), "{head:?}");
        assert_eq!(answer.text(), "GET /a");
        assert!(client.closed().await, "{head:?}");
    }
    assert!(rig.upstream.seen().iter().all(|seen| seen.uri.path() == "/a"));
    // A body may look as it likes.
    let mut client = client(&rig).await;
    let post = "POST /a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\n\r\na\n\nb\n";
    let answer = client.ask(post).await;
    assert_eq!((answer.status, answer.field("connection")), (200, None));
    assert_eq!(client.ask(SMUGGLED).await.text(), "GET /smuggled");
}
