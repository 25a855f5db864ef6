//! The page of images: what the last run of clean-up said, and that who watches
//! hears of the next one.

use amid_core::retention::cleaning::{Memory, Summary};
use amid_core::retention::{Cleaning, Keep, Place, Stage, Verdict};

use super::*;
use crate::cleanup::{Run, RunResult};

/// A run that found one image on its way out and one that is kept.
fn run() -> Run {
    let verdict: Verdict = serde_json::from_value(serde_json::json!({
        "ami": "ami-0f3a9c2b7d1e48a60", "name": HOSTILE, "app": "demo/web", "family": null,
        "created": "2023-01-01T00:00:00Z", "stage": "stale", "since": "2023-02-01T00:00:00Z",
        "keeps": [], "weak": [], "wait": null, "action": "deprecate", "bytes": 8_589_934_592_u64,
    }))
    .expect("a verdict");
    let kept = Verdict {
        name: "kept".to_owned(),
        stage: Stage::Kept,
        keeps: vec![Keep::Backup],
        action: None,
        ..verdict.clone()
    };
    let cleaning = Cleaning {
        place: Place {
            account: "123456789012".to_owned(),
            region: "eu-central-1".to_owned(),
        },
        at: now(),
        blockers: Vec::new(),
        actions: Vec::new(),
        blocked: Vec::new(),
        ask: Vec::new(),
        images: vec![verdict, kept],
        snapshots: Vec::new(),
        summary: Summary::default(),
        memory: Memory::default(),
    };
    Run {
        began: now(),
        ended: now(),
        result: RunResult::ReportOnly,
        by_hand: false,
        stopped: None,
        cleanings: vec![cleaning],
        done: Vec::new(),
    }
}

#[tokio::test]
async fn images_are_shown_with_why_each_is_kept() {
    let (sender, shown) = watch::channel(None);
    let served = Served::with(fleet(), Handle::new(shown).0);
    let (_, page, _) = served.get("/images").await;
    assert!(
        page.contains("first run of clean-up has not ended"),
        "{page}"
    );
    sender.send_replace(Some(Arc::new(run())));
    let (code, page, _) = served.get("/images").await;
    assert_eq!(code, StatusCode::OK);
    for want in [
        "123456789012",
        "&lt;script&gt;",
        "8.0 GiB",
        "AWS Backup made it and looks after it",
        "href=\"/apps/demo/web\"",
    ] {
        assert!(page.contains(want), "{want} is not in {page}");
    }
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    let (_, page, _) = served.get("/apps/demo/web").await;
    assert!(page.contains("AWS Backup made it"), "{page}");
    let (_, page, _) = served.get("/apps/demo/shop").await;
    assert!(!page.contains("AWS Backup made it"), "{page}");

    let (code, body, _) = Served::new(fleet()).get("/images").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(body.contains("cleanup"), "{body}");
    let (_, page, _) = Served::new(fleet()).get("/").await;
    assert!(!page.contains("/images"), "{page}");
}

#[tokio::test]
async fn whoever_watches_hears_of_a_run_of_clean_up() {
    let (sender, shown) = watch::channel(None);
    let served = Served::with(fleet(), Handle::new(shown).0);
    let since = served.version().await;
    let mut watching = Vec::new();
    for place in ["page=images", "app=demo/web"] {
        let path = format!("/events?{place}&since={since}");
        watching.push(served.watch(&path).await);
    }
    sender.send_replace(Some(Arc::new(run())));
    for (stream, part) in watching.iter_mut().zip(["images", "detail"]) {
        let parts = stream.parts().await;
        let said = parts[part].as_str().expect("a piece");
        assert!(said.contains("AWS Backup made it"), "{said}");
    }
    // A change of an app is nothing to the page of images.
    served.change(|status| status.apps[0].phase = Phase::Held);
    sender.send_replace(Some(Arc::new(Run {
        stopped: Some("an audit".to_owned()),
        ..run()
    })));
    let parts = watching[0].parts().await;
    let said = parts["images"].as_str().expect("a piece");
    assert!(said.contains("an audit"), "{said}");

    let (code, _, _) = served.get("/events?page=nothing").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
}
