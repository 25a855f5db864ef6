//! Gives the socket to a group, so that its members may command the daemon.

use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Context, Result};

/// The most of `/etc/group` that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Gives the socket at `path` to `group`, a name in `/etc/group` or a number,
/// and lets that group pass through the folder that it lies in. Nothing else
/// in that folder becomes readable: its files have modes of their own.
///
/// # Errors
///
/// There is no such group, or the daemon's user may not give it anything.
pub fn give_to(path: &Path, group: &str) -> Result<()> {
    let gid = match group.parse() {
        Ok(gid) => gid,
        Err(_) => find(&groups().context("Failed to read /etc/group")?, group).with_context(|| {
            format!(
                "There is no group `{group}` in /etc/group: make it with `groupadd {group}`, or correct `socket.group` in the config"
            )
        })?,
    };
    let folder = path.parent().unwrap_or(path);
    for given in [folder, path] {
        chown(given, None, Some(gid)).with_context(|| {
            format!(
                "Failed to give `{}` to the group `{group}` of `socket.group`: the user that amid runs as has to be a member of it",
                given.display()
            )
        })?;
    }
    let mode = std::fs::metadata(folder)
        .map(|meta| meta.permissions().mode())
        .unwrap_or(0o700);
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode | 0o010))
        .with_context(|| format!("Failed to set the mode of `{}`", folder.display()))
}

fn groups() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open("/etc/group")?
        .take(MAX_FILE)
        .read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn find(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_number_is_found_by_its_name() {
        let groups = "root:x:0:\nbroken\namid:x:990:ann,bob\nodd:x:many:\n";
        assert_eq!(find(groups, "amid"), Some(990));
        assert_eq!(find(groups, "odd"), None);
        assert_eq!(find(groups, "ann"), None);
    }

    #[test]
    fn members_reach_the_socket_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir.path().join("amid.sock");
        std::fs::write(&path, "").unwrap();
        let own = std::fs::metadata(&path).unwrap().gid();
        // Whoever runs this test may give things to a group of its own only.
        give_to(&path, &own.to_string()).unwrap();
        let folder = std::fs::metadata(dir.path()).unwrap();
        assert_eq!((folder.mode() & 0o777, folder.gid()), (0o710, own));
        assert_eq!(std::fs::metadata(&path).unwrap().gid(), own);
    }

    #[test]
    fn a_group_that_does_not_exist_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("amid.sock");
        let error = give_to(&path, "no-such-group-here").unwrap_err();
        assert!(error.to_string().contains("groupadd"), "{error}");
    }
}
