//! Whether an image can be launched, for a roll that is about to begin and for
//! a pull request; and bringing one back that clean-up has marked.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;

use amid_core::model::AmiId;
use amid_core::retention::{
    self, Circumstances, Inventory, Launchable, Listing, Place, References, preflight,
};

use super::perform::Pace;
use crate::aws::{Aws, is_throttled};

/// How often a request is tried again when AWS wants fewer of them.
const PATIENCE: u32 = 5;
/// Between two tries, longer each time.
const WAIT: std::time::Duration =
    std::time::Duration::from_millis(if cfg!(test) { 5 } else { 500 });

/// What AWS says of an image that a manifest names.
#[derive(Clone, Debug)]
pub struct Online {
    /// The image.
    pub ami: AmiId,
    /// Whether it can be launched.
    pub launchable: Launchable,
}

/// Asks about images, wherever they belong.
///
/// # Errors
///
/// When they cannot be read to the end.
pub async fn online(aws: &Aws, images: &[AmiId]) -> anyhow::Result<Vec<Online>> {
    let list = aws.images_by_id(images).await;
    if let Some(why) = list.incomplete {
        anyhow::bail!("{why}");
    }
    let inventory = only_images(list.items);
    let answers = images.iter().map(|ami| Online {
        ami: ami.clone(),
        launchable: preflight(&inventory, ami),
    });
    Ok(answers.collect())
}

/// Brings back images that a roll needs and this controller has marked.
#[derive(Clone, Debug)]
pub struct Healer {
    controller: String,
    pace: Arc<Pace>,
}

impl Healer {
    /// A healer of what carries the name of `controller`, at the pace that it
    /// shares with clean-up.
    pub fn new(controller: String, pace: Arc<Pace>) -> Self {
        Self { controller, pace }
    }

    /// The pace that is shared.
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Brings an image back, and says in words what it was; `None` where nothing
    /// was to be done. A roll calls it before it launches the image.
    ///
    /// # Errors
    ///
    /// When AWS refuses: the image must not be launched then.
    pub async fn heal(
        &self,
        aws: &Aws,
        ami: &AmiId,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        // A run that was about to disable it stops before its next request: git
        // moved. The one that is under way is waited for.
        let _hands = self.pace.hands().await;
        let Some((image, mut action)) = self.due(aws, ami, now).await? else {
            return Ok(None);
        };
        // A deregistration that was begun is marked on the snapshots alone.
        if !image.snapshots.is_empty() {
            let snapshots = image.snapshots.iter().cloned();
            action.calls.insert(
                0,
                retention::Call::DeleteTags {
                    resources: snapshots.map(retention::Resource::Snapshot).collect(),
                    keys: vec![retention::marks::DEREGISTERING.to_owned()],
                },
            );
        }
        let was = preflight(&only_images(vec![image]), ami).to_string();
        for call in &action.calls {
            let mut tries = 0;
            loop {
                self.pace.turn().await;
                match aws.perform(call).await {
                    Err(error) if is_throttled(&error) && tries < PATIENCE => {
                        tries += 1;
                        tokio::time::sleep(WAIT * tries).await;
                    }
                    other => {
                        other.with_context(|| format!("Failed to bring {ami} back"))?;
                        break;
                    }
                }
            }
        }
        Ok(Some(was))
    }

    /// What [`Healer::heal`] would say, without doing it.
    ///
    /// # Errors
    ///
    /// When AWS cannot be asked.
    pub async fn leaving(
        &self,
        aws: &Aws,
        ami: &AmiId,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        let due = self.due(aws, ami, now).await?;
        Ok(due.map(|(image, _)| preflight(&only_images(vec![image]), ami).to_string()))
    }

    /// The image, where this controller has marked it, and what undoes that.
    async fn due(
        &self,
        aws: &Aws,
        ami: &AmiId,
        now: Timestamp,
    ) -> anyhow::Result<Option<(retention::Image, retention::Action)>> {
        let list = aws.images_by_id(std::slice::from_ref(ami)).await;
        if let Some(why) = list.incomplete {
            anyhow::bail!("Failed to look at {ami}: {why}");
        }
        let Some(image) = list.items.into_iter().find(|image| image.ami == *ami) else {
            return Ok(None);
        };
        let by = image.tags.get(retention::marks::BY);
        if by.is_some_and(|by| *by != self.controller) {
            // Another controller's mark is left to it.
            return Ok(None);
        }
        let action = retention::heal(&image, &[], now);
        Ok(action.map(|action| (image, action)))
    }
}

fn only_images(images: Vec<retention::Image>) -> Inventory {
    Inventory {
        place: Place {
            account: String::new(),
            region: String::new(),
        },
        taken_at: Timestamp::UNIX_EPOCH,
        images: Listing::complete(images),
        snapshots: Listing::default(),
        references: References::default(),
        elsewhere: Vec::new(),
        second_opinion: BTreeMap::new(),
        circumstances: Circumstances::default(),
    }
}
