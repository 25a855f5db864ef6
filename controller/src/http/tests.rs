use amid_core::decide::Phase;
use jiff::Timestamp;
use salvo::test::{ResponseExt, TestClient};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn app(name: &str) -> App {
    App {
        app: name.to_owned(),
        phase: Phase::Steady,
        since: Timestamp::UNIX_EPOCH,
        owner: None,
        unit: None,
        desired: None,
        releases: Vec::new(),
        state: None,
        held: Vec::new(),
        notes: Vec::new(),
        running: None,
    }
}

fn ready_status() -> Status {
    Status {
        swept: Some(Timestamp::UNIX_EPOCH),
        repository: Repository {
            fetched: Some(Timestamp::UNIX_EPOCH),
            ..Repository::default()
        },
        apps: vec![app("demo/todo"), app("todo")],
        ..Status::default()
    }
}

fn state(status: Status, ago: u64) -> State {
    // The channel's last value stays readable when its sender is gone.
    let (_, receiver) = watch::channel(Arc::new(status));
    State {
        status: receiver,
        metrics: Arc::new(Metrics::new("0", "0").expect("all names are different")),
        alive: Arc::new(move || Liveness {
            ago: Duration::from_secs(ago),
            limit: Duration::from_secs(60),
        }),
    }
}

async fn get(state: State, path: &str) -> (StatusCode, String, salvo::http::HeaderMap) {
    let mut answer = TestClient::get(format!("http://127.0.0.1{path}"))
        .send(&server::service(router(state)))
        .await;
    let body = answer.take_string().await.expect("the body is text");
    (
        answer.status_code.expect("every answer has a status"),
        body,
        answer.headers().clone(),
    )
}

#[tokio::test]
async fn a_loop_that_stands_still_fails_the_liveness_probe() {
    let (code, body, _) = get(state(Status::default(), 60), "/livez").await;
    assert_eq!((code, body.as_str()), (StatusCode::OK, "ok\n"));
    let (code, body, _) = get(state(Status::default(), 61), "/livez").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("not moved for 61 s"), "{body}");
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let (code, body, _) = get(state(ready_status(), 0), "/readyz").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(body, r#"{"ready":true,"missing":[]}"#);

    let mut status = Status::default();
    status.repository.error = Some("no route to host".to_owned());
    let (code, body, _) = get(state(status, 0), "/readyz").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("cannot be read: no route to host"), "{body}");
    assert!(body.contains("first look"), "{body}");
}

#[tokio::test]
async fn an_app_is_found_by_a_name_with_slashes() {
    let (code, body, _) = get(state(ready_status(), 0), "/api/v1/apps/demo/todo").await;
    assert_eq!(code, StatusCode::OK);
    let one: App = serde_json::from_str(&body).expect("an app");
    assert_eq!(one.app, "demo/todo");

    let (code, body, _) = get(state(ready_status(), 0), "/api/v1/apps").await;
    assert_eq!(code, StatusCode::OK);
    let all: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(all["apps"][1]["app"], "todo");

    let (code, body, _) = get(state(ready_status(), 0), "/api/v1/apps/demo").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(body.contains("there is no app `demo`"), "{body}");
}

#[tokio::test]
async fn metrics_are_in_the_text_format_and_every_answer_has_security_headers() {
    let (code, body, headers) = get(state(ready_status(), 0), "/metrics").await;
    assert_eq!(code, StatusCode::OK);
    assert!(body.contains("# TYPE amid_passes_total counter"), "{body}");
    assert_eq!(
        headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for path in ["/", "/metrics", "/api/v1/apps", "/no/such/path"] {
        let (_, _, headers) = get(state(ready_status(), 0), path).await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn nothing_but_get_is_taken() {
    let answer = TestClient::post("http://127.0.0.1/api/v1/apps")
        .send(&server::service(router(state(ready_status(), 0))))
        .await;
    assert_eq!(answer.status_code, Some(StatusCode::METHOD_NOT_ALLOWED));
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_the_listener_stops_when_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, state(ready_status(), 0), stop.clone()));

    let mut peer = TcpStream::connect(address).await.expect("it listens");
    peer.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ")
        .await
        .expect("it reads");
    // It closes while the peer still writes, so both ways may end in an error.
    let _ = peer.write_all(&vec![b'a'; 64 * 1024]).await;
    let mut answer = Vec::new();
    let _ = peer.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let mut peer = TcpStream::connect(address).await.expect("it still listens");
    peer.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("it reads");
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("ok\n"), "{answer}");

    stop.cancel();
    server.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_peer_that_never_ends_its_request_is_let_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let limits = server::Limits {
        connections: 1,
        patience: Duration::from_millis(50),
        ..LIMITS
    };
    let routes = router(state(ready_status(), 0));
    let server = tokio::spawn(server::serve(listener, routes, limits, stop.clone()));
    // There is room for one connection only, so each is served because the
    // one before it was let go.
    let mut peers = Vec::new();
    for start in ["", "GET /livez HTTP/1.1\r\nhos", ""] {
        let mut peer = TcpStream::connect(address).await.expect("it listens");
        peer.write_all(start.as_bytes()).await.expect("it reads");
        peers.push(peer);
    }
    for mut peer in peers {
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }

    // One that never pauses for long, but never comes to an end either.
    let mut peer = TcpStream::connect(address).await.expect("it listens");
    peer.write_all(b"GET /livez HTTP/1.1\r\nx-slow: ")
        .await
        .expect("it reads");
    let (mut reader, mut writer) = peer.split();
    let trickle = async {
        // Two hundred times the patience, and less than hyper's own limit.
        for _ in 0..2000 {
            if writer.write_all(b"a").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it was never let go");
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = reader.read_to_end(&mut answer) => {}
        () = trickle => {}
    }
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    stop.cancel();
    server.await.expect("no panic").expect("a clean end");
}
