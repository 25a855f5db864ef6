//! Fetch and push over git's own protocol: a small HTTP server on loopback hands requests to `git http-backend`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::push::{PATH, revert};
use super::*;
use crate::git::{FetchError, Pushed};

/// The token that the server wants, if any: `x-access-token:s3cret` in base64.
const EXPECTED: &str = "authorization: basic eC1hY2Nlc3MtdG9rZW46czNjcmV0";

pub(super) struct Server {
    pub(super) url: String,
    stop: Arc<AtomicBool>,
    address: std::net::SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(world: &World, guarded: bool) -> Self {
        world
            .origin
            .config()
            .unwrap()
            .set_bool("http.receivepack", true)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (root, stop) = (
            world.dir.path().to_owned(),
            Arc::new(AtomicBool::new(false)),
        );
        let ended = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up is its own matter.
                let _ = answer(stream.unwrap(), &root, guarded);
            }
        });
        Self {
            url: format!("http://{address}/origin.git"),
            stop,
            address,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn answer(stream: TcpStream, root: &Path, guarded: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(first) = lines.first() else {
        return Ok(());
    };
    let header = |name: &str| {
        let found = lines
            .iter()
            .find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
        found
            .map(|line| line[name.len() + 1..].trim().to_owned())
            .unwrap_or_default()
    };
    let mut body = Vec::new();
    if header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).unwrap();
            reader.by_ref().take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else {
        let size = header("content-length").parse().unwrap_or(0);
        reader.by_ref().take(size).read_to_end(&mut body)?;
    }
    let mut stream = stream;
    let known = lines.iter().any(|line| line.eq_ignore_ascii_case(EXPECTED));
    if guarded && !known {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refusal.as_bytes());
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("REMOTE_USER", "amid")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&body)?;
    let output = child.wait_with_output()?.stdout;
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK")
        .to_owned();
    let rest = output.get(end + 4..).unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    stream.write_all(rest)
}

fn mirror_of(world: &World, server: &Server, credentials: Credentials) -> Mirror {
    let remote = Remote {
        credentials,
        ..remote(&server.url)
    };
    Mirror::open(&world.dir.path().join("state"), remote).unwrap()
}

fn hook(world: &World, name: &str, script: &str) {
    let hook = world.path().join("hooks").join(name);
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, script).unwrap();
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
}

fn two_commits(world: &World) -> Oid {
    world.commit(&[(PATH, text("old"))]);
    world.commit(&[(PATH, text("new"))])
}

#[test]
fn commits_arrive_and_leave_over_http() {
    let world = World::new();
    let server = Server::start(&world, false);
    let mirror = mirror_of(&world, &server, Credentials::None);
    assert!(matches!(mirror.fetch(), Err(FetchError::Empty { .. })));
    let head = two_commits(&world);
    assert_eq!(mirror.fetch().unwrap(), head);
    assert_eq!(mirror.fetch().unwrap(), head);
    let Pushed::Done(commit) = mirror.commit_and_push(revert(head)).unwrap() else {
        panic!("not pushed")
    };
    assert_eq!(world.main(), Some(commit));
    assert_eq!(mirror.fetch().unwrap(), commit);
    world.point("other", commit);
    world
        .origin
        .find_reference("refs/heads/main")
        .unwrap()
        .delete()
        .unwrap();
    assert!(matches!(
        mirror.fetch(),
        Err(FetchError::BranchMissing { .. })
    ));
}

#[test]
fn a_server_whose_branch_moved_or_was_rewound_is_left_alone() {
    let world = World::new();
    let server = Server::start(&world, false);
    let mirror = mirror_of(&world, &server, Credentials::None);
    let head = two_commits(&world);
    mirror.fetch().unwrap();
    let newer = world.commit(&[(PATH, text("newer"))]);
    assert_eq!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Moved(Some(newer))
    );
    let before = world
        .origin
        .find_commit(head)
        .unwrap()
        .parent_id(0)
        .unwrap();
    world.point("main", before);
    assert_eq!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Moved(Some(before))
    );
    assert_eq!(world.main(), Some(before));
}

#[test]
fn a_hook_that_refuses_the_branch_gets_the_commit_beside_it() {
    let world = World::new();
    let server = Server::start(&world, false);
    let mirror = mirror_of(&world, &server, Credentials::None);
    let head = two_commits(&world);
    mirror.fetch().unwrap();
    hook(
        &world,
        "update",
        "#!/bin/sh\ncase $1 in refs/heads/main) echo protected; exit 1;; esac\n",
    );
    let first = mirror.commit_and_push(revert(head)).unwrap();
    let Pushed::Refused {
        reason,
        branch: Some(branch),
    } = &first
    else {
        panic!("{first:?}")
    };
    assert!(reason.contains("hook"), "{reason}");
    assert_eq!(world.main(), Some(head));
    let made = world
        .origin
        .refname_to_id(&format!("refs/heads/{branch}"))
        .unwrap();
    assert_eq!(
        world
            .origin
            .find_commit(made)
            .unwrap()
            .parent_id(0)
            .unwrap(),
        head
    );
    // Tried again later, as a level-triggered caller does.
    let again = super::super::Change {
        at: "2027-01-01T00:00:00Z".parse().unwrap(),
        ..revert(head)
    };
    assert_eq!(mirror.commit_and_push(again).unwrap(), first);
    // A server that refuses everything.
    hook(&world, "pre-receive", "#!/bin/sh\nexit 1\n");
    let other = super::super::Change {
        content: b"other".to_vec(),
        ..revert(head)
    };
    let refused = mirror.commit_and_push(other).unwrap();
    assert!(
        matches!(refused, Pushed::Refused { branch: None, .. }),
        "{refused:?}"
    );
}

#[test]
fn the_token_is_read_at_each_use_and_a_wrong_one_is_never_shown() {
    let world = World::new();
    let head = two_commits(&world);
    let server = Server::start(&world, true);
    let file = world.dir.path().join("token");
    let mirror = mirror_of(&world, &server, Credentials::TokenFile(file.clone()));
    assert!(
        matches!(mirror.fetch(), Err(FetchError::Auth { .. })),
        "without a file"
    );
    fs::write(&file, "wr0ng-t0ken\n").unwrap();
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, FetchError::Auth { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
    fs::write(&file, "s3cret\n").unwrap();
    assert_eq!(mirror.fetch().unwrap(), head);
    assert!(matches!(
        mirror.commit_and_push(revert(head)).unwrap(),
        Pushed::Done(_)
    ));
    let bare = mirror_of(&world, &server, Credentials::None);
    let error = bare.fetch().unwrap_err();
    assert!(error.to_string().contains("token_file"), "{error}");
}

#[test]
fn a_server_that_never_answers_is_given_up_and_reading_goes_on() {
    let world = World::new();
    let head = two_commits(&world);
    let state = world.dir.path().join("state");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/origin.git", listener.local_addr().unwrap());
    let mut remote = remote(&url);
    remote.limits.time = Duration::from_millis(50);
    // Objects from an earlier address are still objects.
    world.mirror().fetch().unwrap();
    let mirror = Mirror::open(&state, remote).unwrap();
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert_eq!(mirror.manifests(head).unwrap().files.len(), 1);
    // However long it goes on, the number of waiting threads is bounded.
    let errors: Vec<_> = (0..10).map(|_| mirror.fetch().unwrap_err()).collect();
    assert!(
        matches!(errors.last(), Some(FetchError::Other(_))),
        "{errors:?}"
    );
}

#[test]
fn nobody_listening_is_unreachable() {
    let world = World::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mirror = Mirror::open(
        &world.dir.path().join("state"),
        remote(&format!("http://127.0.0.1:{port}/r")),
    )
    .unwrap();
    let error = mirror.fetch().unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
}
