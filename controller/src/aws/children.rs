//! What terragrunt's children need to work in the account and region of a
//! target: variables of the environment, and a file of AWS profiles.
//!
//! A role is taken on by the children themselves, by a profile that names the
//! role and where its base credentials come from. So the AWS libraries in
//! terragrunt, terraform and the provider renew the session however long an
//! apply takes, also when amid is gone meanwhile; credentials that amid took on
//! for them would end with their first hour. The base is found as the SDK finds
//! amid's own: keys in the environment, a web identity, a profile, the
//! container, the machine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Place;

/// The profile that takes on the target's role.
const PROFILE: &str = "amid-target";
/// The profile of its base credentials, where they stand in the environment.
const BASE: &str = "amid-base";

/// What changes in the environment of a target's runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Variables that are set.
    pub set: BTreeMap<String, String>,
    /// Inherited variables that are left out: the AWS libraries would follow
    /// them and not the profile.
    pub unset: Vec<String>,
    /// The profiles, where the target has a role; they may hold keys.
    pub profiles: Option<String>,
}

/// What the environment and the home of amid's own user say of credentials.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// The text of the user's own file of profiles; empty where there is none.
    pub profiles: &'a str,
    /// The user has a file of credentials.
    pub has_credentials: bool,
}

impl Surroundings {
    /// For `place`; its profiles will lie in `file`.
    pub fn of(place: &Place, own: Own<'_>, file: &Path) -> Self {
        let mut all = Self::default();
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            all.set.insert(name.to_owned(), place.region.clone());
        }
        if let Some(url) = &place.endpoint_url {
            all.set.insert("AWS_ENDPOINT_URL".to_owned(), url.clone());
        }
        if let Some(role) = &place.role_arn {
            all.take_on(role, place, own, file);
        }
        all
    }

    fn take_on(&mut self, role: &str, place: &Place, own: Own<'_>, file: &Path) {
        let get = |name: &str| own.env.get(name).filter(|value| !value.is_empty());
        let mut text = String::new();
        let mut source = format!("source_profile = {BASE}");
        if let (Some(key), Some(secret)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"))
        {
            let _ = write!(
                text,
                "[profile {BASE}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            );
            if let Some(token) = get("AWS_SESSION_TOKEN") {
                let _ = writeln!(text, "aws_session_token = {token}");
            }
        } else if let (Some(token), Some(own_role)) =
            (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN"))
        {
            let _ = write!(
                text,
                "[profile {BASE}]\nweb_identity_token_file = {token}\nrole_arn = {own_role}\n"
            );
        } else if let Some(profile) = get("AWS_PROFILE") {
            text.push_str(own.profiles);
            source = format!("source_profile = {profile}");
        } else if get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            .or(get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
            .is_some()
        {
            source = "credential_source = EcsContainer".to_owned();
        } else if own.has_credentials || own.profiles.contains("[default]") {
            text.push_str(own.profiles);
            source = "source_profile = default".to_owned();
        } else {
            source = "credential_source = Ec2InstanceMetadata".to_owned();
        }
        let _ = write!(
            text,
            "\n[profile {PROFILE}]\nrole_arn = {role}\nrole_session_name = amid\nregion = {}\n{source}\n",
            place.region
        );
        self.profiles = Some(text);
        self.unset = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
        ]
        .map(str::to_owned)
        .to_vec();
        for (name, value) in [
            ("AWS_CONFIG_FILE", file.display().to_string()),
            ("AWS_PROFILE", PROFILE.to_owned()),
            ("AWS_SDK_LOAD_CONFIG", "1".to_owned()),
        ] {
            self.set.insert(name.to_owned(), value);
        }
    }
}

/// Where the user's own files of profiles and credentials are.
pub fn own_files(env: &BTreeMap<String, String>) -> [Option<PathBuf>; 2] {
    let home = env.get("HOME").map(|home| Path::new(home).join(".aws"));
    let file = |variable: &str, name: &str| {
        let named = env.get(variable).map(PathBuf::from);
        named.or_else(|| Some(home.as_ref()?.join(name)))
    };
    [
        file("AWS_CONFIG_FILE", "config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::210987654321:role/amid";

    fn place(role: Option<&str>) -> Place {
        Place {
            region: "eu-west-1".to_owned(),
            role_arn: role.map(ToOwned::to_owned),
            endpoint_url: None,
        }
    }

    fn of(env: &[(&str, &str)], profiles: &str, has_credentials: bool) -> Surroundings {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let own = Own {
            env: &env,
            profiles,
            has_credentials,
        };
        Surroundings::of(&place(Some(ROLE)), own, Path::new("/state/aws/0"))
    }

    #[test]
    fn without_a_role_only_region_and_endpoint_are_told() {
        let env = BTreeMap::from([("AWS_PROFILE".to_owned(), "mine".to_owned())]);
        let own = Own {
            env: &env,
            profiles: "",
            has_credentials: false,
        };
        let mut place = place(None);
        place.endpoint_url = Some("http://127.0.0.1:1".to_owned());
        let all = Surroundings::of(&place, own, Path::new("/x"));
        let set: Vec<String> = all.set.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            set,
            [
                "AWS_DEFAULT_REGION=eu-west-1",
                "AWS_ENDPOINT_URL=http://127.0.0.1:1",
                "AWS_REGION=eu-west-1"
            ]
        );
        assert_eq!((all.unset.len(), all.profiles), (0, None));
    }

    #[test]
    fn a_role_is_taken_on_from_whatever_credentials_amid_has() {
        let keys = [("AWS_ACCESS_KEY_ID", "AK"), ("AWS_SECRET_ACCESS_KEY", "SK")];
        let token = [keys[0], keys[1], ("AWS_SESSION_TOKEN", "ST")];
        let identity = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
            ("AWS_ROLE_ARN", "arn:base"),
        ];
        let container = [(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/",
        )];
        for (env, profiles, file, base, source) in [
            (
                &keys[..],
                "",
                false,
                "aws_secret_access_key = SK",
                "source_profile = amid-base",
            ),
            (
                &token,
                "",
                false,
                "aws_session_token = ST",
                "source_profile = amid-base",
            ),
            (
                &identity,
                "",
                false,
                "web_identity_token_file = /token",
                "source_profile = amid-base",
            ),
            (
                &[("AWS_PROFILE", "ops")],
                "[profile ops]\nregion = x\n",
                false,
                "[profile ops]",
                "source_profile = ops",
            ),
            (
                &container,
                "[default]\n",
                true,
                "",
                "credential_source = EcsContainer",
            ),
            (
                &[],
                "[default]\nregion = x\n",
                false,
                "[default]",
                "source_profile = default",
            ),
            (&[], "", true, "", "source_profile = default"),
            (
                &[],
                "",
                false,
                "",
                "credential_source = Ec2InstanceMetadata",
            ),
        ] {
            let all = of(env, profiles, file);
            let text = all.profiles.unwrap();
            assert!(text.contains(base), "{text}");
            let (_, target) = text.split_once("[profile amid-target]\n").unwrap();
            assert!(target.contains(&format!("role_arn = {ROLE}\n")), "{text}");
            assert!(target.ends_with(&format!("{source}\n")), "{text}");
            assert_eq!(all.set["AWS_PROFILE"], "amid-target");
            assert_eq!(all.set["AWS_CONFIG_FILE"], "/state/aws/0");
            // They would go before the profile.
            assert!(all.unset.iter().any(|name| name == "AWS_ACCESS_KEY_ID"));
        }
    }
}
