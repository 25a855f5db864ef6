//! The daemon's listeners, and what they need to know of its loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::now;
use crate::cleanup;
use crate::http::{self, Liveness};
use crate::reconcile::Engine;
use crate::status::Status;
use crate::webhook::{self, Receiver, Secret};

/// The loop is stuck when it has not moved for so long.
pub(super) const STUCK: Duration = Duration::from_secs(30);

/// Opens the listeners that the config asks for.
pub(super) async fn listen(
    engine: &Arc<Engine>,
    shown: &watch::Receiver<Arc<Status>>,
    images: &cleanup::Handle,
    moved: &Moved,
    ending: &CancellationToken,
) -> anyhow::Result<()> {
    let address = engine.config.http.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("Failed to listen on {address}: `http.listen` in the config"))?;
    tracing::info!(
        "Metrics and status on http://{}",
        listener.local_addr().unwrap_or(address)
    );
    let alive = moved.clone();
    let state = http::State {
        status: shown.clone(),
        images: images.clone(),
        metrics: Arc::clone(&engine.metrics),
        alive: Arc::new(move || Liveness {
            ago: alive.ago(),
            limit: STUCK,
        }),
        now,
    };
    tokio::spawn(logged(
        "HTTP listener",
        http::serve(listener, state, ending.clone()),
    ));

    let Some(webhook) = &engine.config.webhook else {
        return Ok(());
    };
    let text = std::fs::read_to_string(&webhook.secret_file).with_context(|| {
        format!(
            "Failed to read `webhook.secret_file`: {}",
            webhook.secret_file.display()
        )
    })?;
    let secret = Secret::new(&text).with_context(|| {
        format!(
            "The webhook secret in {} is no good",
            webhook.secret_file.display()
        )
    })?;
    let address = webhook.listen;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("Failed to listen on {address}: `webhook.listen` in the config")
    })?;
    tracing::info!(
        "Webhooks on http://{}",
        listener.local_addr().unwrap_or(address)
    );
    let look = Arc::new(tokio::sync::Notify::new());
    let receiver = Receiver {
        secret,
        look: Arc::clone(&look),
        metrics: Arc::clone(&engine.metrics),
        now: tokio::time::Instant::now,
    };
    tokio::spawn(logged(
        "webhook listener",
        webhook::serve(listener, receiver, ending.clone()),
    ));
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        loop {
            look.notified().await;
            engine.hint();
        }
    });
    Ok(())
}

/// Says why what serves has ended, if it should not have.
async fn logged(what: &'static str, serving: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = serving.await {
        tracing::error!("The {what} broke: {error:#}");
    }
}

/// When the loop moved last.
#[derive(Clone)]
pub(super) struct Moved {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Moved {
    /// It moves now.
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            millis: Arc::default(),
        }
    }

    /// It moved.
    pub(super) fn now(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    /// How long ago that was.
    fn ago(&self) -> Duration {
        let last = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}
