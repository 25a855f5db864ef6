//! The database goes away, in every way that it can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::{get, read_all, send, send_json};
use crate::database::{Database, free_port};
use crate::server::Server;

const JSON: (&str, &str) = ("content-type", "application/json");

pub async fn nothing_acknowledged_is_lost_when_the_database_is_killed(_: Arc<Database>) {
    let mut database = Database::start().await;
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
        writers.spawn(async move {
            let mut titles = Vec::new();
            let mut again = 0;
            while !stop.load(Ordering::SeqCst) {
                let title = format!("{writer}-{}", titles.len());
                let headers = [JSON, ("idempotency-key", title.as_str())];
                let body = json!({ "title": title }).to_string();
                // As a client does: the same request again until it is answered.
                loop {
                    let reply = send(address, "POST", "/todos", &headers, body.clone()).await;
                    let reply = reply.expect("the server itself always answers");
                    match reply.status {
                        201 => break,
                        503 => assert_eq!(reply.header("retry-after"), "1"),
                        other => panic!("{other}: {}", reply.text()),
                    }
                    again += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                titles.push(title);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            (titles, again)
        });
    }
    for round in 1..=3 {
        let goal = acknowledged.load(Ordering::SeqCst) + 60;
        while acknowledged.load(Ordering::SeqCst) < goal {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        database.kill();
        // Once shorter than anybody's patience, once longer.
        tokio::time::sleep(Duration::from_millis(if round == 3 { 7_500 } else { 300 })).await;
        database.restart().await;
    }
    let goal = acknowledged.load(Ordering::SeqCst) + 60;
    while acknowledged.load(Ordering::SeqCst) < goal {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let outcomes = writers.join_all().await;
    let again: usize = outcomes.iter().map(|(_, again)| again).sum();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for todo in read_all(address, 500).await {
        let title = todo["title"].as_str().expect("a title").to_owned();
        *counts.entry(title).or_default() += 1;
    }
    let titles: Vec<_> = outcomes
        .into_iter()
        .flat_map(|(titles, _)| titles)
        .collect();
    for title in &titles {
        assert_eq!(counts.get(title), Some(&1), "{title}");
    }
    assert_eq!(counts.len(), titles.len());
    println!(
        "  {} writes acknowledged, all there once; {again} requests were answered 503 and repeated",
        titles.len()
    );
}

pub async fn a_frozen_database_turns_readiness_red_until_it_thaws(_: Arc<Database>) {
    let database = Database::start().await;
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    database.freeze();
    // `ready` gives up after the 2 s that the answer may take.
    let red = server.ready().await.expect("an answer within 2 s");
    assert_eq!(red.status, 503);
    assert_eq!(red.json()["status"], "unavailable");
    assert!(
        red.json()["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("database"))
    );
    assert_eq!(get(address, "/livez").await.expect("an answer").status, 200);

    // Many requests at once: each is answered, none hangs, none is lost count of.
    let mut requests = JoinSet::new();
    for _ in 0..40 {
        requests.spawn(async move { get(address, "/todos").await.expect("an answer") });
    }
    for reply in requests.join_all().await {
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    }
    // By now it has been away for long, and nobody is made to wait.
    let body = json!({ "title": "a" });
    let refused = send_json(address, "POST", "/todos", body.clone()).await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.text().contains("down for some seconds"),
        "{}",
        refused.text()
    );
    let metrics = get(server.metrics, "/metrics")
        .await
        .expect("metrics")
        .text();
    assert!(metrics.contains("\ntodo_database_up 0\n"));
    assert!(metrics.contains("\ntodo_http_requests_in_flight 0\n"));

    database.thaw();
    server.wait_ready().await;
    let added = send_json(address, "POST", "/todos", body).await;
    assert_eq!(added.status, 201, "{}", added.text());
}

pub async fn a_server_without_database_lives_and_becomes_ready_later(_: Arc<Database>) {
    let port = free_port();
    let url = format!("--database-url=mongodb://127.0.0.1:{port}/");
    let server = Server::spawn(&[&url]);
    assert_eq!(
        get(server.address, "/livez")
            .await
            .expect("an answer")
            .status,
        200
    );
    let red = server.ready().await.expect("an answer within 2 s");
    assert_eq!(red.status, 503);
    let refused = get(server.address, "/todos").await.expect("an answer");
    assert_eq!(refused.status, 503);
    let _database = Database::start_on(port).await;
    server.wait_ready().await;
    assert!(read_all(server.address, 10).await.is_empty());
}

pub async fn the_database_url_is_never_told(_: Arc<Database>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let url = format!(
        "mongodb://secretuser:hush-hush@secret-host.invalid:{}/?authSource=admin",
        free_port()
    );
    std::fs::write(file.path(), url).expect("written");
    let flag = format!("--database-url-file={}", file.path().display());
    let server = Server::spawn(&[&flag, "--log=debug"]);
    let ready = server.ready().await.expect("an answer within 2 s");
    assert_eq!(ready.status, 503);
    let list = get(server.address, "/todos").await.expect("an answer");
    let metrics = get(server.metrics, "/metrics").await.expect("metrics");
    let mut told = server.log();
    told.extend([ready.text(), list.text(), metrics.text()]);
    for text in told {
        for secret in ["hush-hush", "secretuser", "secret-host"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
