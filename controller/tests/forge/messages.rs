//! Messages to receivers: signed, routed, told once, and never in the way.

use std::fs;

use amid_testkit::receiver::{Received, Receiver};
use hmac::{Hmac, KeyInit, Mac};

use super::*;

const SECRET: &str = "hook-s3cret";
const HOOK_PATH: &str = "/hooks/T0KEN-IN-THE-PATH";

/// A receiver's entry of the configuration.
fn entry(name: &str, kind: &str, receiver: &Receiver, small: &Small) -> Value {
    let url = small.folder().join(format!("url-{name}"));
    fs::write(&url, receiver.url(HOOK_PATH)).unwrap();
    let mut entry = json!({ "name": name, "type": kind, "url_file": url });
    if kind == "webhook" {
        let secret = small.folder().join("hook-secret");
        fs::write(&secret, format!("{SECRET}\n")).unwrap();
        entry["secret_file"] = json!(secret);
    }
    entry
}

/// A world without statuses, whose receivers are these.
fn world(receivers: &[(&str, &str, &Receiver)], notify: Value) -> World {
    World::with(Kind::Github, |small, more| {
        more["forge"]["statuses"] = json!(false);
        let mut notify = notify;
        let entries = receivers
            .iter()
            .map(|(name, kind, receiver)| entry(name, kind, receiver, small));
        notify["receivers"] = entries.collect();
        notify["settle"] = json!("1s");
        more["notify"] = notify;
    })
}

fn is(kind: &'static str, reason: &'static str) -> impl Fn(&Received) -> bool {
    move |one| {
        let body = one.json();
        body["kind"] == kind && body["reason"] == reason
    }
}

fn of_kind(receiver: &Receiver, kind: &str) -> usize {
    let received = receiver.received();
    received
        .iter()
        .filter(|one| one.json()["kind"] == kind)
        .count()
}

fn metric(world: &World, series: &str) -> f64 {
    let at = world.small.listener("Metrics and status").unwrap();
    let (_, text) = world.small.get(at, "/metrics").unwrap();
    assert!(
        !text.contains(SECRET) && !text.contains("T0KEN"),
        "a secret in the metrics"
    );
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}"))
        .parse()
        .unwrap()
}

#[test]
fn a_hold_is_told_once_with_a_right_signature_and_once_more_when_it_is_over() {
    let hook = Receiver::start().unwrap();
    let slack = Receiver::start().unwrap();
    let elsewhere = Receiver::start().unwrap();
    let mut world = world(
        &[
            ("hook", "webhook", &hook),
            ("chat", "slack", &slack),
            ("elsewhere", "webhook", &elsewhere),
        ],
        json!({
            "page": "https://amid.example.com",
            "routes": [{ "owner": "team-web", "to": ["hook", "chat"] }],
            "default": ["elsewhere"],
        }),
    );
    let owned = |image: &str| {
        changed(|manifest| {
            manifest["owner"] = json!("team-web");
            manifest["ami"] = json!(image);
        })
    };
    world.small.push(&owned(IMAGE), "Own demo/web").unwrap();
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    hook.until("the deployment", is("deployed", "applied"))
        .unwrap();
    let missing = owned("ami-0fffffffffffffffe");
    let commit = world.small.push(&missing, "Bump <!channel>").unwrap();
    let held = hook.until("the hold", is("held", "image_missing")).unwrap();

    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&held.body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    assert_eq!(held.headers["x-amid-signature"], signature);
    assert_eq!(held.path, HOOK_PATH);
    let body = held.json();
    assert_eq!(body["app"], APP);
    assert_eq!(body["owner"], "team-web");
    assert_eq!(body["commit"], commit.to_string());
    assert_eq!(body["link"], "https://amid.example.com/apps/demo/web");
    assert!(
        body["frees"]
            .as_str()
            .unwrap()
            .contains("desired/demo/web.json"),
        "{body}"
    );
    let chat = slack
        .until("the hold", |one| {
            one.json()["text"]
                .as_str()
                .is_some_and(|text| text.contains("is held"))
        })
        .unwrap();
    let text = chat.json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("Bump &lt;!channel&gt;") && !text.contains("<!"),
        "{text}"
    );

    world
        .small
        .push(&owned(OTHER_IMAGE), "Bump demo/web")
        .unwrap();
    hook.until("the end of the hold", is("recovered", "image_missing"))
        .unwrap();
    world.small.until_deployed(APP, OTHER_IMAGE).unwrap();
    assert_eq!(
        (of_kind(&hook, "held"), of_kind(&hook, "recovered")),
        (1, 1)
    );
    assert!(
        elsewhere.received().is_empty(),
        "the route of the owner counts"
    );
    assert!(
        metric(
            &world,
            r#"amid_notifications_total{kind="webhook",result="sent"}"#
        ) >= 3.0
    );
    assert!(
        metric(
            &world,
            r#"amid_notifications_total{kind="slack",result="sent"}"#
        ) >= 3.0
    );
    world
        .small
        .until("nothing waits to be sent", |small| {
            let at = small.listener("Metrics and status")?;
            let (_, text) = small.get(at, "/metrics")?;
            Ok(text
                .lines()
                .any(|line| line == "amid_notifications_waiting 0"))
        })
        .unwrap();
    let log = world.small.log().unwrap();
    assert!(
        !log.contains(SECRET) && !log.contains("T0KEN"),
        "a secret in the log"
    );
    for one in hook.received().iter().chain(&slack.received()) {
        let body = String::from_utf8_lossy(&one.body);
        assert!(!body.contains(SECRET) && !body.contains("T0KEN"), "{body}");
    }
}

#[test]
fn a_restart_repeats_nothing() {
    let hook = Receiver::start().unwrap();
    let mut world = world(
        &[("hook", "webhook", &hook)],
        json!({ "default": ["hook"] }),
    );
    let missing = changed(|manifest| manifest["ami"] = json!("ami-0fffffffffffffffe"));
    world.small.push(&missing, "Bump demo/web").unwrap();
    world.small.start().unwrap();
    hook.until("the hold", is("held", "image_missing")).unwrap();
    world.small.stop().unwrap();
    world.small.start().unwrap();
    world.small.until_held(APP, "does not exist").unwrap();
    // The next word is about something else: nothing came in between.
    let good = changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE));
    world.small.push(&good, "Bump demo/web").unwrap();
    hook.until("the end of the hold", is("recovered", "image_missing"))
        .unwrap();
    assert_eq!(of_kind(&hook, "held"), 1);
}

#[test]
fn slow_dead_and_refusing_receivers_delay_nobody() {
    let good = Receiver::start().unwrap();
    let slow = Receiver::start().unwrap();
    let busy = Receiver::start().unwrap();
    let refusing = Receiver::start().unwrap();
    let gone = Receiver::start().unwrap();
    slow.hang(true);
    busy.answer_with(&[503, 429]);
    refusing.answer_with(&[400]);
    let mut world = world(
        &[
            ("slow", "webhook", &slow),
            ("gone", "slack", &gone),
            ("busy", "webhook", &busy),
            ("refusing", "slack", &refusing),
            ("good", "webhook", &good),
        ],
        json!({ "default": ["slow", "gone", "busy", "refusing", "good"] }),
    );
    drop(gone);
    world.small.start().unwrap();
    world.small.until_deployed(APP, IMAGE).unwrap();
    good.until("the deployment", is("deployed", "applied"))
        .unwrap();
    // The same message, tried again.
    let is_deployed = is("deployed", "applied");
    busy.until_came(3).unwrap();
    assert!(is_deployed(&busy.received()[0]));
    assert_eq!(busy.received()[0].body, busy.received()[2].body);
    world
        .small
        .until("the refusal is counted", |small| {
            let at = small.listener("Metrics and status")?;
            let (_, text) = small.get(at, "/metrics")?;
            Ok(text.contains(r#"amid_notifications_total{kind="slack",result="refused"} 1"#))
        })
        .unwrap();
    assert_eq!(
        refusing.received().len(),
        1,
        "what is refused is not tried again"
    );
    let next = changed(|manifest| manifest["ami"] = json!(OTHER_IMAGE));
    world.small.push(&next, "Bump demo/web").unwrap();
    world.small.until_deployed(APP, OTHER_IMAGE).unwrap();
    good.until("the second deployment", |one| {
        is_deployed(one) && one.json()["image"] == OTHER_IMAGE
    })
    .unwrap();
    let log = world.small.log().unwrap();
    assert!(!log.contains("T0KEN"), "{log}");
    world.small.stop().unwrap();
}

#[test]
fn what_belongs_to_nobody_is_said_at_the_start() {
    let mut world = World::with(Kind::Github, |_, more| {
        more["notify"] = json!({ "default": ["nobody"] });
    });
    world.small.spawn().unwrap();
    let said = world.small.until("it starts", |_| Ok(false)).unwrap_err();
    let said = format!("{said:#}");
    assert!(
        said.contains("`nobody`, which is not among `notify.receivers`"),
        "{said}"
    );
}
