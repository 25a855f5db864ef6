//! The forms of single values.
//!
//! Each function knows one form and says in a sentence what is wrong with
//! another. They are stricter than AWS where a value ends up in a path, a
//! shell or a file name. What only AWS can know, such as whether an image
//! exists, is asked later.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::fields::{At, text};
use super::json::Kind;
use super::text::shown;

/// EC2's limit for user data, in bytes before base64.
pub(super) const MAX_USER_DATA: usize = 16 * 1024;

/// The longest unit path, in bytes.
const MAX_UNIT: usize = 200;

/// EC2 takes at most so many instance types as overrides of one group.
const MAX_INSTANCE_TYPES: usize = 40;

/// A unit: a relative path of plain segments.
pub(super) fn unit(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let path = shown(text);
    if text.is_empty() || text.len() > MAX_UNIT {
        Err(format!(
            "a unit's path has 1 to {MAX_UNIT} characters, this one has {}",
            text.len()
        ))
    } else if text.starts_with('/') {
        Err(format!(
            "`{path}` begins with `/`: write it relative to the `terraform` folder"
        ))
    } else if let Some(c) = text
        .chars()
        .find(|&c| c != '/' && !u8::try_from(c).is_ok_and(plain))
    {
        Err(format!(
            "`{path}` holds `{}`: a unit's path is made of letters, digits, `.`, `_`, `-` and `/`",
            shown(c.encode_utf8(&mut [0; 4]))
        ))
    } else if let Some(segment) = text
        .split('/')
        .find(|segment| segment.is_empty() || segment.starts_with(['.', '-']))
    {
        let what = if segment.is_empty() {
            "an empty folder name".to_owned()
        } else {
            format!("`{segment}`")
        };
        Err(format!(
            "`{path}` holds {what}: a unit's folders begin with a letter, a digit or `_`"
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// The instance types: 1 to 40, each once.
pub(super) fn instance_types(at: &At<'_>) -> Option<Vec<String>> {
    let Kind::List(items) = &at.node.kind else {
        return at.expected("a list of texts");
    };
    if items.is_empty() || items.len() > MAX_INSTANCE_TYPES {
        return at.wrong(format!(
            "expected 1 to {MAX_INSTANCE_TYPES} instance types, found {}",
            items.len()
        ));
    }
    let mut seen = BTreeSet::new();
    let read: Vec<Option<String>> = items
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let at = at.item(index, node);
            let name = text(&at)?;
            if !is_instance_type(&name) {
                let name = shown(&name);
                at.wrong(format!(
                    "`{name}` is not an instance type: they look like `m7g.large`"
                ))
            } else if !seen.insert(name.clone()) {
                at.wrong(format!("`{name}` is in the list already: remove it"))
            } else {
                Some(name)
            }
        })
        .collect();
    read.into_iter().collect()
}

fn is_instance_type(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .split_once('.')
            .is_some_and(|(family, size)| part(family) && part(size))
}

/// A name that every shell and every `env` file takes.
pub(super) fn env_name(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let shown = shown(name);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !plain {
        Err(format!(
            "`{shown}` is not a name of an environment variable: letters, digits and `_`, no digit first"
        ))
    } else {
        Ok(())
    }
}

/// A reference to a secret. The secret itself never stands in git.
pub(super) fn secret(text: &str) -> Result<String, String> {
    let good = match text.split_once(':') {
        Some(("ssm", parameter)) => is_ssm(parameter),
        Some(("secretsmanager", id)) => is_secret_id(id),
        _ => {
            return Err(
                "a secret is given by reference, `ssm:/path` or `secretsmanager:id`, each with an optional `:version`"
                    .to_owned(),
            );
        }
    };
    if good {
        Ok(text.to_owned())
    } else {
        let text = shown(text);
        Err(format!(
            "`{text}` is not a reference to a secret: write `ssm:/path[:version]` or `secretsmanager:id[:version]`"
        ))
    }
}

fn is_ssm(parameter: &str) -> bool {
    let (path, version) = with_version(parameter);
    let segment = |s: &str| made_of(s, "._-");
    path.strip_prefix('/')
        .is_some_and(|path| path.split('/').all(segment))
        && version.is_none_or(is_version)
}

/// A name, or an ARN, which has colons of its own.
fn is_secret_id(id: &str) -> bool {
    let name = |s: &str| made_of(s, "/_+=.@-");
    let parts: Vec<&str> = id.split(':').collect();
    match parts.as_slice() {
        [
            "arn",
            partition,
            "secretsmanager",
            region,
            account,
            "secret",
            rest @ ..,
        ] => {
            let account_is_digits =
                account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
            let rest_is_good = match rest {
                [id] => name(id),
                [id, version] => name(id) && is_version(version),
                _ => false,
            };
            made_of(partition, "-") && made_of(region, "-") && account_is_digits && rest_is_good
        }
        ["arn", ..] => false,
        [id] => name(id),
        [id, version] => name(id) && is_version(version),
        _ => false,
    }
}

fn with_version(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

fn is_version(text: &str) -> bool {
    made_of(text, "._-")
}

fn made_of(text: &str, others: &str) -> bool {
    (1..=512).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// User data, as it is given to the instance.
pub(super) fn user_data(at: &At<'_>) -> Option<String> {
    let data = text(at)?;
    if longer_than_user_data(data.len()) {
        return at.wrong(format!(
            "has {} bytes, EC2 takes {MAX_USER_DATA}: let the instance fetch the rest",
            data.len()
        ));
    }
    Some(data)
}

/// Whether EC2 refuses user data of so many bytes.
pub(super) fn longer_than_user_data(bytes: usize) -> bool {
    bytes > MAX_USER_DATA
}

/// The longest address of a gate.
const MAX_GATE_URL: usize = 500;

/// The address of a gate. It stands in git, so it holds no credentials; what
/// only the machine itself may ask, such as its own credentials, is refused.
pub(super) fn gate_url(text: &str) -> Result<String, String> {
    let url = shown(text);
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or_else(|| format!("`{url}` is not the address of a gate: write `http://host/path`"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.to_ascii_lowercase();
    if text.len() > MAX_GATE_URL {
        Err(format!(
            "the address of a gate has at most {MAX_GATE_URL} characters, this one has {}",
            text.len()
        ))
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        Err(format!(
            "`{url}` holds a space or another character that an address cannot hold"
        ))
    } else if authority.contains('@') {
        Err(
            "the address of a gate stands in git for all to read: leave name and password out"
                .to_owned(),
        )
    } else if host.is_empty() || host.starts_with(':') {
        Err(format!("`{url}` names no host"))
    } else if host.starts_with("169.254.") || host.starts_with("[fe80:") {
        Err(format!(
            "`{url}` is a link-local address: a gate is a service of its own"
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// A point in time by RFC 3339, its offset included.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    // The time library reads more than RFC 3339: dates without seconds,
    // spaces, zone names.
    let shape = text.len() >= "2026-11-30T08:00:00Z".len()
        && text.as_bytes().get(10) == Some(&b'T')
        && text.as_bytes().get(16) == Some(&b':')
        && !text.contains('[');
    text.parse()
        .ok()
        .filter(|_| shape)
        .ok_or_else(|| {
            format!(
                "`{}` is not a point in time: write it as `2026-11-30T08:00:00Z`, or with an offset such as `+01:00`",
                shown(text)
            )
        })
}
