//! A small HTTP client: one connection that can be looked after, or one for a
//! single request.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Why there was no answer.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A connection that is kept.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, address })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, Failure> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(path)
            .header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let answer = self
            .sender
            .send_request(request.body(Full::new(body.into()))?);
        let (head, body) = answer.await?.into_parts();
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

/// A GET on a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> Result<Reply, Failure> {
    send(address, "GET", path, &[], "").await
}

/// A request on a connection of its own.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Reply, Failure> {
    let mut connection = Connection::open(address).await?;
    connection.send(method, path, headers, body).await
}

/// A request with a JSON body on a connection of its own.
pub async fn send_json(address: SocketAddr, method: &str, path: &str, body: Value) -> Reply {
    let headers = [("content-type", "application/json")];
    let reply = send(address, method, path, &headers, body.to_string()).await;
    reply.expect("an answer")
}

/// Reads the whole list, page by page.
pub async fn read_all(address: SocketAddr, limit: usize) -> Vec<Value> {
    let mut path = format!("/todos?limit={limit}");
    let mut todos = Vec::new();
    loop {
        let reply = get(address, &path).await.expect("an answer");
        assert_eq!(reply.status, 200, "{}", reply.text());
        todos.extend(reply.json().as_array().expect("a list").iter().cloned());
        let link = reply.header("link");
        let Some(next) = link.split(['<', '>']).nth(1) else {
            return todos;
        };
        let path_of = next.splitn(4, '/').nth(3).expect("an absolute address");
        path = format!("/{path_of}");
    }
}
