use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amid_core::manifest::Seconds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives each connection the next of `answers`, the last one
/// again and again. An empty answer hangs up, `wait` says nothing at all.
async fn server(answers: Vec<String>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let number = count.fetch_add(1, Ordering::SeqCst);
            let answer = answers[number.min(answers.len() - 1)].clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                if answer == "wait" {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (format!("http://{address}/set"), asked)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn gate(url: String, retries: u32) -> Gate {
    Gate {
        url,
        timeout: Seconds(1),
        retries,
    }
}

async fn said(answers: Vec<String>, retries: u32) -> (String, usize) {
    let (url, asked) = server(answers).await;
    let said = match Gates::new().unwrap().ask(&gate(url, retries)).await {
        GateFact::Closed { said } => said,
        other => format!("{other:?}"),
    };
    (said, asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_yes_is_any_2xx_and_a_no_says_what_it_answered() {
    for (status, body, expected) in [
        ("200 OK", "fine", "Open"),
        ("204 No Content", "", "Open"),
        (
            "503 Service Unavailable",
            "\n  2 of 3 members\u{7} are healthy\nmore",
            "503 2 of 3 members are healthy",
        ),
        ("404 Not Found", "", "404"),
        ("304 Not Modified", "", "304, to another host or too often"),
    ] {
        let (said, asked) = said(vec![answer(status, body)], 3).await;
        assert_eq!((said.as_str(), asked), (expected, 1), "{status}");
    }
}

#[tokio::test]
async fn silence_is_asked_again_and_is_a_no_in_the_end() {
    let fine = answer("200 OK", "");
    let (first, asked) = said(vec![String::new(), fine], 1).await;
    assert_eq!((first.as_str(), asked), ("Open", 2));
    let (never, asked) = said(vec![String::new()], 1).await;
    assert!(!never.contains("http://"), "{never}");
    assert_eq!(asked, 2, "{never}");
    let (late, _) = said(vec!["wait".to_owned()], 0).await;
    assert_eq!(late, "no answer in time");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let (elsewhere, asked) = server(vec![answer("200 OK", "")]).await;
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let away = format!(
        "HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (away, _) = said(vec![away], 0).await;
    assert_eq!(away, "302, to another host or too often");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let here =
        "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (here, asked) = said(vec![here.to_owned(), answer("200 OK", "")], 0).await;
    assert_eq!((here.as_str(), asked), ("Open", 2));
}

#[tokio::test]
async fn an_endless_answer_is_read_no_further_than_a_sentence() {
    let long = "x".repeat(4 << 20);
    let (said, _) = said(vec![answer("500 Oops", &long)], 0).await;
    assert_eq!(said.len(), "500 ".len() + SHOWN);
}
