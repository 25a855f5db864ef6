//! The name behind a user id.
//!
//! Read from `/etc/passwd` at the moment of the command; users of a directory
//! service are not in there and appear by their number. It is for the
//! journal's readers: what counts is that the kernel gave the number.

use tokio::io::AsyncReadExt;

/// The most of `/etc/passwd` that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The user's name, or `uid 1000`.
pub(super) async fn name(uid: u32) -> String {
    let passwd = passwd().await.unwrap_or_default();
    find(&passwd, uid).unwrap_or_else(|| format!("uid {uid}"))
}

async fn passwd() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    tokio::fs::File::open("/etc/passwd")
        .await?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:5::\nann:x:1000:1000::/:/bin/sh\n";
        assert_eq!(find(passwd, 0).as_deref(), Some("root"));
        assert_eq!(find(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(find(passwd, 5), None);
        assert_eq!(find(passwd, 1001), None);
    }

    #[tokio::test]
    async fn a_number_without_a_name_is_shown_as_a_number() {
        assert_eq!(name(4_000_000_123).await, "uid 4000000123");
    }
}
