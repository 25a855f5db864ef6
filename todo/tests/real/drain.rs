//! The end of a server: nothing that was accepted fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Connection, get, read_all, send};
use crate::database::Database;
use crate::server::Server;

const JSON: (&str, &str) = ("content-type", "application/json");

/// What a load balancer knows: two red probes take a target out.
async fn probe(address: SocketAddr, in_service: &AtomicBool) {
    let mut red = 0;
    while red < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let reply = get(address, "/readyz").await;
        red = if reply.is_ok_and(|reply| reply.status == 200) {
            0
        } else {
            red + 1
        };
    }
    in_service.store(false, Ordering::SeqCst);
}

pub async fn sigterm_under_load_fails_no_request(database: Arc<Database>) {
    let name = database.name();
    let server = Server::start_on(&database, &name, &["--drain-time=2s"]).await;
    let address = server.address;
    let in_service = Arc::new(AtomicBool::new(true));
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let in_service = in_service.clone();
        clients.spawn(async move {
            let mut titles = Vec::new();
            let mut connection = None;
            while in_service.load(Ordering::SeqCst) {
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => Connection::open(address).await.expect("a connection"),
                };
                let title = format!("{client} {}", titles.len());
                let body = json!({ "title": title }).to_string();
                let reply = open.send("POST", "/todos", &[JSON], body).await;
                let reply = reply.unwrap_or_else(|error| panic!("a request failed: {error}"));
                assert_eq!(reply.status, 201, "{}", reply.text());
                titles.push(title);
                if reply.header("connection") != "close" {
                    connection = Some(open);
                }
            }
            titles
        });
    }
    let balancer = {
        let in_service = in_service.clone();
        tokio::spawn(async move { probe(address, &in_service).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal("TERM");
    balancer.await.expect("the load balancer");
    let answered: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    assert!(answered.len() > 32, "there was a load: {}", answered.len());
    assert!(server.wait().await.success());
    println!("  {} requests answered, 0 failed", answered.len());

    let server = Server::start_on(&database, &name, &[]).await;
    assert_eq!(read_all(server.address, 1_000).await.len(), answered.len());
}

/// Starts a POST and keeps back the end of its body.
async fn half_a_post(address: SocketAddr, title: &str) -> (TcpStream, String) {
    let body = json!({ "title": title }).to_string();
    let (start, end) = body.split_at(5);
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /todos HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{start}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    (stream, end.to_owned())
}

async fn wait_until_refused(address: SocketAddr) {
    for _ in 0..400 {
        if let Err(error) = TcpStream::connect(address).await {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("new connections are never refused");
}

pub async fn a_request_in_flight_outlives_the_drain_and_new_ones_are_refused(
    database: Arc<Database>,
) {
    let server = Server::start(&database, &["--drain-time=300ms"]).await;
    let address = server.address;
    let (mut stream, end) = half_a_post(address, "in flight").await;
    // The connection is being served before the end begins.
    send(address, "GET", "/livez", &[], "")
        .await
        .expect("an answer");
    server.signal("TERM");
    wait_until_refused(address).await;
    stream.write_all(end.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(answer.contains("in flight"), "{answer}");
    assert!(server.wait().await.success());
}

pub async fn a_request_that_hangs_is_cut_at_the_limit(database: Arc<Database>) {
    let flags = ["--drain-time=100ms", "--stop-timeout=1s"];
    let server = Server::start(&database, &flags).await;
    let (mut stream, _end) = half_a_post(server.address, "never").await;
    send(server.address, "GET", "/livez", &[], "")
        .await
        .expect("an answer");
    server.signal("TERM");
    assert!(server.wait().await.success());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
}
