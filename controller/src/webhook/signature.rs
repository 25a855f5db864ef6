//! Whether a request knows the shared secret.
//!
//! GitHub, Gitea and the generic scheme send an HMAC-SHA256 of the body in
//! hexadecimal digits, GitLab sends the secret itself. Both are compared in
//! constant time, the secret by its hash, so that not even its length shows.
//! Nothing weaker (SHA-1) is known here.

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use salvo::http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The shared secret.
#[derive(Clone)]
pub struct Secret {
    mac: Hmac<Sha256>,
    hash: [u8; 32],
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The secret as it stands in its file; a line end after it does not
    /// belong to it.
    ///
    /// # Errors
    ///
    /// It is empty: everybody would know it.
    pub fn new(text: &str) -> Result<Self> {
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.trim().is_empty() {
            bail!(
                "The webhook's secret is empty: write a long random text into `webhook.secret_file`, such as `openssl rand -hex 32` makes, or take `webhook` out of the config"
            );
        }
        Ok(Self {
            mac: Hmac::new_from_slice(secret.as_bytes())
                .context("Failed to take the webhook's secret as a key")?,
            hash: Sha256::digest(secret.as_bytes()).into(),
        })
    }

    /// What has to be checked for a request with these headers; `None` when
    /// none of the known ones is there in the right form, exactly once.
    pub(super) fn claim(&self, headers: &HeaderMap) -> Option<Claim> {
        SCHEMES.iter().find_map(|(name, scheme)| {
            let mut values = headers.get_all(*name).iter();
            let value = values.next()?.as_bytes();
            if values.next().is_some() {
                return None;
            }
            let digits = match scheme {
                Scheme::Token => return Some(self.token(value)),
                Scheme::Prefixed => value.strip_prefix(b"sha256=")?,
                Scheme::Bare => value,
            };
            let mut expected = [0; 32];
            hex::decode_to_slice(digits, &mut expected).ok()?;
            Some(Claim::Signed {
                mac: Box::new(self.mac.clone()),
                expected,
            })
        })
    }

    fn token(&self, value: &[u8]) -> Claim {
        let hash: [u8; 32] = Sha256::digest(value).into();
        Claim::Token {
            known: hash.ct_eq(&self.hash).into(),
        }
    }
}

/// How a header carries the proof.
enum Scheme {
    /// `sha256=` and the digits.
    Prefixed,
    /// The digits.
    Bare,
    /// The secret.
    Token,
}

const SCHEMES: &[(&str, Scheme)] = &[
    ("x-hub-signature-256", Scheme::Prefixed),
    ("x-gitea-signature", Scheme::Bare),
    ("x-amid-signature", Scheme::Prefixed),
    ("x-gitlab-token", Scheme::Token),
];

/// A request's proof, while its body is read.
pub(super) enum Claim {
    /// The body has to have this code.
    Signed {
        /// Over what was read so far.
        mac: Box<Hmac<Sha256>>,
        /// What the header says.
        expected: [u8; 32],
    },
    /// The body does not matter.
    Token {
        /// Whether the token is the secret.
        known: bool,
    },
}

impl Claim {
    /// The next piece of the body.
    pub(super) fn update(&mut self, piece: &[u8]) {
        if let Self::Signed { mac, .. } = self {
            mac.update(piece);
        }
    }

    /// Whether the request knows the secret.
    pub(super) fn holds(self) -> bool {
        match self {
            Self::Signed { mac, expected } => mac.verify_slice(&expected).is_ok(),
            Self::Token { known } => known,
        }
    }
}
