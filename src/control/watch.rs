//! Notices that rule files changed: by the system's events, and by looking at their contents every two seconds, because
//! events miss ConfigMap swaps, network file systems and some editors. A failed watcher is not fatal.

use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::law::Law;

/// How long after the last event a change counts as written.
const QUIET: Duration = Duration::from_millis(50);
/// How long a stream of events can put a reload off.
const PATIENCE: Duration = Duration::from_millis(150);
/// How often contents are compared.
const LOOK: Duration = Duration::from_secs(2);

/// Reloads the law whenever its files change, until told to stop.
pub async fn watch(law: Arc<Law>, mut stop: watch::Receiver<bool>) {
    let (to_us, mut events) = mpsc::channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = to_us.try_send(());
        }
    })
    .map_err(|error| tracing::warn!(%error, "no file events; rule files are compared every two seconds instead"))
    .ok();
    if let Some(watcher) = &mut watcher
        && let Err(error) = watcher.watch(law.dir(), RecursiveMode::Recursive)
    {
        tracing::warn!(%error, "no file events; rule files are compared every two seconds instead");
    }
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let seen = tokio::select! {
            _ = stop.changed() => return,
            event = events.recv(), if watcher.is_some() => event.is_some(),
            _ = look.tick() => false,
        };
        // Whoever writes them may be in the midst of it, also when a look finds a change before its event comes.
        if seen || off_the_runtime(&law, Law::files_changed).await {
            settle(&mut events).await;
            off_the_runtime(&law, Law::reload_if_changed).await;
        }
    }
}

/// Waits until the writer has been quiet for a moment, but not for ever.
async fn settle(events: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + PATIENCE;
    while Instant::now() < latest {
        match timeout_at(latest.min(Instant::now() + QUIET), events.recv()).await {
            Ok(Some(())) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Runs what waits for the disk where nobody else waits for it.
async fn off_the_runtime<T: Default + Send + 'static>(law: &Arc<Law>, what: fn(&Law) -> T) -> T {
    let law = law.clone();
    tokio::task::spawn_blocking(move || what(&law)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading the rule files failed; the last good rules stay in force");
        T::default()
    })
}
