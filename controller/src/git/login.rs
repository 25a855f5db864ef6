//! Saying who we are to a server, and through which proxy.
//!
//! Secrets are read from their files at each use, go to the configured host only, and never into a message.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use git2::{Cred, CredentialType, ErrorClass, ErrorCode, ProxyOptions, RemoteCallbacks};

use super::address::Address;
use super::{Credentials, Remote};

/// Bytes of a token file.
const MAX_TOKEN: u64 = 4096;

/// The environment's proxy, as git takes it.
pub(super) fn proxy() -> ProxyOptions<'static> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// Callbacks that answer the server's question who we are, once. Host keys and certificates are checked by libgit2
/// itself, against `~/.ssh/known_hosts` and the system's roots, as long as nobody sets a callback for it.
pub(super) fn callbacks<'a>(remote: &'a Remote, address: &'a Address) -> RemoteCallbacks<'a> {
    let mut callbacks = RemoteCallbacks::new();
    let mut asked = 0;
    callbacks.credentials(move |url, user, allowed| {
        asked += 1;
        if let Address::Http { host, .. } = address
            && url::Url::parse(url)
                .ok()
                .is_none_or(|asking| asking.host_str() != Some(host))
        {
            return Err(auth(
                "the server sends us to another host, set `repository.url` to its new address",
            ));
        }
        // Once for the user's name, once for the key; being asked again means that the answer was wrong.
        if asked > 2 {
            return Err(auth("the server did not accept the credentials"));
        }
        credentials(remote, address, user, allowed).map_err(|error| auth(&format!("{error:#}")))
    });
    callbacks
}

fn auth(why: &str) -> git2::Error {
    git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, why)
}

fn credentials(
    remote: &Remote,
    address: &Address,
    user: Option<&str>,
    allowed: CredentialType,
) -> Result<Cred> {
    match (&remote.credentials, address) {
        (Credentials::TokenFile(path), Address::Http { host, private }) => {
            if !private {
                bail!("a token is not sent to `{host}` without TLS, use https");
            }
            Ok(Cred::userpass_plaintext("x-access-token", &token(path)?)?)
        }
        (Credentials::SshKeyFile(key), Address::Ssh { user: named }) => {
            let user = user.or(named.as_deref()).unwrap_or("git");
            if allowed.contains(CredentialType::USERNAME) {
                return Ok(Cred::username(user)?);
            }
            Ok(Cred::ssh_key(user, None, key, None)?)
        }
        (Credentials::None, Address::Http { .. }) => {
            bail!("the server asks for credentials, set `repository.token_file`")
        }
        (_, Address::Http { .. }) => {
            bail!("an ssh key is of no use for https, set `repository.token_file`")
        }
        _ => bail!("the server asks for a key, set `repository.ssh_key_file`"),
    }
}

/// The token in a file. No message holds any part of it.
fn token(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)
        .with_context(|| format!("Failed to open the token file `{}`", path.display()))?;
    let read = file.take(MAX_TOKEN + 1).read_to_string(&mut text);
    let token = text.trim();
    if read.is_err()
        || token.is_empty()
        || text.len() as u64 > MAX_TOKEN
        || token.contains(char::is_control)
    {
        bail!(
            "The file `{}` does not hold a token in one line",
            path.display()
        );
    }
    Ok(token.to_owned())
}
