//! What AWS says of an image before it is rolled, and what an interrupted
//! apply left of its release.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use aws_sdk_ec2::types::Filter;
use jiff::Timestamp;

use amid_core::model::{AmiId, AppName, ReleaseKey};
use amid_core::observe::{ImageFact, Leftover};

use super::{Aws, code};

/// The most values of one filter: EC2's own limit.
const FILTER_VALUES: usize = 200;

impl Aws {
    /// Whether `ami` can be launched on each of `instance_types`.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked.
    pub async fn image(&self, ami: &AmiId, instance_types: &[String]) -> anyhow::Result<ImageFact> {
        self.image_in(&["available"], ami, instance_types).await
    }

    /// The same, as if the image were not disabled.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked.
    pub async fn image_once_enabled(
        &self,
        ami: &AmiId,
        instance_types: &[String],
    ) -> anyhow::Result<ImageFact> {
        self.image_in(&["available", "disabled"], ami, instance_types)
            .await
    }

    async fn image_in(
        &self,
        states: &[&str],
        ami: &AmiId,
        instance_types: &[String],
    ) -> anyhow::Result<ImageFact> {
        let answer = self
            .ec2
            .describe_images()
            .image_ids(ami.as_str())
            .include_disabled(true)
            .send()
            .await;
        let answer = match self.counted("ec2", "DescribeImages", answer) {
            Ok(answer) => answer,
            Err(error)
                if matches!(
                    code(&error),
                    Some("InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable")
                ) =>
            {
                return Ok(ImageFact::Missing);
            }
            Err(error) => return Err(error),
        };
        let Some(image) = answer.images.unwrap_or_default().into_iter().next() else {
            return Ok(ImageFact::Missing);
        };
        let state = image
            .state
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default();
        if state == "deregistered" {
            return Ok(ImageFact::Missing);
        }
        if !states.contains(&state.as_str()) {
            return Ok(ImageFact::NotAvailable { state });
        }
        let architecture = image
            .architecture
            .map(|architecture| architecture.as_str().to_owned())
            .unwrap_or_default();
        let misfit = self.misfit(&architecture, instance_types).await?;
        Ok(ImageFact::Available {
            architecture,
            misfit,
        })
    }

    /// When these images were made; one that AWS does not show is left out.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked.
    pub async fn image_dates(
        &self,
        amis: &BTreeSet<AmiId>,
    ) -> anyhow::Result<BTreeMap<AmiId, Timestamp>> {
        let amis: Vec<&AmiId> = amis.iter().collect();
        let mut dates = BTreeMap::new();
        for some in amis.chunks(FILTER_VALUES) {
            // As a filter: an id that is gone would be an error otherwise.
            let ids = some.iter().map(ToString::to_string).collect();
            let filter = Filter::builder().name("image-id").set_values(Some(ids));
            let answer = self
                .ec2
                .describe_images()
                .filters(filter.build())
                .include_disabled(true)
                .include_deprecated(true)
                .send()
                .await;
            let answer = self.counted("ec2", "DescribeImages", answer)?;
            for image in answer.images.unwrap_or_default() {
                let ami = image.image_id.and_then(|id| AmiId::parse(&id).ok());
                let date = image.creation_date.and_then(|date| date.parse().ok());
                if let (Some(ami), Some(date)) = (ami, date) {
                    dates.insert(ami, date);
                }
            }
        }
        Ok(dates)
    }

    /// The first of `instance_types` that cannot run `architecture`, and what
    /// it runs instead.
    async fn misfit(
        &self,
        architecture: &str,
        instance_types: &[String],
    ) -> anyhow::Result<Option<(String, String)>> {
        let types = instance_types
            .iter()
            .map(|name| aws_sdk_ec2::types::InstanceType::from(name.as_str()))
            .collect();
        let answer = self
            .ec2
            .describe_instance_types()
            .set_instance_types(Some(types))
            .send()
            .await;
        let answer = self.counted("ec2", "DescribeInstanceTypes", answer)?;
        for kind in answer.instance_types.unwrap_or_default() {
            let runs: Vec<String> = kind
                .processor_info
                .and_then(|processor| processor.supported_architectures)
                .unwrap_or_default()
                .iter()
                .map(|architecture| architecture.as_str().to_owned())
                .collect();
            if !runs.is_empty() && !runs.iter().any(|runs| runs == architecture) {
                let name = kind.instance_type.map(|name| name.as_str().to_owned());
                return Ok(Some((name.unwrap_or_default(), runs.join(" or "))));
            }
        }
        Ok(None)
    }

    /// The launch template of a release, if AWS has one.
    ///
    /// # Errors
    ///
    /// When EC2 cannot be asked.
    pub async fn leftover(
        &self,
        app: &AppName,
        key: &ReleaseKey,
        group: Option<&str>,
    ) -> anyhow::Result<Option<Leftover>> {
        let name = app.group_name(key);
        let answer = self
            .ec2
            .describe_launch_templates()
            .launch_template_names(&name)
            .send()
            .await;
        let answer = match self.counted("ec2", "DescribeLaunchTemplates", answer) {
            Ok(answer) => answer,
            Err(error)
                if code(&error)
                    .is_some_and(|code| code.starts_with("InvalidLaunchTemplateName.NotFound")) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(template) = answer
            .launch_templates
            .unwrap_or_default()
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        Ok(Some(Leftover {
            template_id: template
                .launch_template_id
                .context("EC2 listed a launch template without an id")?,
            group_name: group.map(ToOwned::to_owned),
            ami: None,
        }))
    }
}
