//! Names and ids. Their constructors check the form once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest app name. An AWS name is made of it, a dash and a release key,
/// and target tracking policies add more: 64 leaves room in every limit
/// (launch templates: 128, Auto Scaling groups: 255).
pub const MAX_APP_NAME: usize = 64;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The name of an app: the path of its manifest under `desired/` without
    /// `.json`, such as `prod/todo`.
    AppName
}

text_id! {
    /// An AMI id, such as `ami-0f3a9c2b7d1e48a60`.
    AmiId
}

text_id! {
    /// A git commit id, 40 hexadecimal digits (64 for SHA-256 repositories).
    CommitId
}

text_id! {
    /// The key of a release: the first ten hexadecimal digits of the SHA-256
    /// of its [`super::Settings`].
    ReleaseKey
}

impl AppName {
    /// Checks the form: segments of lower-case letters, digits and inner
    /// dashes, joined by slashes, at most [`MAX_APP_NAME`] characters.
    ///
    /// # Errors
    ///
    /// A sentence that says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_APP_NAME {
            return Err(format!(
                "an app name has 1 to {MAX_APP_NAME} characters, this one has {}",
                text.len()
            ));
        }
        let segment = |s: &str| {
            !s.is_empty()
                && !s.starts_with('-')
                && !s.ends_with('-')
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not an app name: folders and file name are lower-case letters, digits and inner dashes",
                text.escape_debug()
            ))
        }
    }

    /// The name in AWS: slashes become dashes. Two apps whose names become
    /// the same are refused when the manifests are read.
    pub fn aws_name(&self) -> String {
        self.0.replace('/', "-")
    }

    /// The name that a release's group and launch template carry.
    pub fn group_name(&self, key: &ReleaseKey) -> String {
        format!("{}-{key}", self.aws_name())
    }
}

impl AmiId {
    /// Checks the form: `ami-` and 8 or 17 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hex = text.strip_prefix("ami-").unwrap_or("");
        if matches!(hex.len(), 8 | 17) && is_lower_hex(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not an AMI id: `ami-` and 8 or 17 hexadecimal digits",
                text.escape_debug()
            ))
        }
    }
}

impl CommitId {
    /// Checks the form: 40 or 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if matches!(text.len(), 40 | 64) && is_lower_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a full commit id", text.escape_debug()))
        }
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl ReleaseKey {
    /// The key of a digest: its first five bytes.
    pub(super) fn of_digest(digest: &[u8]) -> Self {
        let mut key = String::with_capacity(10);
        for byte in digest.iter().take(5) {
            key.push_str(&format!("{byte:02x}"));
        }
        Self(key)
    }

    /// Checks the form: ten lower-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// A sentence that shows the form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == 10 && is_lower_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{}` is not a release key", text.escape_debug()))
        }
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_name_keeps_to_its_alphabet() {
        for good in ["todo", "prod/todo", "a", "a1/b-2/c"] {
            assert_eq!(
                AppName::parse(good).map(|a| a.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "", "/a", "a/", "a//b", "A", "a_b", "../a", "-a", "a-", "a b", "ä",
        ] {
            assert!(AppName::parse(bad).is_err(), "{bad}");
        }
        assert!(AppName::parse(&"a".repeat(64)).is_ok());
        assert!(AppName::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn ids_are_checked() {
        assert!(AmiId::parse("ami-0f3a9c2b7d1e48a60").is_ok());
        assert!(AmiId::parse("ami-0f3a9c2b").is_ok());
        for bad in [
            "ami-",
            "ami-0F3a9c2b",
            "ami-0f3a9c2",
            "0f3a9c2b",
            "ami-0f3a9c2b\n",
        ] {
            assert!(AmiId::parse(bad).is_err(), "{bad}");
        }
        assert!(CommitId::parse(&"a".repeat(40)).is_ok());
        assert!(CommitId::parse(&"a".repeat(41)).is_err());
    }
}
