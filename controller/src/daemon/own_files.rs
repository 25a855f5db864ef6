//! What runs of terragrunt get to know of a target: profiles of AWS, made of those of amid's own user.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::aws::{self, Surroundings};
use crate::store::{read_bounded, write_atomic};

/// The files of AWS profiles of amid's own user.
pub(super) struct OwnFiles {
    profiles: String,
    has_credentials: bool,
}

impl OwnFiles {
    /// The most of a file of profiles that is read, in bytes.
    const MAX: u64 = 1 << 20;

    /// Reads them; `env` says where they are.
    pub(super) fn read(env: &BTreeMap<String, String>) -> Self {
        let [profiles, credentials] = aws::own_files(env);
        let text = profiles
            .filter(|file| file.is_file())
            .and_then(|file| read_bounded(&file, Self::MAX).ok());
        Self {
            profiles: String::from_utf8_lossy(&text.unwrap_or_default()).into_owned(),
            has_credentials: credentials.is_some_and(|file| file.is_file()),
        }
    }

    /// What the target at `index` changes in the environment of its runs; its
    /// profiles are written.
    pub(super) fn surroundings(
        &self,
        place: &aws::Place,
        env: &BTreeMap<String, String>,
        state: &Path,
        index: usize,
    ) -> anyhow::Result<Surroundings> {
        let folder = state.join("aws");
        let file = folder.join(format!("target-{index}"));
        let own = aws::Own {
            env,
            profiles: &self.profiles,
            has_credentials: self.has_credentials,
        };
        let surroundings = Surroundings::of(place, own, &file);
        if let Some(profiles) = &surroundings.profiles {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("Failed to make `{}`", folder.display()))?;
            write_atomic(&file, profiles.as_bytes())?;
        }
        Ok(surroundings)
    }
}
