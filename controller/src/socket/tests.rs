use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::client::Client;

/// A daemon of which only the socket is real.
struct Daemon {
    _dir: tempfile::TempDir,
    path: PathBuf,
    commands: mpsc::Receiver<Asked>,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

async fn daemon() -> Daemon {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("amid.sock");
    let (sender, commands) = mpsc::channel(4);
    let (_, status) = watch::channel(Arc::new(Status {
        version: "1.2.3".to_owned(),
        ..Status::default()
    }));
    let handlers = Handlers {
        status,
        images: crate::cleanup::Handle::off(),
        history: Arc::new(|asked| {
            // More than was asked for, to see that it is cut.
            (0..=asked.limit)
                .map(|n| json!({ "n": n, "app": asked.app }))
                .collect()
        }),
        plan: Arc::new(|asked| {
            Box::pin(async move {
                match asked.app {
                    Some(app) => Ok(json!({ "app": app, "commands": asked.commands })),
                    None => Err("the repository has not been read yet".to_owned()),
                }
            })
        }),
        commands: sender,
    };
    let listener = bind(&path).await.expect("the folder is empty");
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, handlers, stop.clone()));
    Daemon {
        _dir: dir,
        path,
        commands,
        stop,
        server,
    }
}

impl Daemon {
    fn client(&self) -> Client {
        Client::new(&self.path)
    }

    /// Sends `command` and answers it as the loop would.
    async fn round_trip(
        &mut self,
        command: Command,
        answer: Result<&str, &str>,
    ) -> (Command, Result<String>) {
        let client = self.client();
        let asking = tokio::spawn(async move { client.command(&command).await });
        let (got, back) = self.commands.recv().await.expect("a command");
        back.send(answer.map(str::to_owned).map_err(str::to_owned))
            .expect("it waits");
        (got, asking.await.expect("no panic"))
    }

    async fn stop(self) {
        self.stop.cancel();
        self.server.await.expect("no panic");
    }
}

fn nobody() -> String {
    "not sent".to_owned()
}

#[tokio::test]
async fn commands_reach_the_loop_with_the_user_that_the_kernel_names() {
    let mut daemon = daemon().await;
    let me = user::name(rustix::process::getuid().as_raw()).await;
    let until: Timestamp = "2026-11-30T08:00:00Z".parse().expect("a time");
    let cases = [
        (
            Command::Reconcile {
                app: Some("demo/todo".to_owned()),
            },
            Command::Reconcile {
                app: Some("demo/todo".to_owned()),
            },
        ),
        (
            Command::Reconcile { app: None },
            Command::Reconcile { app: None },
        ),
        (
            Command::Approve {
                hold: "todo-1f".to_owned(),
                user: nobody(),
            },
            Command::Approve {
                hold: "todo-1f".to_owned(),
                user: me.clone(),
            },
        ),
        (
            Command::Suspend {
                app: "demo/todo".to_owned(),
                reason: "Black Friday & more = 100 %".to_owned(),
                until: Some(until),
                user: nobody(),
            },
            Command::Suspend {
                app: "demo/todo".to_owned(),
                reason: "Black Friday & more = 100 %".to_owned(),
                until: Some(until),
                user: me.clone(),
            },
        ),
        (
            Command::Resume {
                app: "demo/todo".to_owned(),
                user: nobody(),
            },
            Command::Resume {
                app: "demo/todo".to_owned(),
                user: me,
            },
        ),
    ];
    for (sent, want) in cases {
        let (got, answer) = daemon.round_trip(sent, Ok("done")).await;
        assert_eq!(got, want);
        assert_eq!(answer.expect("the loop agreed"), "done");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_refusal_comes_back_as_the_loops_own_sentence() {
    let mut daemon = daemon().await;
    let command = Command::Approve {
        hold: "gone".to_owned(),
        user: nobody(),
    };
    let (_, answer) = daemon
        .round_trip(command, Err("there is no hold `gone`"))
        .await;
    let error = answer.expect_err("refused");
    assert_eq!(error.to_string(), "there is no hold `gone`");
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_no_command_never_reaches_the_loop() {
    let mut daemon = daemon().await;
    let command = Command::Resume {
        app: "Not An App".to_owned(),
        user: nobody(),
    };
    let error = daemon
        .client()
        .command(&command)
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("not an app name"), "{error}");
    for (request, want) in [
        ("GET /reconcile", "405"),
        ("POST /status", "405"),
        ("GET /", "404"),
        ("POST /approve", "400"),
    ] {
        let mut peer = UnixStream::connect(&daemon.path).await.expect("it listens");
        peer.write_all(format!("{request} HTTP/1.1\r\nhost: amid\r\n\r\n").as_bytes())
            .await
            .expect("it reads");
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.expect("an answer");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {want} ")),
            "{request}: {answer}"
        );
        assert!(answer.contains(r#"{"error":""#), "{request}: {answer}");
    }
    assert!(daemon.commands.try_recv().is_err());
    daemon.stop().await;
}

#[tokio::test]
async fn status_history_and_plan_are_answered() {
    let daemon = daemon().await;
    let client = daemon.client();
    assert_eq!(client.status().await.expect("a status").version, "1.2.3");

    let entries = client
        .history(Some("demo/todo"), Some(3))
        .await
        .expect("entries");
    let numbers: Vec<_> = entries.iter().map(|entry| entry["n"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)], "the newest three");
    assert_eq!(entries[0]["app"], "demo/todo");

    let plan = client.plan(Some("todo"), true).await.expect("a plan");
    assert_eq!(plan, json!({ "app": "todo", "commands": true }));
    let error = client.plan(None, false).await.expect_err("not yet");
    assert_eq!(error.to_string(), "the repository has not been read yet");
    daemon.stop().await;
}

#[tokio::test]
async fn commands_that_pile_up_are_refused_and_a_dead_loop_is_named() {
    let mut daemon = daemon().await;
    let reconcile = Command::Reconcile { app: None };
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let client = daemon.client();
        let command = reconcile.clone();
        waiting.push(tokio::spawn(async move { client.command(&command).await }));
    }
    // The channel has room for four; the fifth comes when they are in it.
    while daemon.commands.len() < 4 {
        tokio::task::yield_now().await;
    }
    let error = daemon.client().command(&reconcile).await.expect_err("full");
    assert!(error.to_string().contains("too many commands"), "{error}");

    // The loop ends with the commands unanswered.
    daemon.commands.close();
    while daemon.commands.recv().await.is_some() {}
    for asked in waiting {
        let error = asked.await.expect("no panic").expect_err("no loop");
        assert_eq!(error.to_string(), "the daemon is stopping");
    }
    let error = daemon
        .client()
        .command(&reconcile)
        .await
        .expect_err("closed");
    assert_eq!(error.to_string(), "the daemon is stopping");
    daemon.stop().await;
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_a_second_daemon_is_refused() {
    let daemon = daemon().await;
    let mode = std::fs::metadata(&daemon.path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let error = bind(&daemon.path).await.expect_err("taken");
    assert!(error.to_string().contains("Another amid"), "{error}");
    // The first one has not been harmed.
    daemon.client().status().await.expect("a status");
    daemon.stop().await;
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("amid.sock");
    drop(bind(&path).await.expect("the folder is empty"));
    assert!(path.exists(), "the file outlives its listener");
    drop(bind(&path).await.expect("nobody listens any more"));

    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "mine").expect("written");
    let error = bind(&file).await.expect_err("no socket");
    assert!(error.to_string().contains("is not a socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "mine");
}

#[tokio::test]
async fn without_a_daemon_the_client_says_how_to_start_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("amid.sock");
    let wants = "start it with `amid run --config …`";
    let missing = Client::new(&path).status().await.expect_err("no socket");
    assert!(missing.to_string().contains(wants), "{missing}");
    assert!(missing.to_string().contains("amid.sock"), "{missing}");

    drop(bind(&path).await.expect("the folder is empty"));
    let stale = Client::new(&path).status().await.expect_err("stale");
    assert!(stale.to_string().contains(wants), "{stale}");
}

#[tokio::test]
async fn a_daemon_that_breaks_off_or_talks_nonsense_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    for (n, (answer, want)) in [
        ("", "broke off"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{]",
            "another version",
        ),
        (
            "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n",
            "without saying why",
        ),
        ("SSH-2.0-nope\r\n", "broke off"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = dir.path().join(format!("{n}.sock"));
        let listener = bind(&path).await.expect("the folder is empty");
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a peer");
            let mut head = [0; 1024];
            let _ = peer.read(&mut head).await;
            peer.write_all(answer.as_bytes()).await.expect("it reads");
        });
        let error = Client::new(&path).status().await.expect_err("nonsense");
        let error = format!("{error:#}");
        assert!(error.contains(want), "{answer:?}: {error}");
        server.await.expect("no panic");
    }
}
