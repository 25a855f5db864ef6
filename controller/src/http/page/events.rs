//! The stream of changes, for one watcher.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use hyper::body::Bytes;
use salvo::http::HeaderValue;
use salvo::http::header::{CONTENT_TYPE, RETRY_AFTER};
use salvo::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::live::{Board, Shown, Topic, Watching};

/// Silence is broken so often, so that both ends notice when the other is
/// gone: the listener drops a connection that is silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// `/events`; `/events?app=NAME` for one app's page, `/events?page=images` for
/// that of images.
pub(super) struct Events(pub(super) Arc<Board>);

#[handler]
impl Events {
    async fn handle(&self, req: &mut Request, res: &mut Response) {
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
            res.status_code(StatusCode::SERVICE_UNAVAILABLE);
            res.headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("15"));
            res.render(Text::Plain(format!(
                "{} pages are watching already, as many as may: read the page now and then instead\n",
                super::live::WATCHERS
            )));
            return;
        };
        let topic = match self.topic(req) {
            Ok(topic) => topic,
            Err(why) => {
                res.status_code(StatusCode::NOT_FOUND);
                res.render(Text::Plain(why));
                return;
            }
        };
        // After a broken connection the browser says what it saw last.
        let seen = req
            .header::<String>("last-event-id")
            .or_else(|| req.query::<String>("since"))
            .and_then(|version| self.0.number(&version));
        let watcher = Watcher::new(Arc::clone(&self.0), topic, seen, place);
        res.headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        res.stream(watcher.stream());
    }
}

impl Events {
    /// The page that is watched; `None` is the list.
    fn topic(&self, req: &mut Request) -> Result<Option<Topic>, &'static str> {
        if let Some(page) = req.query::<String>("page") {
            return match page.as_str() {
                "images" => Ok(Some(Topic::Images)),
                _ => Err("There is no such page: `page` is `images`\n"),
            };
        }
        let Some(name) = req.query::<String>("app") else {
            return Ok(None);
        };
        if self.0.now().1.app(&name).is_none() {
            return Err("There is no such app: /api/v1/apps lists them\n");
        }
        Ok(Some(Topic::App(name)))
    }
}

/// One who watches, with all that is kept of it.
struct Watcher {
    board: Arc<Board>,
    changes: watch::Receiver<Arc<Shown>>,
    watching: Option<Watching>,
    /// The last frame that was sent.
    seen: Option<u64>,
    ready: VecDeque<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    fn new(
        board: Arc<Board>,
        topic: Option<Topic>,
        seen: Option<u64>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let changes = board.changes();
        let watching = topic.map(|topic| board.watch(topic));
        let mut watcher = Self {
            board,
            changes,
            // Nothing of its own was rendered before it came.
            seen,
            watching,
            ready: VecDeque::from([Bytes::from_static(b"retry: 3000\n\n")]),
            _place: place,
        };
        let shown = watcher.changes.borrow_and_update().clone();
        if watcher.watching.is_some() && seen != Some(shown.number) {
            watcher.seen = None;
        }
        watcher.take(&shown);
        watcher
    }

    /// Makes ready what `shown` has that was not sent yet.
    fn take(&mut self, shown: &Shown) {
        let oldest = shown.frames.front().map_or(shown.number + 1, |f| f.number);
        match self.seen {
            Some(seen) if seen == shown.number => {}
            Some(seen) if seen < shown.number && seen + 1 >= oldest => {
                for frame in shown.frames.iter().filter(|frame| frame.number > seen) {
                    match &self.watching {
                        None => self.ready.push_back(frame.fleet.clone()),
                        Some(watching) => {
                            self.ready
                                .extend(frame.others.get(watching.topic()).cloned());
                        }
                    }
                }
            }
            // It comes from another run, or is too late.
            _ => self.ready.push_back(self.board.resync(shown)),
        }
        self.seen = Some(shown.number);
    }

    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some((Ok(chunk), self));
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    // The daemon stops.
                    changed.ok()?;
                    let shown = self.changes.borrow_and_update().clone();
                    self.take(&shown);
                }
                () = tokio::time::sleep(HEARTBEAT) => {
                    return Some((Ok(Bytes::from_static(b":\n\n")), self));
                }
            }
        }
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        futures_util::stream::unfold(self, Self::next)
    }
}
