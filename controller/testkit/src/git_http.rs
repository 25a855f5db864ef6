//! A git server for reading, by HTTP on loopback.
//!
//! It hands each request to `git upload-pack` and can be told to trickle: then every answer begins and never
//! ends, a byte at a time. Tests use it where the repository must not be a folder whose files can be watched.
//! It serves one repository, to everybody, and takes no pushes.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{Request, Response, StatusCode, body::Frame, body::Incoming};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::server::{Body, Server, answer};

const SERVICE: &str = "git-upload-pack";
/// The time between two bytes of a trickle.
const DRIP: Duration = Duration::from_millis(500);

/// A running git server; it stops when dropped.
#[derive(Debug)]
pub struct GitHttp {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    repository: PathBuf,
    trickles: AtomicBool,
    trickled: AtomicU64,
}

impl GitHttp {
    /// Serves a repository on a free loopback port.
    pub fn start(repository: &Path) -> Result<GitHttp> {
        let inner = Arc::new(Inner {
            repository: repository.to_owned(),
            trickles: AtomicBool::new(false),
            trickled: AtomicU64::new(0),
        });
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move {
                    Ok(inner.serve(request).await.unwrap_or_else(|error| {
                        let text = format!("{error:#}");
                        answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
                    }))
                }
            }
        };
        Ok(GitHttp {
            server: Server::start("git-http", handler, async {})?,
            inner,
        })
    }

    /// The repository's URL.
    pub fn url(&self) -> String {
        format!("http://{}/repository.git", self.server.addr())
    }

    /// From now on every answer trickles, or none does.
    pub fn trickle(&self, trickles: bool) {
        self.inner.trickles.store(trickles, Ordering::SeqCst);
    }

    /// How many answers have trickled.
    pub fn trickled(&self) -> u64 {
        self.inner.trickled.load(Ordering::SeqCst)
    }
}

impl Inner {
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        if self.trickles.load(Ordering::SeqCst) {
            self.trickled.fetch_add(1, Ordering::SeqCst);
            return Ok(trickle());
        }
        let uri = request.uri();
        let asks = uri.query() == Some("service=git-upload-pack");
        if uri.path().ends_with("/info/refs") && asks {
            let refs = self.upload_pack(&["--advertise-refs"], Bytes::new());
            let mut body = BytesMut::from("001e# service=git-upload-pack\n0000");
            body.extend_from_slice(&refs.await?);
            let kind = "application/x-git-upload-pack-advertisement";
            return Ok(answer(StatusCode::OK, kind, body));
        }
        if uri.path().ends_with(SERVICE) {
            let body = request.into_body().collect().await;
            let body = body.context("Failed to read a request")?.to_bytes();
            let pack = self.upload_pack(&[], body).await?;
            let kind = "application/x-git-upload-pack-result";
            return Ok(answer(StatusCode::OK, kind, pack));
        }
        Ok(answer(
            StatusCode::NOT_FOUND,
            "text/plain",
            "there is only a repository to be fetched from\n",
        ))
    }

    async fn upload_pack(&self, flags: &[&str], input: Bytes) -> Result<Vec<u8>> {
        let mut child = Command::new("git")
            .args(["upload-pack", "--stateless-rpc"])
            .args(flags)
            .arg(&self.repository)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("Failed to start git")?;
        let mut stdin = child.stdin.take().context("git has no input")?;
        stdin
            .write_all(&input)
            .await
            .context("Failed to write to git")?;
        drop(stdin);
        let output = child
            .wait_with_output()
            .await
            .context("Failed to wait for git")?;
        Ok(output.stdout)
    }
}

fn trickle() -> Response<Body> {
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(DRIP).await;
        Some((
            Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"0"))),
            (),
        ))
    });
    let mut response = Response::new(StreamBody::new(drops).boxed_unsync());
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/x-git-upload-pack-advertisement"),
    );
    response
}
