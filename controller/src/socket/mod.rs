//! The unix socket that the command line talks to: HTTP/1.1, one request a
//! connection.
//!
//! Whoever may open the socket may command the daemon, so its file mode is the
//! access control; the kernel says which user it is, and the journal records
//! that name. Reading is answered from the [`Status`] snapshot and from
//! functions that the caller brings; what changes something becomes a
//! [`Command`] for the loop, whose sentence is the answer. A request has no
//! body: all of it stands in path and query.

mod group;
mod images;
mod query;
#[cfg(test)]
mod tests;
mod user;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::status::{Asked, Command, Status};
pub use group::give_to;
use query::Query;
pub use query::{HistoryQuery, PlanQuery};

/// Reads the journal: at most `limit` entries, the newest last. It may block.
pub type History = Arc<dyn Fn(&HistoryQuery) -> Vec<Value> + Send + Sync>;

/// Says what a pass would do now, or a sentence that says why it cannot.
pub type Plan = Arc<dyn Fn(PlanQuery) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// What answers the requests.
#[derive(Clone)]
pub struct Handlers {
    /// The snapshot.
    pub status: watch::Receiver<Arc<Status>>,
    /// The journal.
    pub history: History,
    /// The dry run.
    pub plan: Plan,
    /// Clean-up.
    pub images: crate::cleanup::Handle,
    /// The way to the loop.
    pub commands: mpsc::Sender<Asked>,
}

/// Connections at once.
const CONNECTIONS: usize = 32;
/// For a request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// For the loop's answer to a command. It answers between two looks.
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// For a dry run, which may look at AWS.
const PLAN_TIME: Duration = Duration::from_secs(120);
/// For a connection, whatever it does.
const CONNECTION_TIME: Duration = Duration::from_secs(180);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// Binds the socket at `path`, for its owner and group. A socket that nobody
/// listens on any more is replaced.
///
/// # Errors
///
/// A daemon listens there, or something else than a socket stands there.
pub async fn bind(path: &Path) -> Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let shown = path.display();
    match tokio::fs::symlink_metadata(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("Failed to look at `{shown}`")),
        Ok(file) if !file.file_type().is_socket() => {
            bail!("`{shown}` is not a socket: move it away, amid puts its socket there")
        }
        Ok(_) => {
            let answered = tokio::time::timeout(HEAD_TIME, UnixStream::connect(path)).await;
            if !matches!(&answered, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
            {
                bail!(
                    "Another amid listens on `{shown}`: stop it first, or give this one a `state_dir` of its own"
                );
            }
            tokio::fs::remove_file(path)
                .await
                .with_context(|| format!("Failed to remove the stale socket `{shown}`"))?;
        }
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("Failed to listen on `{shown}`"))?;
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .await
        .with_context(|| format!("Failed to set the mode of `{shown}`"))?;
    Ok(listener)
}

/// Serves on `listener` until `stop`, then lets what is being answered end
/// for at most one second. The socket's file stays: the next start replaces
/// it.
pub async fn serve(listener: UnixListener, handlers: Handlers, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection on the socket");
                // Without file descriptors this fails at once, again and again.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let handlers = handlers.clone();
        connections.spawn(async move {
            let _permit = permit;
            let served = connection(stream, handlers);
            if tokio::time::timeout(CONNECTION_TIME, served).await.is_err() {
                tracing::debug!("a connection on the socket took too long");
            }
        });
    }
    connections.close();
    let _ = tokio::time::timeout(Duration::from_secs(1), connections.wait()).await;
}

async fn accept(
    listener: &UnixListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(stream: UnixStream, handlers: Handlers) {
    let uid = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "failed to learn who opened the socket");
            return;
        }
    };
    let service = service_fn(move |request| {
        let handlers = handlers.clone();
        async move { Ok::<_, Infallible>(handlers.answer(request, uid).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .max_headers(32)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection on the socket broke");
    }
}

/// An answer that is not the one hoped for.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Handlers {
    async fn answer(&self, request: Request<Incoming>, uid: u32) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let method = request.method();
        let expected = match path {
            "/status" | "/history" | "/plan" | "/images" | "/why" => Method::GET,
            "/reconcile" | "/approve" | "/suspend" | "/resume" | "/gc" => Method::POST,
            _ => {
                let text = format!("this amid knows no `{}`", path.escape_debug());
                return respond(Err(Refusal(StatusCode::NOT_FOUND, text)));
            }
        };
        if *method != expected {
            let text = format!("`{path}` takes a {expected}");
            let mut answer = respond(Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, text)));
            if let Ok(value) = HeaderValue::from_str(expected.as_str()) {
                answer.headers_mut().insert(ALLOW, value);
            }
            return answer;
        }
        let query = request.uri().query().unwrap_or("");
        respond(self.ask(path, query, uid).await)
    }

    async fn ask(&self, path: &str, query: &str, uid: u32) -> Result<Vec<u8>, Refusal> {
        let bad = |text| Refusal(StatusCode::BAD_REQUEST, text);
        match path {
            "/status" => {
                Query::parse(query, &[]).map_err(bad)?;
                let status = self.status.borrow().clone();
                json_text(&*status)
            }
            "/history" => {
                let asked = HistoryQuery::parse(query).map_err(bad)?;
                let history = Arc::clone(&self.history);
                let entries = tokio::task::spawn_blocking(move || {
                    let mut entries = history(&asked);
                    let surplus = entries.len().saturating_sub(asked.limit);
                    entries.drain(..surplus);
                    json_text(&entries)
                });
                entries.await.map_err(broken)?
            }
            "/plan" => {
                let asked = PlanQuery::parse(query).map_err(bad)?;
                match tokio::time::timeout(PLAN_TIME, (self.plan)(asked)).await {
                    Ok(Ok(planned)) => json_text(&planned),
                    Ok(Err(text)) => Err(Refusal(StatusCode::CONFLICT, text)),
                    Err(_) => Err(late("looking took more than two minutes, try again")),
                }
            }
            "/images" | "/why" => self.images(path, query),
            "/gc" => done(self.clean_up(query, uid).await?),
            _ => {
                let user = user::name(uid).await;
                let command = query::command(path, query, user).map_err(bad)?;
                done(self.command(command).await?)
            }
        }
    }

    async fn command(&self, command: Command) -> Result<String, Refusal> {
        tracing::info!(?command, "asked by command");
        let (back, answer) = oneshot::channel();
        self.commands.try_send((command, back)).map_err(|error| {
            late(match error {
                mpsc::error::TrySendError::Full(_) => {
                    "too many commands are waiting, try again in a moment"
                }
                mpsc::error::TrySendError::Closed(_) => "the daemon is stopping",
            })
        })?;
        match tokio::time::timeout(COMMAND_TIME, answer).await {
            Ok(Ok(answer)) => answer.map_err(|text| Refusal(StatusCode::CONFLICT, text)),
            Ok(Err(_)) => Err(late("the daemon is stopping")),
            Err(_) => Err(late(
                "the daemon took the command, but has not answered for a minute: `amid status` shows what it does",
            )),
        }
    }
}

fn late(text: &str) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    tracing::warn!(%error, "failed to answer on the socket");
    Refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the daemon failed to answer, its log says why".to_owned(),
    )
}

/// An answer as it is sent. It never becomes a [`Value`] on the way: that of a
/// thousand apps would take ten times the memory of its text.
fn json_text(answer: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(answer).map_err(broken)
}

/// What was done for a person, in words.
fn done(words: String) -> Result<Vec<u8>, Refusal> {
    json_text(&json!({ "ok": words }))
}

fn respond(answer: Result<Vec<u8>, Refusal>) -> Response<Full<Bytes>> {
    let (code, text) = match answer {
        Ok(text) => (StatusCode::OK, text),
        Err(Refusal(code, text)) => (code, json!({ "error": text }).to_string().into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
