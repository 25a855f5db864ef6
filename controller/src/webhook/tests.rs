use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use salvo::test::TestClient;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const SECRET: &str = "correct horse battery staple";
const BODY: &str = r#"{"ref":"refs/heads/main"}"#;

fn receiver() -> Receiver {
    Receiver {
        secret: Secret::new(SECRET).expect("not empty"),
        look: Arc::new(Notify::new()),
        metrics: Arc::new(Metrics::new("0", "0").expect("all names are different")),
        now: Instant::now,
    }
}

/// An HMAC-SHA256 in hexadecimal digits.
fn signed(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Whether somebody was told to look.
fn told(receiver: &Receiver) -> bool {
    use futures_util::FutureExt;
    receiver.look.notified().now_or_never().is_some()
}

async fn post(receiver: &Receiver, headers: &[(&'static str, String)]) -> StatusCode {
    let mut request = TestClient::post("http://127.0.0.1/any/path").body(BODY);
    for (name, value) in headers {
        request = request.add_header(*name, value, false);
    }
    let answer = request
        .send(&server::service(router(receiver.clone())))
        .await;
    answer.status_code.expect("every answer has a status")
}

#[tokio::test]
async fn every_forges_right_signature_makes_the_loop_look() {
    let digits = signed(SECRET, BODY.as_bytes());
    for (name, value) in [
        ("x-hub-signature-256", format!("sha256={digits}")),
        ("x-gitea-signature", digits.clone()),
        ("x-amid-signature", format!("sha256={digits}")),
        // The same bytes, however their digits are written.
        (
            "x-hub-signature-256",
            format!("sha256={}", digits.to_uppercase()),
        ),
        ("x-gitlab-token", SECRET.to_owned()),
    ] {
        let receiver = receiver();
        let code = post(&receiver, &[(name, value.clone())]).await;
        assert_eq!(code, StatusCode::ACCEPTED, "{name}: {value}");
        assert!(told(&receiver), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_missing_or_doubled_signature_is_refused() {
    let right = signed(SECRET, BODY.as_bytes());
    let wrong = signed("another secret", BODY.as_bytes());
    let of_empty = signed(SECRET, b"");
    let hub = "x-hub-signature-256";
    let cases: Vec<Vec<(&'static str, String)>> = vec![
        vec![],
        vec![(hub, String::new())],
        vec![(hub, "sha256=".to_owned())],
        vec![(hub, format!("sha256={wrong}"))],
        vec![(hub, format!("sha256={of_empty}"))],
        vec![(hub, right.clone())],
        vec![(hub, format!("SHA256={right}"))],
        vec![(hub, format!("sha1={right}"))],
        vec![(hub, format!("sha256={}", &right[..62]))],
        vec![(hub, format!("sha256={right}00"))],
        vec![(hub, format!("sha256={}", "z".repeat(64)))],
        // Which of the two would count is a question not to be asked.
        vec![
            (hub, format!("sha256={wrong}")),
            (hub, format!("sha256={right}")),
        ],
        vec![("x-hub-signature", format!("sha1={right}"))],
        vec![("x-gitea-signature", format!("sha256={right}"))],
        vec![("x-gitlab-token", String::new())],
        vec![("x-gitlab-token", format!("{SECRET}x"))],
        vec![("x-gitlab-token", SECRET[..SECRET.len() - 1].to_owned())],
        vec![("x-gitlab-token", SECRET.to_uppercase())],
    ];
    for headers in cases {
        let receiver = receiver();
        let code = post(&receiver, &headers).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert!(!told(&receiver), "{headers:?}");
    }
}

#[tokio::test]
async fn only_a_post_is_a_webhook() {
    let receiver = receiver();
    let answer = TestClient::get("http://127.0.0.1/")
        .send(&server::service(router(receiver.clone())))
        .await;
    assert_eq!(answer.status_code, Some(StatusCode::METHOD_NOT_ALLOWED));
    assert_eq!(answer.headers()["allow"], "POST");
}

#[test]
fn an_empty_secret_is_refused_and_a_secret_is_not_shown() {
    for empty in ["", "\n", "  \r\n", "\t"] {
        let error = Secret::new(empty).expect_err(empty).to_string();
        assert!(error.contains("secret is empty"), "{error}");
        assert!(error.contains("webhook.secret_file"), "{error}");
    }
    assert_eq!(format!("{:?}", Secret::new(SECRET)), "Ok(Secret)");
}

#[tokio::test]
async fn the_line_end_of_the_secrets_file_is_no_part_of_the_secret() {
    let receiver = Receiver {
        secret: Secret::new(&format!("{SECRET}\r\n")).expect("not empty"),
        ..receiver()
    };
    let code = post(&receiver, &[("x-gitlab-token", SECRET.to_owned())]).await;
    assert_eq!(code, StatusCode::ACCEPTED);
}

/// A receiver on a port of its own.
struct Running {
    address: SocketAddr,
    receiver: Receiver,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<Result<()>>,
}

async fn running() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let receiver = receiver();
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, receiver.clone(), stop.clone()));
    Running {
        address,
        receiver,
        stop,
        server,
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.server.await.expect("no panic").expect("a clean end");
    }

    /// Sends `head`, then `body`, and reads what comes until the end.
    async fn send(&self, head: &str, body: &[u8]) -> String {
        let mut peer = TcpStream::connect(self.address).await.expect("it listens");
        peer.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes())
            .await
            .expect("the head fits");
        // The receiver may close before it has taken all.
        let _ = peer.write_all(body).await;
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_before_any_of_it_is_sent() {
    let running = running().await;
    // Not a byte of the body is sent, so an answer proves that none was read.
    let answer = running
        .send(
            "content-length: 100000000\r\nx-gitlab-token: correct horse battery staple\r\n",
            b"",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_once_it_is_too_large() {
    let running = running().await;
    let mut peer = TcpStream::connect(running.address)
        .await
        .expect("it listens");
    peer.write_all(
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nx-gitlab-token: correct horse battery staple\r\n\r\n",
    )
    .await
    .expect("the head fits");
    // One byte more than it takes, and no end: nothing lies unread at the other
    // side when it closes, so that its answer is not lost in a reset.
    let mut piece = format!("{MAX_BODY:x}\r\n").into_bytes();
    piece.extend(vec![b'a'; MAX_BODY]);
    piece.extend(b"\r\n1\r\na\r\n");
    peer.write_all(&piece).await.expect("it takes the body");
    let mut start = [0; 12];
    peer.read_exact(&mut start).await.expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 413");
    assert!(!told(&running.receiver));
    running.stop().await;
}

#[tokio::test]
async fn bodies_at_the_limit_are_taken_and_one_byte_more_is_not() {
    let running = running().await;
    for (length, want) in [(MAX_BODY, "202"), (MAX_BODY + 1, "413")] {
        let body = vec![b'x'; length];
        let head = format!(
            "content-length: {length}\r\nx-amid-signature: sha256={}\r\n",
            signed(SECRET, &body)
        );
        let mut peer = TcpStream::connect(running.address)
            .await
            .expect("it listens");
        peer.write_all(format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes())
            .await
            .expect("the head fits");
        if want == "202" {
            peer.write_all(&body).await.expect("it takes the body");
        }
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_trickles_is_cut_by_the_limit_for_the_whole_body() {
    // A byte now and then, for ever: no gap is long and 1 MiB takes a quarter
    // of an hour, so only the limit for the whole body can end it.
    use futures_util::stream;
    let receiver = receiver();
    let trickle = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((
            Ok::<_, std::io::Error>(hyper::body::Frame::data(bytes())),
            (),
        ))
    });
    let body = http_body_util::StreamBody::new(trickle);
    let mut request = Request::new();
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(
        "x-amid-signature",
        HeaderValue::from_str(&format!("sha256={}", signed(SECRET, b"x"))).expect("digits"),
    );
    request.replace_body(ReqBody::Boxed {
        inner: Box::pin(body.map_err(Into::into)),
        fuse_config: None,
    });
    let hook = Hook {
        receiver: receiver.clone(),
        bucket: Mutex::new(Bucket::new(BURST, PER_SECOND)),
        body_time: Duration::from_millis(20),
    };
    assert_eq!(hook.judge(&mut request).await, Verdict::Broken);
    assert!(!told(&receiver));
}

fn bytes() -> hyper::body::Bytes {
    hyper::body::Bytes::from_static(b"x")
}

#[tokio::test]
async fn a_flood_is_limited_before_its_signatures_are_looked_at() {
    let receiver = Receiver {
        now: clock,
        ..receiver()
    };
    let service = server::service(router(receiver.clone()));
    let send = async |name: &'static str, value: &str| {
        TestClient::post("http://127.0.0.1/")
            .add_header(name, value, false)
            .body(BODY)
            .send(&service)
            .await
    };
    let forged = format!("sha256={}", signed("another secret", BODY.as_bytes()));
    let mut limited = 0;
    for _ in 0..1000 {
        let answer = send("x-hub-signature-256", &forged).await;
        match answer.status_code {
            Some(StatusCode::UNAUTHORIZED) => {}
            Some(StatusCode::TOO_MANY_REQUESTS) => {
                assert_eq!(answer.headers()["retry-after"], "1");
                limited += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(limited, 1000 - u64::from(BURST));
    assert_eq!(count(&receiver, "forged"), u64::from(BURST));
    assert_eq!(count(&receiver, "limited"), limited);
    assert!(!told(&receiver));

    // A second later there is room again for one that knows the secret.
    SECONDS.store(1, std::sync::atomic::Ordering::Relaxed);
    let answer = send("x-gitlab-token", SECRET).await;
    assert_eq!(answer.status_code, Some(StatusCode::ACCEPTED));
    assert!(told(&receiver));
}

static SECONDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// A clock that stands still unless the test above moves it.
fn clock() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let seconds = SECONDS.load(std::sync::atomic::Ordering::Relaxed);
    *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
}

/// How many requests ended so.
fn count(receiver: &Receiver, result: &str) -> u64 {
    let series = format!("amid_webhook_requests_total{{result=\"{result}\"}} ");
    receiver
        .metrics
        .render()
        .lines()
        .find_map(|line| line.strip_prefix(&series)?.parse().ok())
        .expect("the counter is there from the start")
}

#[tokio::test]
async fn peers_that_send_nothing_keep_nobody_out() {
    let running = running().await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(
            TcpStream::connect(running.address)
                .await
                .expect("it listens"),
        );
    }
    let answer = running
        .send(
            &format!(
                "content-length: {}\r\nx-gitlab-token: {SECRET}\r\n",
                BODY.len()
            ),
            BODY.as_bytes(),
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(told(&running.receiver));
    drop(silent);
    running.stop().await;
}
