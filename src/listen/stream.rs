//! The streams of one HTTP/2 connection: each is a task of its own on this worker's thread, and watched while it waits for its client.
//!
//! A client that leaves a stream's window at zero blocks no socket, so the connection's own clock sees nothing, while the stream
//! holds an upstream connection and memory. Such a stream is dropped, which resets it; the connection and its other streams go on.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;

use super::life::{Life, Turn};
use super::patience::Patience;

/// Starts the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams(pub Rc<Life>);

impl<Fut: Future + 'static> Executor<Fut> for Streams
where
    Fut::Output: 'static,
{
    fn execute(&self, stream: Fut) {
        tokio::task::spawn_local(Watched { stream: Some(stream), life: self.0.clone(), patience: None, unread: false });
    }
}

pin_project! {
    /// A stream until it has ended, or its client has been waited for too long.
    struct Watched<Fut> {
        #[pin]
        stream: Option<Fut>,
        life: Rc<Life>,
        // Made when the client is first waited for.
        patience: Option<Box<Patience>>,
        // What was handed over last is not taken yet.
        unread: bool,
    }
}

impl<Fut: Future> Future for Watched<Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        this.life.turn_begins();
        if stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // hyper asks for the next piece only when the client has room for the one before.
        if let Some(Turn { bytes, wants_more }) = this.life.turn_ends() {
            if let Some(patience) = this.patience {
                patience.moved(bytes);
            }
            *this.unread = !wants_more;
        }
        if *this.unread {
            let patience =
                this.patience.get_or_insert_with(|| Box::new(Patience::new(&this.life.alarms, this.life.bounds)));
            if !patience.waits(cx.waker()) {
                tracing::debug!("a stream was reset: its client did not read the answer");
                this.stream.set(None);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}
