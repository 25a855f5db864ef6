//! What changed, rendered once for everybody who watches.
//!
//! One task follows the snapshot and the runs of clean-up. When an app or the
//! images differ from what was shown, it renders that piece of the page and puts
//! it, as bytes that all watchers share, on a short list of frames. A watcher keeps nothing but the number of
//! the last frame that it sent; one that is too slow is told to read the page
//! again. So neither many nor slow watchers cost memory, and a fleet that
//! changes all the time costs two frames a second at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{detail, fleet, images, words};
use crate::cleanup::Handle;
use crate::status::{App, Status};

/// The least time between two frames.
pub(in crate::http) const PACE: Duration = Duration::from_millis(500);
/// Frames that are kept for watchers that are a little late.
const FRAMES: usize = 8;
/// Watchers at once; a listener takes more connections than that, so that
/// probes and scrapes always find one.
pub(super) const WATCHERS: usize = 128;

/// What is shown now, and what changed lately.
pub(super) struct Shown {
    /// Grows with every change.
    pub(super) number: u64,
    /// What the page is made of.
    pub(super) status: Arc<Status>,
    /// The newest changes, the newest last.
    pub(super) frames: VecDeque<Arc<Frame>>,
}

/// One change of the page.
pub(super) struct Frame {
    /// Its number.
    pub(super) number: u64,
    /// The event for the list.
    pub(super) fleet: Bytes,
    /// The events for pages other than the list, where anybody looks at them.
    pub(super) others: BTreeMap<Topic, Bytes>,
}

/// A page other than the list, which is rendered only while it is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The page of images.
    Images,
    /// The page of an app.
    App(String),
}

/// What watchers hold on to.
pub(super) struct Board {
    status: watch::Receiver<Arc<Status>>,
    shown: watch::Receiver<Arc<Shown>>,
    watched: Arc<Watched>,
    /// Who may watch.
    pub(super) places: Arc<Semaphore>,
    /// Tells this run of the daemon from an earlier one.
    run: i64,
}

/// How many watchers each of these pages has.
#[derive(Default)]
pub(super) struct Watched(Mutex<BTreeMap<Topic, usize>>);

impl Watched {
    fn list(&self) -> MutexGuard<'_, BTreeMap<Topic, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher of one such page, for as long as it is kept.
pub(super) struct Watching {
    watched: Arc<Watched>,
    topic: Topic,
}

impl Watching {
    /// The page.
    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut list = self.watched.list();
        if let Some(count) = list.get_mut(&self.topic) {
            *count -= 1;
            if *count == 0 {
                list.remove(&self.topic);
            }
        }
    }
}

impl Board {
    /// Begins to follow `status`, until `stop`.
    pub(super) fn start(
        status: watch::Receiver<Arc<Status>>,
        now: fn() -> Timestamp,
        cleanup: Handle,
        pace: Duration,
        stop: CancellationToken,
    ) -> Self {
        let first = Shown {
            number: 0,
            status: status.borrow().clone(),
            frames: VecDeque::new(),
        };
        let (sender, shown) = watch::channel(Arc::new(first));
        let watched = Arc::<Watched>::default();
        let places = Arc::new(Semaphore::new(WATCHERS));
        let follower = Follower {
            status: status.clone(),
            sender,
            watched: Arc::clone(&watched),
            places: Arc::clone(&places),
            now,
            cleanup,
            pace,
            run: now().as_millisecond(),
        };
        let run = follower.run;
        tokio::spawn(async move {
            tokio::select! {
                () = follower.follow() => {}
                () = stop.cancelled() => {}
            }
        });
        Self {
            status,
            shown,
            watched,
            places,
            run,
        }
    }

    /// What a page is made of, with the version to watch from. The snapshot
    /// may be newer than the version, never older: what is sent again then
    /// changes nothing.
    pub(super) fn now(&self) -> (String, Arc<Status>) {
        let version = self.version(&self.shown());
        (version, self.status.borrow().clone())
    }

    /// What is shown now.
    fn shown(&self) -> Arc<Shown> {
        self.shown.borrow().clone()
    }

    /// To be told of changes; it ends with the daemon.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<Shown>> {
        self.shown.clone()
    }

    /// A name for the state of the page, to go on from.
    fn version(&self, shown: &Shown) -> String {
        format!("{}.{}", self.run, shown.number)
    }

    /// The number in a version of this run.
    pub(super) fn number(&self, version: &str) -> Option<u64> {
        let (run, number) = version.split_once('.')?;
        (run.parse() == Ok(self.run)).then(|| number.parse().ok())?
    }

    /// The event that makes a page read itself again.
    pub(super) fn resync(&self, shown: &Shown) -> Bytes {
        event("resync", &self.version(shown), &json!({}))
    }

    /// From now on this page is rendered when it changes.
    pub(super) fn watch(&self, topic: Topic) -> Watching {
        *self.watched.list().entry(topic.clone()).or_default() += 1;
        Watching {
            watched: Arc::clone(&self.watched),
            topic,
        }
    }
}

struct Follower {
    status: watch::Receiver<Arc<Status>>,
    sender: watch::Sender<Arc<Shown>>,
    watched: Arc<Watched>,
    places: Arc<Semaphore>,
    now: fn() -> Timestamp,
    cleanup: Handle,
    pace: Duration,
    run: i64,
}

impl Follower {
    async fn follow(mut self) {
        let mut runs = self.cleanup.runs();
        loop {
            let cleaned = tokio::select! {
                changed = self.status.changed() => match changed {
                    Ok(()) => runs.has_changed().unwrap_or_default(),
                    Err(_) => return,
                },
                Ok(()) = runs.changed() => true,
            };
            if cleaned {
                runs.mark_unchanged();
            }
            let status = self.status.borrow_and_update().clone();
            let before = self.sender.borrow().clone();
            if let Some(shown) = self.shown(&before, status, cleaned) {
                self.sender.send_replace(Arc::new(shown));
                // What happens meanwhile goes into the next frame.
                tokio::time::sleep(self.pace).await;
            }
        }
    }

    /// What is to be shown of `status`, if it differs, or if a run of clean-up
    /// has ended.
    fn shown(&self, before: &Shown, status: Arc<Status>, cleaned: bool) -> Option<Shown> {
        let changed = changed(&before.status, &status);
        let head =
            before.status.repository != status.repository || before.status.swept != status.swept;
        if changed.is_empty() && !head && !cleaned {
            return None;
        }
        let number = before.number + 1;
        let mut frames = before.frames.clone();
        if self.places.available_permits() < WATCHERS {
            frames.push_back(Arc::new(self.frame(number, &status, &changed, cleaned)));
            let surplus = frames.len().saturating_sub(FRAMES);
            frames.drain(..surplus);
        } else {
            // Nobody looks: nothing is rendered, and whoever comes later
            // reads the page anew.
            frames.clear();
        }
        Some(Shown {
            number,
            status,
            frames,
        })
    }

    fn frame(&self, number: u64, status: &Status, changed: &[Change<'_>], cleaned: bool) -> Frame {
        let now = (self.now)();
        let web = words::web(&status.repository);
        let version = format!("{}.{number}", self.run);
        let mut parts = Map::new();
        let head = fleet::head(status, &fleet::Filter::default()).into_string();
        parts.insert("head".to_owned(), Value::String(head));
        for change in changed {
            match change {
                Change::Is(app) => {
                    let item = fleet::item(app, web.as_deref(), now, false);
                    parts.insert(format!("app-{}", app.app), item.into_string().into());
                }
                Change::Gone(name) => {
                    parts.insert(format!("app-{name}"), Value::Null);
                }
            }
        }
        let watched: Vec<Topic> = self.watched.list().keys().cloned().collect();
        let mut others = BTreeMap::new();
        for topic in watched {
            let parts = match &topic {
                Topic::Images if cleaned => {
                    json!({ "images": images::body(&self.cleanup).into_string() })
                }
                Topic::Images => continue,
                Topic::App(name) => match (status.app(name), named(changed, name)) {
                    (None, true) => {
                        others.insert(topic, event("resync", &version, &json!({})));
                        continue;
                    }
                    // Its images stand on it, too.
                    (Some(app), is_changed) if is_changed || cleaned => {
                        let body = detail::body(app, web.as_deref(), &self.cleanup, now);
                        json!({ "detail": body.into_string() })
                    }
                    _ => continue,
                },
            };
            others.insert(topic, parts_event(&version, now, &parts));
        }
        Frame {
            number,
            fleet: parts_event(&version, now, &Value::Object(parts)),
            others,
        }
    }
}

/// One app's change.
enum Change<'a> {
    Is(&'a App),
    Gone(&'a str),
}

/// Whether the app is among them.
fn named(changed: &[Change<'_>], name: &str) -> bool {
    changed.iter().any(|change| match change {
        Change::Is(app) => app.app == name,
        Change::Gone(gone) => *gone == name,
    })
}

/// The apps that differ, new ones and those that went. Both lists are in
/// order of the names.
fn changed<'a>(before: &'a Status, now: &'a Status) -> Vec<Change<'a>> {
    let old: BTreeMap<&str, &App> = by_name(before);
    let new: BTreeMap<&str, &App> = by_name(now);
    let differs = now
        .apps
        .iter()
        .filter(|app| old.get(app.app.as_str()) != Some(app));
    let gone = before
        .apps
        .iter()
        .filter(|app| !new.contains_key(app.app.as_str()));
    differs
        .map(Change::Is)
        .chain(gone.map(|app| Change::Gone(&app.app)))
        .collect()
}

fn by_name(status: &Status) -> BTreeMap<&str, &App> {
    status
        .apps
        .iter()
        .map(|app| (app.app.as_str(), app))
        .collect()
}

fn parts_event(version: &str, now: Timestamp, parts: &Value) -> Bytes {
    let data = json!({ "now": words::machine(now), "parts": parts });
    event("parts", version, &data)
}

/// A server-sent event. JSON has no line ends of its own.
fn event(name: &str, id: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
}
