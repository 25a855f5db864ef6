//! What the server takes and what it does not, and what it tells of itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Connection, get, send, send_json};
use crate::database::Database;
use crate::server::{Server, run};

pub async fn a_wrong_option_is_one_sentence_and_exit_2(_: Arc<Database>) {
    let wrong: [(&[&str], &[(&str, &str)], &str); 6] = [
        (&[], &[], "No database is given"),
        (
            &["--database-url=memory:", "--listen=here"],
            &[],
            "`--listen` must be an address",
        ),
        (
            &["--database-url=memory:"],
            &[("TODO_DRAIN_TIME", "soon")],
            "`--drain-time` must be",
        ),
        (
            &["--database-url=mongodb://:::/"],
            &[],
            "cannot be understood",
        ),
        (&["--bogus"], &[], "unexpected argument '--bogus'"),
        (
            &[],
            &[("TODO_DATABASE_URL", "http://hush@db")],
            "must start with `mongodb://`",
        ),
    ];
    for (flags, variables, says) in wrong {
        let mut all = vec!["--metrics-listen=127.0.0.1:0"];
        if !flags.iter().any(|flag| flag.starts_with("--listen")) {
            all.push("--listen=127.0.0.1:0");
        }
        all.extend(flags);
        let output = run(&all, variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(says) && !text.contains("hush"), "{text}");
    }
}

pub async fn help_names_every_option_and_its_variable(_: Arc<Database>) {
    let output = run(&["--help"], &[("TODO_DATABASE_URL", "mongodb://hush")]);
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    let help: Vec<_> = help.split_whitespace().collect();
    let help = help.join(" ");
    assert!(!help.contains("hush"));
    let options: Vec<_> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--"))
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()))
        .map(|word| word.split(['[', '=']).next().unwrap_or(word))
        .filter(|word| !["--help", "--version"].contains(word))
        .collect();
    assert!(options.len() > 15, "{options:?}");
    for option in options {
        let name = option
            .trim_start_matches('-')
            .replace('-', "_")
            .to_uppercase();
        assert!(help.contains(&format!("[env: TODO_{name}")), "{option}");
    }
}

pub async fn heads_and_bodies_have_limits(database: Arc<Database>) {
    let server = Server::start(&database, &[]).await;
    let large = "x".repeat(20_000);
    let reply = send(server.address, "GET", "/todos", &[("x-large", &large)], "").await;
    assert_eq!(reply.expect("an answer").status, 431);
    let names: Vec<_> = (0..80).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let reply = send(server.address, "GET", "/todos", &many, "").await;
    assert_eq!(reply.expect("an answer").status, 431);
    let body = json!({ "title": "x".repeat(150_000) });
    let reply = send_json(server.address, "POST", "/todos", body).await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.header("content-type"), "application/problem+json");
}

/// Reads until the other side hangs up.
async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    let _ = read.expect("the connection is cut");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn start(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(text.as_bytes()).await.expect("sent");
    stream
}

pub async fn slow_clients_are_cut(database: Arc<Database>) {
    let flags = ["--idle-timeout=1s", "--request-timeout=1s"];
    let server = Server::start(&database, &flags).await;
    let address = server.address;
    let silent = start(address, "").await;
    let half_a_head = start(address, "GET /todos HTTP/1.1\r\nhost: a\r\nx-").await;
    let idle = start(address, "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let half_a_body = "POST /todos HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
        content-length: 50\r\n\r\n{";
    let half_a_body = start(address, half_a_body).await;
    assert_eq!(read_to_end(silent).await, "");
    let head = read_to_end(half_a_head).await;
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 408"),
        "{head}"
    );
    assert!(read_to_end(idle).await.starts_with("HTTP/1.1 200"));
    let body = read_to_end(half_a_body).await;
    // Whichever clock runs out first: the connection's or the request's.
    let status = body.split(' ').nth(1).unwrap_or_default();
    assert!(["", "400", "503"].contains(&status), "{body}");
    assert_eq!(get(address, "/livez").await.expect("an answer").status, 200);
}

pub async fn connections_past_the_cap_wait_for_their_turn(database: Arc<Database>) {
    let server = Server::start(&database, &["--max-connections=2"]).await;
    let address = server.address;
    let mut first = Connection::open(address).await.expect("a connection");
    let mut second = Connection::open(address).await.expect("a connection");
    for connection in [&mut first, &mut second] {
        let reply = connection.send("GET", "/livez", &[], "").await;
        assert_eq!(reply.expect("an answer").status, 200);
    }
    let mut third = tokio::spawn(async move { get(address, "/livez").await.map(|r| r.status) });
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut third).await;
    assert!(waits.is_err(), "the third one is served past the cap");
    drop(first);
    let served = third.await.expect("a task");
    assert_eq!(served.expect("an answer"), 200);
}

pub async fn forwarded_headers_count_from_trusted_networks_alone(database: Arc<Database>) {
    let forwarded = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "todo.example"),
        ("x-forwarded-for", "203.0.113.9"),
        ("content-type", "application/json"),
    ];
    for (networks, base, secure) in [
        ("127.0.0.0/8", "https://todo.example", true),
        ("10.0.0.0/8", "http://127.0.0.1", false),
    ] {
        let trusted = format!("--trusted-proxies={networks}");
        let server = Server::start(&database, &[&trusted]).await;
        let body = json!({ "title": "a" }).to_string();
        let reply = send(server.address, "POST", "/todos", &forwarded, body).await;
        let reply = reply.expect("an answer");
        let url = reply.json()["url"].as_str().expect("an address").to_owned();
        assert!(url.starts_with(base), "{url}");
        assert_eq!(
            !reply.header("strict-transport-security").is_empty(),
            secure
        );
    }
}

pub async fn metrics_and_logs_tell_what_happened(database: Arc<Database>) {
    let flags = ["--ami=ami-0123", "--release-version=1.42.0"];
    let server = Server::start(&database, &flags).await;
    let headers = [("x-request-id", "Root=1-abc")];
    let reply = send(
        server.address,
        "GET",
        "/todos/nothing?token=hush",
        &headers,
        "",
    )
    .await;
    let reply = reply.expect("an answer");
    assert_eq!(reply.header("x-request-id"), "Root=1-abc");
    assert_eq!(reply.json()["request_id"], "Root=1-abc");
    send_json(server.address, "POST", "/todos", json!({ "title": "a" })).await;
    get(server.address, "/made/up/by/a/client")
        .await
        .expect("an answer");

    let metrics = get(server.metrics, "/metrics")
        .await
        .expect("metrics")
        .text();
    for line in [
        r#"todo_build_info{ami="ami-0123",version="1.42.0"} 1"#,
        r#"todo_http_requests_total{method="GET",route="/todos/{id}",status="404"} 1"#,
        r#"todo_http_requests_total{method="POST",route="/todos",status="201"} 1"#,
        r#"todo_http_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"todo_http_request_duration_seconds_count{method="POST",route="/todos"} 1"#,
        r#"todo_database_operation_duration_seconds_count{operation="insert"} 1"#,
        "todo_http_requests_in_flight 0",
        "todo_database_up 1",
        "todo_draining 0",
    ] {
        assert!(
            metrics.lines().any(|each| each == line),
            "{line}\n{metrics}"
        );
    }
    assert!(!metrics.contains("made"), "no client makes a series");
    let not_here = get(server.address, "/metrics").await.expect("an answer");
    assert_eq!(not_here.status, 404);

    server.signal("INT");
    let log = server.log();
    let lines: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let line = lines
        .iter()
        .find(|line| line["span"]["request_id"] == "Root=1-abc")
        .expect("a line with the request's id");
    assert_eq!(
        (&line["status"], &line["route"]),
        (&json!(404), &json!("/todos/{id}"))
    );
    assert!(!log.iter().any(|line| line.contains("hush")));
}
