//! Webhooks from strangers, through the binary, while an app deploys.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use amid_testkit::git_http::GitHttp;
use amid_testkit::small::{IMAGE, SECRET, Small, http_send};
use hmac::{Hmac, KeyInit, Mac};

use super::{GOOD, all_is_well, good, options};

/// A push event as a forge sends it, with a signature of `secret`.
fn signed(secret: &str) -> Vec<u8> {
    let body = r#"{"ref":"refs/heads/main"}"#;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let digits = hex::encode(mac.finalize().into_bytes());
    format!(
        "POST /hook HTTP/1.1\r\nHost: amid\r\nConnection: close\r\n\
         X-Hub-Signature-256: sha256={digits}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A world whose repository is polled so rarely that only a webhook makes
/// `amid` look, and where that webhook listens.
fn world() -> (Small, GitHttp, SocketAddr) {
    let mut small = Small::new(options()).unwrap();
    let remote = GitHttp::start(small.bare.path()).unwrap();
    small
        .reconfigure(|options| {
            options.url = Some(remote.url());
            options.poll = "1h".to_owned();
            options.webhook = true;
        })
        .unwrap();
    small
        .push(
            &[("README.md".to_owned(), b"Nothing yet\n".to_vec())],
            "Begin",
        )
        .unwrap();
    small.start().unwrap();
    small
        .until("the repository was read", |small| {
            Ok(small.status()?["repository"]["accepted"].is_string())
        })
        .unwrap();
    let hook = small.listener("Webhooks").unwrap();
    (small, remote, hook)
}

#[test]
fn forged_large_and_slow_requests_change_nothing_and_a_true_one_deploys() {
    let (mut small, _remote, hook) = world();
    small.push(&good(), "Add an app").unwrap();

    let mut slow = TcpStream::connect(hook).unwrap();
    slow.write_all(b"POST /hook HTTP/1.1\r\nHost: amid\r\nContent-Length: 100\r\n")
        .unwrap();

    let (forged, words) = http_send(hook, &signed("wrong horse")).unwrap();
    assert_eq!(forged, 401, "{words}");

    let announced = b"POST /hook HTTP/1.1\r\nHost: amid\r\nConnection: close\r\n\
        Content-Length: 104857600\r\n\r\n";
    let (large, words) = http_send(hook, announced).unwrap();
    assert_eq!(large, 413, "{words}");
    assert_eq!(unannounced(hook), Some(413));

    assert_eq!(
        small.app(GOOD).unwrap(),
        serde_json::Value::Null,
        "nobody who knows the secret has said anything yet"
    );
    let (good, words) = http_send(hook, &signed(SECRET)).unwrap();
    assert_eq!(good, 202, "{words}");
    small.until_deployed(GOOD, IMAGE).unwrap();

    // Whoever never gets done is let go.
    slow.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(!rest.contains(" 202 "), "{rest}");
    all_is_well(&mut small);
}

/// Sends 100 MiB in pieces, without saying so beforehand, for as long as
/// somebody listens; answers the status, if one came.
fn unannounced(hook: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect(hook).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let head = format!(
        "POST /hook HTTP/1.1\r\nHost: amid\r\nConnection: close\r\n\
         X-Hub-Signature-256: sha256={}\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0".repeat(64)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut piece = b"10000\r\n".to_vec();
    piece.resize(piece.len() + 0x10000, b'x');
    piece.extend(b"\r\n");
    let mut sent = 0;
    while sent < 100 << 20 && stream.write_all(&piece).is_ok() {
        sent += 0x10000;
    }
    assert!(sent < 100 << 20, "all of it was taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn ten_thousand_requests_do_not_keep_an_app_from_its_deployment() {
    let (mut small, _remote, hook) = world();
    small.push(&good(), "Add an app").unwrap();
    let (true_one, forged) = (signed(SECRET), signed("wrong horse"));
    let counted = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut counts: BTreeMap<u16, u32> = BTreeMap::new();
                    for number in 0..1_250 {
                        let request = if number % 2 == 0 { &true_one } else { &forged };
                        let status = http_send(hook, request).map_or(0, |(status, _)| status);
                        *counts.entry(status).or_default() += 1;
                    }
                    counts
                })
            })
            .collect();
        small.until_deployed(GOOD, IMAGE).unwrap();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .fold(BTreeMap::new(), |mut sum: BTreeMap<u16, u32>, counts| {
                for (status, count) in counts {
                    *sum.entry(status).or_default() += count;
                }
                sum
            })
    });
    let of = |status| counted.get(&status).copied().unwrap_or_default();
    assert!(of(202) >= 1 && of(401) >= 1, "{counted:?}");
    assert!(
        of(429) > of(202) + of(401),
        "most were not even looked at: {counted:?}"
    );
    assert_eq!(
        of(202) + of(401) + of(429),
        10_000,
        "every one was answered: {counted:?}"
    );
    all_is_well(&mut small);
}
