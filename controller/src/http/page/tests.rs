//! The page over HTTP, in process: what is in it without a script, and what
//! its watchers are sent.

use std::time::Duration;

use amid_core::decide::Phase;
use amid_core::history::{Event, Outcome};
use amid_core::model::{AmiId, CommitId, ReleaseKey};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use salvo::http::HeaderMap;
use salvo::test::{ResponseExt, TestClient};
use serde_json::Value;

mod images;

use super::live::WATCHERS;
use super::*;
use crate::http::server;
use crate::status::{App, Desired, Instance, Release, Repository, Role, Sentence, Trial};

/// Short, so that nobody waits; nothing here depends on it.
const PACE: Duration = Duration::from_millis(20);
const HOSTILE: &str = "</bdi><script>alert('x')</script>\" onload=\"alert(2)";

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time")
}

fn instance(number: u32, target: &str) -> Instance {
    Instance {
        id: format!("i-{number:017x}"),
        lifecycle: "InService".to_owned(),
        target: Some(target.to_owned()),
        healthy: target == "healthy",
    }
}

fn release(key: &str, role: Role, targets: &[&str]) -> Release {
    let instances: Vec<Instance> = (1..).zip(targets).map(|(n, t)| instance(n, t)).collect();
    let healthy = instances.iter().filter(|one| one.healthy).count();
    Release {
        key: key.to_owned(),
        ami: Some("ami-0f3a9c2b7d1e48a60".to_owned()),
        group: format!("group-{key}"),
        desired: 3,
        healthy: u32::try_from(healthy).expect("few"),
        instances,
        role,
        ..Release::default()
    }
}

fn rolling() -> App {
    let mut coming = release("bbbbbbbbbb", Role::Coming, &["healthy", "initial"]);
    coming.trial = Some(Trial {
        required: 3,
        healthy_since: None,
        bake_until: None,
        bake_seconds: 600,
        timeout_at: Some(now() + Duration::from_secs(300)),
        timeout_seconds: 900,
    });
    let mut history = amid_core::history::deployments::Deployments::default();
    let commit = CommitId::parse(&"c".repeat(40)).expect("a commit");
    history.record(
        &Event::Asked {
            commit: commit.clone(),
            key: ReleaseKey::parse("bbbbbbbbbb").ok(),
            ami: AmiId::parse("ami-0f3a9c2b7d1e48a60").ok(),
            committed: None,
            author: Some(HOSTILE.to_owned()),
            subject: Some(HOSTILE.to_owned()),
        },
        now(),
    );
    history.record(
        &Event::Ended {
            commit,
            outcome: Outcome::FailedReverted,
            why: Some(HOSTILE.to_owned()),
        },
        now(),
    );
    App {
        owner: Some(HOSTILE.to_owned()),
        desired: Some(Desired {
            key: "bbbbbbbbbb".to_owned(),
            ami: "ami-0f3a9c2b7d1e48a60".to_owned(),
            version: Some(HOSTILE.to_owned()),
            committed: None,
            commit: "c".repeat(40),
            subject: Some(HOSTILE.to_owned()),
            author: Some(HOSTILE.to_owned()),
        }),
        releases: vec![
            release(
                "aaaaaaaaaa",
                Role::Serving,
                &["healthy", "healthy", "healthy"],
            ),
            coming,
        ],
        state: Some(said("wait_healthy", &format!("waits {HOSTILE}"), None)),
        floor: Some(3),
        history,
        ..App::new("demo/web", Phase::Starting, now())
    }
}

fn held() -> App {
    App {
        held: vec![said(
            "suspended",
            "suspended by command: a `why`",
            Some("amid resume demo/shop"),
        )],
        releases: vec![release("aaaaaaaaaa", Role::Serving, &["healthy"])],
        ..App::new("demo/shop", Phase::Held, now())
    }
}

fn steady(name: &str) -> App {
    App {
        state: Some(said("as_desired", "runs ami-1, as git asks", None)),
        ..App::new(name, Phase::Steady, now())
    }
}

fn said(label: &str, text: &str, frees: Option<&str>) -> Sentence {
    Sentence {
        label: label.to_owned(),
        text: text.to_owned(),
        frees: frees.map(str::to_owned),
    }
}

fn fleet() -> Status {
    Status {
        swept: Some(now()),
        repository: Repository {
            url: "https://git.example/o/r.git".to_owned(),
            branch: "main".to_owned(),
            accepted: Some("d".repeat(40)),
            fetched: Some(now()),
            ..Repository::default()
        },
        apps: vec![held(), rolling(), steady("demo/api")],
        ..Status::default()
    }
}

/// The page over a snapshot that can be changed.
struct Served {
    status: watch::Sender<Arc<Status>>,
    service: Service,
    stop: CancellationToken,
}

impl Served {
    fn new(status: Status) -> Self {
        Self::with(status, Handle::off())
    }

    fn with(status: Status, cleanup: Handle) -> Self {
        let (status, receiver) = watch::channel(Arc::new(status));
        let stop = CancellationToken::new();
        let service = server::service(router(receiver, now, cleanup, PACE, stop.clone()));
        Self {
            status,
            service,
            stop,
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String, HeaderMap) {
        let mut answer = TestClient::get(format!("http://127.0.0.1{path}"))
            .send(&self.service)
            .await;
        let body = answer.take_string().await.unwrap_or_default();
        (
            answer.status_code.unwrap_or(StatusCode::OK),
            body,
            answer.headers().clone(),
        )
    }

    async fn version(&self) -> String {
        let (_, page, _) = self.get("/").await;
        let (_, rest) = page.split_once("data-version=\"").expect("a version");
        rest.split('"').next().expect("a version").to_owned()
    }

    async fn watch(&self, path: &str) -> Stream {
        let answer = TestClient::get(format!("http://127.0.0.1{path}"))
            .send(&self.service)
            .await;
        assert_eq!(
            answer.status_code.unwrap_or(StatusCode::OK),
            StatusCode::OK,
            "{path}"
        );
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let frames = answer.body.into_data_stream();
        let mut stream = Stream(Box::pin(frames.map(|frame| {
            String::from_utf8(frame.expect("a frame").to_vec()).expect("text")
        })));
        assert_eq!(stream.next().await.as_deref(), Some("retry: 3000\n\n"));
        stream
    }

    fn change(&self, change: impl FnOnce(&mut Status)) {
        self.status
            .send_modify(|status| change(Arc::make_mut(status)));
    }
}

struct Stream(std::pin::Pin<Box<dyn futures_util::Stream<Item = String> + Send>>);

impl Stream {
    /// The next chunk that is no heartbeat.
    async fn next(&mut self) -> Option<String> {
        loop {
            let chunk = self.0.next().await?;
            if chunk != ":\n\n" {
                return Some(chunk);
            }
        }
    }

    /// The pieces of the next event.
    async fn parts(&mut self) -> Value {
        let event = self.next().await.expect("an event");
        let data = event
            .strip_prefix("event: parts\n")
            .and_then(|rest| rest.split_once("\ndata: "))
            .unwrap_or_else(|| panic!("no pieces: {event}"))
            .1;
        let mut data: Value = serde_json::from_str(data.trim()).expect("JSON");
        data["parts"].take()
    }
}

#[tokio::test]
async fn all_is_there_without_a_script() {
    let served = Served::new(fleet());
    let (code, page, headers) = served.get("/").await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    for want in [
        "<b>3</b> Apps",
        "<b>1</b> Held",
        "<b>1</b> Rolling",
        "<b>5</b> of 9 instances healthy",
        "href=\"https://git.example/o/r/commit/dddd",
        "suspended by command: a <code>why</code>",
        "data-copy=\"amid resume demo/shop\"",
        "aria-current=\"step\">Healthy",
        "no step goes below 3",
        "given up unless healthy in <time class=\"until\" datetime=\"2023-11-14T22:18:20Z\">5 min</time>",
        "aria-label=\"1 of 3 instances are healthy\"",
        "class=\"due\"",
    ] {
        assert!(page.contains(want), "{want} is not in {page}");
    }
    let at = |app: &str| page.find(&format!("id=\"app-{app}\"")).expect(app);
    assert!(at("demo/shop") < at("demo/web") && at("demo/web") < at("demo/api"));
}

#[tokio::test]
async fn one_app_has_a_page_with_its_history_and_instances() {
    let served = Served::new(fleet());
    let (code, page, _) = served.get("/apps/demo/web").await;
    assert_eq!(code, StatusCode::OK);
    for want in [
        "failed and reverted",
        "i-00000000000000002",
        "group-aaaaaaaaaa",
        "there now",
    ] {
        assert!(page.contains(want), "{want} is not in {page}");
    }
    let (code, page, _) = served.get("/apps/%3Cscript%3E").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(
        page.contains("no app <code>&lt;script&gt;</code>"),
        "{page}"
    );
}

#[tokio::test]
async fn what_comes_from_git_and_aws_is_text_and_nothing_else() {
    let served = Served::new(fleet());
    for path in ["/", "/apps/demo/web", "/?q=%22%3E%3Cscript%3E&show=%22%3E"] {
        let (_, page, headers) = served.get(path).await;
        assert!(page.contains("&lt;script&gt;"), "{path} shows none of it");
        let scripts: Vec<&str> = page.matches("<script").collect();
        assert_eq!(
            scripts.len(),
            1,
            "{path} has a script that is not ours: {page}"
        );
        assert!(!page.contains(" onload=\""), "{path}: {page}");
        assert!(
            !page.contains(" style="),
            "{path} has a style that the policy forbids"
        );
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
    }
}

#[tokio::test]
async fn the_address_filters_without_a_script() {
    let served = Served::new(fleet());
    let hidden = async |path: &str| -> Vec<String> {
        let (_, page, _) = served.get(path).await;
        page.split("<li class=\"app ")
            .skip(1)
            .filter(|item| {
                item.split('>')
                    .next()
                    .is_some_and(|tag| tag.ends_with(" hidden"))
            })
            .filter_map(|item| {
                Some(
                    item.split_once("id=\"app-")?
                        .1
                        .split('"')
                        .next()?
                        .to_owned(),
                )
            })
            .collect()
    };
    assert_eq!(hidden("/").await, Vec::<String>::new());
    assert_eq!(hidden("/?show=held").await, ["demo/web", "demo/api"]);
    assert_eq!(hidden("/?q=DEMO+BBBBBB").await, ["demo/shop", "demo/api"]);
    assert_eq!(
        hidden("/?show=steady&q=shop").await,
        ["demo/shop", "demo/web", "demo/api"]
    );
    // Unknown kinds are no filter.
    assert_eq!(hidden("/?show=purple").await, Vec::<String>::new());
}

#[tokio::test]
async fn files_are_told_apart_by_their_content() {
    let served = Served::new(Status::default());
    for (path, kind) in [
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let (code, body, headers) = served.get(path).await;
        assert_eq!((code, body.is_empty()), (StatusCode::OK, false), "{path}");
        assert_eq!(headers["content-type"], kind);
        let again = TestClient::get(format!("http://127.0.0.1{path}"))
            .add_header("if-none-match", headers["etag"].clone(), true)
            .send(&served.service)
            .await;
        assert_eq!(again.status_code, Some(StatusCode::NOT_MODIFIED), "{path}");
    }
}

#[tokio::test]
async fn a_change_is_sent_to_those_who_watch_and_only_what_changed() {
    let served = Served::new(fleet());
    let since = served.version().await;
    let mut all = served.watch(&format!("/events?since={since}")).await;
    let mut one = served
        .watch(&format!("/events?app=demo/api&since={since}"))
        .await;
    let mut other = served
        .watch(&format!("/events?app=demo/web&since={since}"))
        .await;

    served.change(|status| status.apps[2].running = Some("plan add".to_owned()));
    let parts = all.parts().await;
    let names: Vec<&String> = parts.as_object().expect("pieces").keys().collect();
    assert_eq!(names, ["head", "app-demo/api"]);
    let detail = one.parts().await;
    assert!(
        detail["detail"]
            .as_str()
            .is_some_and(|html| html.contains("demo/</span>api"))
    );

    // The same once more is no change; an app that goes is one.
    served.change(|_| {});
    served.change(|status| {
        status.apps.remove(2);
    });
    let parts = all.parts().await;
    assert!(
        parts["app-demo/api"].is_null() && parts.get("app-demo/api").is_some(),
        "{parts}"
    );
    let gone = one.next().await.expect("an event");
    assert!(gone.starts_with("event: resync\n"), "{gone}");

    served.change(|status| status.apps[1].floor = Some(2));
    assert!(other.parts().await["detail"].is_string());

    // With the daemon the streams end.
    served.stop.cancel();
    assert!(all.parts().await.get("app-demo/web").is_some());
    assert_eq!(
        (all.next().await, one.next().await, other.next().await),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_flood_of_changes_is_few_events_and_the_last_one_is_in_them() {
    let served = Served::new(fleet());
    let mut all = served
        .watch(&format!("/events?since={}", served.version().await))
        .await;
    for floor in 1..1000 {
        served.change(|status| status.apps[0].floor = Some(floor));
        tokio::task::yield_now().await;
    }
    served.change(|status| status.apps[0].owner = Some("the last".to_owned()));
    for events in 1.. {
        assert!(events < 200, "each change is an event of its own");
        let parts = all.parts().await;
        let shop = parts["app-demo/shop"].as_str().expect("the app");
        if shop.contains("the last") {
            break;
        }
    }
}

#[tokio::test]
async fn a_watcher_that_is_too_late_reads_the_page_again() {
    let served = Served::new(fleet());
    let mut quick = served
        .watch(&format!("/events?since={}", served.version().await))
        .await;
    let mut slow = served
        .watch(&format!("/events?since={}", served.version().await))
        .await;
    for floor in 10..30 {
        served.change(|status| status.apps[0].floor = Some(floor));
        quick.parts().await;
    }
    // Nothing was kept for it but the news that it is late.
    let event = slow.next().await.expect("an event");
    assert!(event.starts_with("event: resync\nid: "), "{event}");
    served.change(|status| status.apps[0].floor = Some(99));
    assert!(slow.parts().await.get("app-demo/shop").is_some());

    for since in [
        "",
        "?since=1.0",
        "?since=nonsense",
        "?since=99999999999999.1",
    ] {
        let mut stream = served.watch(&format!("/events{since}")).await;
        let event = stream.next().await.expect("an event");
        assert!(event.starts_with("event: resync\n"), "{since}: {event}");
    }
}

#[tokio::test]
async fn no_more_may_watch_than_there_is_room_for() {
    let served = Served::new(fleet());
    let mut streams = Vec::new();
    for _ in 0..WATCHERS {
        streams.push(served.watch("/events").await);
    }
    let (code, body, headers) = served.get("/events").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("as many as may"), "{body}");
    assert_eq!(headers["retry-after"], "15");
    // One that goes makes room for another.
    streams.pop();
    served.watch("/events").await;
    let (code, _, _) = served.get("/events?app=no/such").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
}
