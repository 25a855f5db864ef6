//! What the page costs: its data for a large fleet, and a hundred browsers that watch.
//!
//! The data is asked for as a browser or a script would. What watchers cost is the processor time of `amid` while
//! they watch and one app changes every second, less what the same changes cost while nobody watches.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use super::{
    Scale, fleet, millis,
    report::{Bar, Row},
};
use crate::{
    cloud::Sizes,
    small::{Small, http_get},
};

/// Browsers that watch.
const WATCHERS: usize = 100;
/// Apps of the fleet that they watch.
const WATCHED: usize = 100;
/// Of the processor times in `/proc`; Linux shows them so on every architecture.
const TICKS_A_SECOND: f64 = 100.0;

pub(super) fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let mut rows = data(scale)?;
    rows.push(watchers(scale)?);
    Ok(rows)
}

fn data(scale: &Scale) -> Result<Vec<Row>> {
    let mut small = fleet::world(&scale.amid, scale.apps, "30s")?;
    let page = start(&mut small)?;
    let mut rows = Vec::new();
    for (name, path, what) in [
        ("page-json", "/api/v1/apps", "the page's data as JSON"),
        ("page-html", "/", "the page itself"),
    ] {
        let mut samples = Vec::new();
        for _ in 0..scale.pages {
            let began = Instant::now();
            let (status, body) = http_get(page, path)?;
            samples.push(millis(began.elapsed()));
            ensure!(status == 200, "{path} answered {status}");
            ensure!(
                body.matches("demo/app-").count() >= scale.apps,
                "{path} does not show all apps"
            );
        }
        let what = format!("{what}, {} apps", scale.apps);
        rows.push(Row::of_samples(name, &what, Bar::max("ms", 50.0), samples));
    }
    small.stop()?;
    Ok(rows)
}

fn watchers(scale: &Scale) -> Result<Row> {
    let mut small = fleet::world(&scale.amid, WATCHED, "1s")?;
    let page = start(&mut small)?;
    let alone = cost(&small, scale.watch)?;
    let events = Arc::<AtomicU64>::default();
    for _ in 0..WATCHERS {
        watch(page, Arc::clone(&events))?;
    }
    let watched = cost(&small, scale.watch)?;
    let seen = events.load(Ordering::Relaxed) / WATCHERS as u64;
    ensure!(
        seen * 2 >= scale.watch.as_secs(),
        "Only {seen} events came in {} s",
        scale.watch.as_secs()
    );
    small.stop()?;
    Ok(Row::of_one(
        "page-watchers",
        &format!("{WATCHERS} live watchers, a change every second ({seen} events each)"),
        Bar::max("% of a core", 5.0),
        (watched - alone).max(0.0),
    ))
}

fn start(small: &mut Small) -> Result<SocketAddr> {
    small.start()?;
    small.until("every app is steady", |small| {
        // A status of many apps is no small answer: asked for seldom.
        thread::sleep(Duration::from_millis(250));
        let status = small.status()?;
        let apps = status["apps"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(!apps.is_empty()
            && apps
                .iter()
                .all(|app| app["phase"] == "steady" && !app["state"].is_null()))
    })?;
    small.listener("Metrics and status")
}

/// The processor time that `amid` needs, in per cent of one core, while a group changes every second.
fn cost(small: &Small, span: Duration) -> Result<f64> {
    let name = small.standin.cloud()?.groups.keys().next().cloned();
    let name = name.context("There is no group")?;
    let (began, before) = (Instant::now(), ticks(small)?);
    for round in 0..span.as_secs() {
        let desired = u32::from(round % 2 == 0) + 1;
        small.standin.change(|cloud| {
            let sizes = Sizes {
                desired: Some(desired),
                ..Sizes::default()
            };
            cloud.set_sizes(&name, sizes, Timestamp::UNIX_EPOCH)
        })?;
        thread::sleep(Duration::from_secs(1));
    }
    let used = (ticks(small)? - before) / TICKS_A_SECOND;
    Ok(used / began.elapsed().as_secs_f64() * 100.0)
}

/// The processor time of `amid` alone, without its children.
fn ticks(small: &Small) -> Result<f64> {
    let path = format!("/proc/{}/stat", small.pid()?);
    let text = fs::read_to_string(&path).with_context(|| format!("Failed to read {path}"))?;
    // The second field is a name in brackets that may hold anything.
    let (_, rest) = text.rsplit_once(')').context("A strange stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| -> Result<f64> {
        let text = fields.get(at).context("A short stat")?;
        text.parse().context("A strange stat")
    };
    // User and system time, fields 14 and 15 of all.
    Ok(field(11)? + field(12)?)
}

/// Opens the stream of changes as a browser does, and counts what comes until it ends.
fn watch(page: SocketAddr, events: Arc<AtomicU64>) -> Result<()> {
    let mut stream = TcpStream::connect(page).context("Failed to connect")?;
    let request =
        format!("GET /events HTTP/1.1\r\nHost: {page}\r\nAccept: text/event-stream\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .context("Failed to ask for the changes")?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("No answer")?.context("No answer")?;
    ensure!(first.contains(" 200 "), "The stream answered {first}");
    thread::spawn(move || {
        for line in lines.map_while(std::io::Result::ok) {
            if line == "event: parts" {
                events.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(())
}
