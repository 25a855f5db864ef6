//! Terraform's diagnostics and what each one means for the next step.
//!
//! Terraform gives errors as text only, so the sorting looks for words that
//! are codes rather than prose: AWS error codes, and the few summaries that
//! terraform has kept for years. A text that nobody recognises is `Other`,
//! which is safe: the app is held and the text is shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// No part of a diagnostic is kept beyond this many bytes.
const TEXT_MAX: usize = 8 * 1024;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The run failed for it.
    Error,
    /// The run went on.
    Warning,
}

/// One message of terraform or terragrunt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its first line.
    pub summary: String,
    /// The rest; may be empty.
    pub detail: String,
    /// The resource, when it is about one.
    pub address: Option<String>,
    /// What sort of trouble it tells of.
    pub kind: Kind,
}

/// What sort of trouble an error tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The state lock is taken.
    Locked,
    /// The state lock could not be let go.
    LockNotReleased,
    /// The saved plan is too old.
    StalePlan,
    /// The name is taken by something outside the state.
    AlreadyExists,
    /// The state could not be written.
    StateNotSaved,
    /// AWS has no such machine to give now.
    Capacity,
    /// An account limit is reached.
    Quota,
    /// AWS asks to come back later.
    Throttled,
    /// The controller may not do this.
    Permission,
    /// The credentials are missing, expired or wrong.
    Credentials,
    /// A connection failed, or a service answered 5xx.
    Network,
    /// The AMI cannot be used.
    Image,
    /// The module refused: a precondition or a variable's validation.
    Refused,
    /// The cached unit must be initialised again.
    BrokenCache,
    /// None of these.
    Other,
}

/// Words that give a kind away, in lower case; the first row that fits wins.
const MARKS: &[(Kind, &[&str])] = &[
    (Kind::LockNotReleased, &["error releasing the state lock"]),
    (Kind::StalePlan, &["saved plan is stale"]),
    (
        Kind::StateNotSaved,
        &[
            "failed to save state",
            "failed to persist state",
            "error saving state",
        ],
    ),
    (
        Kind::BrokenCache,
        &[
            "no suitable version installed",
            "backend configuration changed",
            "backend initialization required",
            "please run \"terraform init\"",
            "please run \"tofu init\"",
            "please run init",
            "required plugins are not installed",
            "module not installed",
            "failed to instantiate provider",
        ],
    ),
    (Kind::AlreadyExists, &["alreadyexists"]),
    (
        Kind::Capacity,
        &[
            "insufficientinstancecapacity",
            "insufficienthostcapacity",
            "insufficientcapacity",
            "insufficientfreeaddressesinsubnet",
            "insufficientreservedinstancecapacity",
        ],
    ),
    // Throttling before quota: EC2 calls it `RequestLimitExceeded`.
    (
        Kind::Throttled,
        &[
            "requestlimitexceeded",
            "throttling",
            "throttled",
            "toomanyrequests",
            "rate exceeded",
            "slowdown",
            "resourcecontention",
            "scalingactivityinprogress",
        ],
    ),
    (
        Kind::Quota,
        &[
            "limitexceeded",
            "quotaexceeded",
            "maxspotinstancecountexceeded",
        ],
    ),
    (
        Kind::Credentials,
        &[
            "expiredtoken",
            "invalidclienttokenid",
            "no valid credential sources",
            "failed to refresh cached credentials",
            "signaturedoesnotmatch",
            "requesttimetooskewed",
            "requestexpired",
        ],
    ),
    (
        Kind::Permission,
        &[
            "accessdenied",
            "unauthorizedoperation",
            "authfailure",
            "is not authorized to perform",
            "statuscode: 403",
        ],
    ),
    (Kind::Image, &["invalidamiid"]),
    (
        Kind::Network,
        &[
            "connection refused",
            "connection reset",
            "no such host",
            "i/o timeout",
            "tls handshake timeout",
            "request send failed",
            "statuscode: 500",
            "statuscode: 502",
            "statuscode: 503",
            "statuscode: 504",
            "internalfailure",
            "serviceunavailable",
        ],
    ),
    (
        Kind::Refused,
        &[
            "resource precondition failed",
            "invalid value for variable",
            "module output value precondition failed",
        ],
    ),
];

impl Diagnostic {
    /// Reads the `diagnostic` object of a JSON line; what is missing is empty.
    pub(super) fn from_json(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(shorten).unwrap_or_default();
        Self::new(
            match value["severity"].as_str() {
                Some("warning") => Severity::Warning,
                _ => Severity::Error,
            },
            text("summary"),
            text("detail"),
            value["address"].as_str().map(shorten),
        )
    }

    /// A diagnostic of known parts; the kind follows from them.
    pub(super) fn new(
        severity: Severity,
        summary: String,
        detail: String,
        address: Option<String>,
    ) -> Self {
        let kind = kind(&summary, &detail);
        Self {
            severity,
            summary,
            detail,
            address,
            kind,
        }
    }

    /// Makes one of terragrunt's log, which has terraform's text of a failed
    /// `init` in it.
    pub(super) fn from_log(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let first_error = lines.iter().rposition(|line| line.starts_with("Error: "));
        let (summary, rest) = match first_error {
            Some(at) => (lines[at].trim_start_matches("Error: "), &lines[at + 1..]),
            None => (*lines.last()?, &lines[..lines.len() - 1]),
        };
        let detail = rest.join("\n");
        let mut one = Self::new(Severity::Error, shorten(summary), tail(&detail), None);
        if one.kind == Kind::Other {
            one.kind = kind(text, "");
        }
        Some(one)
    }

    /// Whether the run failed for it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The lock that is told of, when it is about one.
    pub fn lock(&self) -> Option<LockInfo> {
        LockInfo::from_text(&self.detail)
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "{address}: ")?;
        }
        f.write_str(self.summary.trim())?;
        if !self.detail.trim().is_empty() {
            write!(f, ": {}", self.detail.trim())?;
        }
        Ok(())
    }
}

/// Sorts a message.
pub(super) fn kind(summary: &str, detail: &str) -> Kind {
    // Only with a lock's description is it held by someone; the same summary
    // comes when the lock's place cannot be reached.
    if summary.contains("acquiring the state lock") && LockInfo::from_text(detail).is_some() {
        return Kind::Locked;
    }
    let text = format!("{summary}\n{detail}").to_lowercase();
    // Terraform wraps prose at the terminal's width.
    let text = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    MARKS
        .iter()
        .find(|(_, marks)| marks.iter().any(|mark| text.contains(mark)))
        .map_or(Kind::Other, |(kind, _)| *kind)
}

/// A state lock as terraform describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// What `force-unlock` asks for.
    pub id: String,
    /// Where the state is.
    pub path: String,
    /// `OperationTypeApply` or `OperationTypePlan`, mostly.
    pub operation: String,
    /// `user@host`.
    pub who: String,
    /// Terraform's version.
    pub version: String,
    /// When it was taken.
    pub created: Timestamp,
}

impl LockInfo {
    /// Reads the `Lock Info:` paragraph of a diagnostic.
    pub fn from_text(text: &str) -> Option<Self> {
        let (_, info) = text.split_once("Lock Info:")?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
        };
        Some(Self {
            id: field("ID").filter(|id| !id.is_empty())?,
            path: field("Path").unwrap_or_default(),
            operation: field("Operation").unwrap_or_default(),
            who: field("Who").unwrap_or_default(),
            version: field("Version").unwrap_or_default(),
            created: created(&field("Created")?)?,
        })
    }
}

/// Go prints `2026-11-23 12:02:41.243272833 +0000 UTC`.
fn created(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let (moment, offset) = text.rsplit_once(' ')?;
    let (date, time) = moment.split_once(' ')?;
    let (hours, minutes) = (offset.get(..3)?, offset.get(3..)?);
    format!("{date}T{time}{hours}:{minutes}").parse().ok()
}

fn shorten(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn tail(text: &str) -> String {
    let mut from = text.len().saturating_sub(TEXT_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "Error message: operation error S3: PutObject, https response error StatusCode: 412, api error PreconditionFailed\nLock Info:\n  ID:        397e855c-90ae-73d8-5246-f7ce05b33205\n  Path:      bucket/todo/tofu.tfstate\n  Operation: OperationTypeApply\n  Who:       root@vm\n  Version:   1.11.4\n  Created:   2026-11-23 12:02:41.243272833 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock";

    #[test]
    fn a_lock_is_read_from_its_diagnostic() {
        let lock = LockInfo::from_text(LOCK).expect("a lock");
        assert_eq!(lock.id, "397e855c-90ae-73d8-5246-f7ce05b33205");
        assert_eq!(
            (lock.who.as_str(), lock.operation.as_str()),
            ("root@vm", "OperationTypeApply")
        );
        assert_eq!(
            lock.created,
            "2026-11-23T12:02:41.243272833Z".parse().expect("a time")
        );
        assert_eq!(kind("Error acquiring the state lock", LOCK), Kind::Locked);
    }

    #[test]
    fn a_lock_that_cannot_be_reached_is_held_by_nobody() {
        let detail = "Error message: operation error S3: PutObject, StatusCode: 403, AccessDenied";
        assert_eq!(
            kind("Error acquiring the state lock", detail),
            Kind::Permission
        );
    }

    #[test]
    fn messages_are_sorted_by_their_codes() {
        for (text, expected) in [
            ("Saved plan is stale", Kind::StalePlan),
            (
                "creating EC2 Launch Template: api error InvalidLaunchTemplateName.AlreadyExistsException: in use",
                Kind::AlreadyExists,
            ),
            (
                "creating Auto Scaling Group: AlreadyExists: AutoScalingGroup by this name already exists",
                Kind::AlreadyExists,
            ),
            (
                "api error RequestLimitExceeded: Request limit exceeded.",
                Kind::Throttled,
            ),
            (
                "api error VcpuLimitExceeded: You have requested more",
                Kind::Quota,
            ),
            (
                "api error UnauthorizedOperation: You are not authorized",
                Kind::Permission,
            ),
            ("api error InsufficientInstanceCapacity: no", Kind::Capacity),
            ("Failed to persist state to backend", Kind::StateNotSaved),
            ("Error releasing the state lock", Kind::LockNotReleased),
            ("Error: Backend configuration\n  changed", Kind::BrokenCache),
            (
                "dial tcp 127.0.0.1:1: connect: connection refused",
                Kind::Network,
            ),
            ("Resource precondition failed", Kind::Refused),
            ("Unsupported block type", Kind::Other),
        ] {
            assert_eq!(kind(text, ""), expected, "{text}");
        }
    }

    #[test]
    fn a_failed_init_is_told_by_the_log() {
        let log = "error occurred:\n\n* Failed to execute \"terraform init\" in ../cache\n  \n  Error: Unsupported block type\n  \n    on main.tf line 33:\n    33: x {\n  \n  exit status 1\n";
        let one = Diagnostic::from_log(log).expect("a diagnostic");
        assert_eq!(one.summary, "Unsupported block type");
        assert!(
            one.detail.starts_with("on main.tf line 33:"),
            "{}",
            one.detail
        );
        assert_eq!(Diagnostic::from_log(" \n\n"), None);
        let plain = Diagnostic::from_log("no such folder").expect("a diagnostic");
        assert_eq!(
            (plain.summary.as_str(), plain.detail.as_str()),
            ("no such folder", "")
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let value = serde_json::json!({ "summary": "é".repeat(TEXT_MAX), "detail": 7 });
        let one = Diagnostic::from_json(&value);
        assert!(one.summary.len() <= TEXT_MAX && one.detail.is_empty());
        assert!(one.is_error(), "an unknown severity is taken seriously");
    }
}
