//! What a receiver gets: a message as JSON with a signature, or as Slack
//! takes it.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use amid_core::notice::Message;

/// The page of an app.
pub(super) fn link(page: Option<&str>, app: &str) -> Option<String> {
    let page = page?.trim_end_matches('/');
    Some(match app {
        "" => format!("{page}/"),
        app => format!("{page}/apps/{app}"),
    })
}

/// The body of a webhook. Documented in docs/notifications.md.
pub(super) fn webhook(message: &Message, page: Option<&str>, at: Timestamp) -> Value {
    let mut body = json!(message);
    body["version"] = json!(1);
    body["at"] = json!(at.to_string());
    body["sentence"] = json!(message.sentence());
    body["link"] = json!(link(page, &message.app));
    // The same message, sent again after an answer that was lost, has the
    // same id.
    let digest = hex::encode(Sha256::digest(body.to_string().as_bytes()));
    body["id"] = json!(digest.get(..20));
    body
}

/// The signature of a body, as GitHub writes its own.
pub(super) fn signature(secret: &[u8], body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The body for Slack and those that imitate it.
pub(super) fn slack(message: &Message, page: Option<&str>) -> Value {
    let mut text = escaped(&message.sentence());
    if let Some(frees) = &message.frees {
        text.push_str(&format!("\nWhat frees it: {}", escaped(frees)));
    }
    if let Some(commit) = &message.commit {
        let who = message.author.as_deref().unwrap_or("somebody");
        let subject = message.subject.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "\n{} by {}: {}",
            commit.short(),
            escaped(who),
            escaped(subject)
        ));
    }
    if let Some(link) = link(page, &message.app) {
        text.push_str(&format!("\n<{link}>"));
    }
    json!({ "text": text })
}

/// Text that calls nobody and links nowhere.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use amid_core::model::CommitId;
    use amid_core::notice::{Kind, Severity};

    use super::*;

    fn message() -> Message {
        Message {
            kind: Kind::Held,
            severity: Severity::Warning,
            app: "demo/todo".to_owned(),
            owner: Some("team".to_owned()),
            reason: "image_missing".to_owned(),
            text: "ami-1 does not exist".to_owned(),
            frees: Some("name another image".to_owned()),
            commit: CommitId::parse(&"a".repeat(40)).ok(),
            author: Some("Robin <!channel>".to_owned()),
            subject: Some("Bump & go".to_owned()),
            image: None,
            again: 0,
        }
    }

    #[test]
    fn slack_gets_text_that_calls_nobody() {
        let body = slack(&message(), Some("https://amid.example.com/"));
        assert_eq!(
            body["text"],
            "demo/todo is held: ami-1 does not exist\nWhat frees it: name another image\n\
            aaaaaaaa by Robin &lt;!channel&gt;: Bump &amp; go\n<https://amid.example.com/apps/demo/todo>"
        );
    }

    #[test]
    fn a_webhook_says_everything_and_has_an_id_of_its_own() {
        let at = |text: &str| text.parse().unwrap();
        let one = webhook(&message(), None, at("2026-11-25T12:00:00Z"));
        let again = webhook(&message(), None, at("2026-11-25T12:00:00Z"));
        let later = webhook(&message(), None, at("2026-11-25T16:00:00Z"));
        assert_eq!(one, again);
        assert_ne!(one["id"], later["id"]);
        assert_eq!(one["kind"], "held");
        assert_eq!(one["severity"], "warning");
        assert_eq!(one["version"], 1);
        assert_eq!(one["link"], Value::Null);
        assert_eq!(one["sentence"], "demo/todo is held: ami-1 does not exist");
    }

    #[test]
    fn the_signature_is_the_one_that_everybody_computes() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
