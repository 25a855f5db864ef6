//! A load generator for the benchmark: so many equal requests over so many
//! connections, each of which sends its next request when the last one was
//! answered. Prints one line of JSON.
//!
//! Usage: load ADDRESS METHOD PATH BODY CONNECTIONS REQUESTS

#[expect(
    dead_code,
    reason = "the tests' client can do more than is needed here"
)]
#[path = "../tests/real/client.rs"]
mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use client::Connection;
use tokio::task::JoinSet;

#[derive(Clone)]
struct Load {
    address: SocketAddr,
    method: String,
    path: String,
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, method, path, body, connections, requests] = &arguments[..] else {
        bail!("Usage: load ADDRESS METHOD PATH BODY CONNECTIONS REQUESTS");
    };
    let load = Load {
        address: address.parse().context("Failed to read ADDRESS")?,
        method: method.clone(),
        path: path.clone(),
        body: body.clone(),
    };
    let connections: usize = connections.parse().context("Failed to read CONNECTIONS")?;
    let requests: usize = requests.parse().context("Failed to read REQUESTS")?;

    let left = Arc::new(AtomicUsize::new(requests));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(work(load.clone(), left.clone()));
    }
    let outcomes = workers.join_all().await;
    let seconds = start.elapsed().as_secs_f64();
    let failed: usize = outcomes.iter().map(|(_, failed)| failed).sum();
    let mut times: Vec<Duration> = outcomes.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    let percentile = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        let time = times.get(index.min(times.len().saturating_sub(1)));
        time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    let figures = serde_json::json!({
        "requests": times.len(), "failed": failed, "seconds": seconds,
        "p50_ms": percentile(0.5), "p99_ms": percentile(0.99),
    });
    println!("{figures}");
    Ok(())
}

/// One connection's share: times of what was answered, and what was not.
async fn work(load: Load, left: Arc<AtomicUsize>) -> (Vec<Duration>, usize) {
    let mut times = Vec::new();
    let mut failed = 0;
    let mut connection = None;
    let headers = [("content-type", "application/json")];
    let next = || {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok()
    };
    while next() {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(load.address).await {
                Ok(open) => open,
                Err(_) => {
                    failed += 1;
                    continue;
                }
            },
        };
        let start = Instant::now();
        let answer = open.send(&load.method, &load.path, &headers, load.body.clone());
        match answer.await {
            Ok(reply) if reply.status < 300 => {
                times.push(start.elapsed());
                connection = Some(open);
            }
            _ => failed += 1,
        }
    }
    (times, failed)
}
