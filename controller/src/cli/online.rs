//! `amid validate --online`: whether the images that manifests name can be
//! launched where their apps live, asked of AWS itself.

use std::collections::BTreeMap;
use std::path::Path;

use amid_core::manifest::parse::{Source, parse};
use amid_core::model::{AmiId, AppName};
use amid_core::observe::ImageFact;
use amid_core::retention::Launchable;
use anyhow::ensure;

use super::validate;
use crate::aws::{Aws, Counter};
use crate::cleanup::online;
use crate::config::{Config, Target};
use crate::daemon;

/// What to look at when AWS cannot be asked.
const NEEDS: &str = "`--online` needs credentials that may call `sts:GetCallerIdentity`, `ec2:DescribeImages` and \
                     `ec2:DescribeInstanceTypes`";

/// An app, and what the check needs of its manifest.
struct Wanted {
    app: AppName,
    ami: AmiId,
    instance_types: Vec<String>,
}

/// Asks about the image of every manifest below `path` and prints each that
/// cannot be launched as it is. Returns whether all can.
///
/// # Errors
///
/// When a manifest cannot be read, or nothing can be printed.
pub async fn check(
    config: &Config,
    path: &Path,
    out: &mut impl std::io::Write,
) -> anyhow::Result<bool> {
    let read = validate::read(path)?;
    let sources: Vec<Source<'_>> = read
        .iter()
        .map(|(path, bytes)| Source { path, bytes })
        .collect();
    let mut wanted: BTreeMap<usize, Vec<Wanted>> = BTreeMap::new();
    let (mut asked, mut bad) = (0, 0);
    for (app, manifest) in parse(&sources).apps {
        // Mistakes were printed by the check without AWS.
        let Ok(manifest) = manifest else { continue };
        asked += 1;
        match config.target(&app) {
            Some(target) => wanted.entry(target).or_default().push(Wanted {
                ami: manifest.ami.clone(),
                instance_types: manifest.instance_types.clone(),
                app,
            }),
            None => {
                bad += 1;
                writeln!(
                    out,
                    "{}: no entry of `targets` in the config fits it",
                    file(&app)
                )?;
            }
        }
    }
    for (index, apps) in wanted {
        let Some(target) = config.targets.get(index) else {
            continue;
        };
        match answers(target, &apps).await {
            Ok(answers) => {
                for (wanted, answer) in apps.iter().zip(answers) {
                    bad += usize::from(!answer.can_be_launched);
                    if let Some(words) = answer.words {
                        writeln!(out, "{}: {}: {words}", file(&wanted.app), wanted.ami)?;
                    }
                }
            }
            Err(error) => {
                bad += apps.len();
                let (account, region) = (&target.account_id, &target.region);
                writeln!(out, "{account} {region}: AWS cannot be asked: {error:#}")?;
                writeln!(out, "  {NEEDS}")?;
            }
        }
    }
    let images = if asked == 1 { "image" } else { "images" };
    match bad {
        0 => writeln!(
            out,
            "asked AWS about {asked} {images}, each can be launched"
        )?,
        _ => writeln!(
            out,
            "asked AWS about {asked} {images}, cannot be launched or not known: {bad}"
        )?,
    }
    Ok(bad == 0)
}

fn file(app: &AppName) -> String {
    format!("desired/{app}.json")
}

/// What AWS says of the image of one app.
struct Answer {
    can_be_launched: bool,
    /// What there is to say of it; nothing where all is well.
    words: Option<String>,
}

/// What one account and region says of the images of its apps, in their order.
async fn answers(target: &Target, apps: &[Wanted]) -> anyhow::Result<Vec<Answer>> {
    let aws = Aws::connect(&daemon::place(target), Counter::none()).await;
    // Another account would answer, too, and know none of the images.
    let account = aws.account().await?;
    ensure!(
        account == target.account_id,
        "the credentials are those of account {account}"
    );
    let images: Vec<AmiId> = apps.iter().map(|wanted| wanted.ami.clone()).collect();
    let mut answers = Vec::new();
    for (wanted, one) in apps.iter().zip(online(&aws, &images).await?) {
        let answer = match one.launchable {
            Launchable::Yes => misfit(&aws, wanted).await?,
            Launchable::NotOurs => Answer {
                can_be_launched: false,
                words: Some(format!(
                    "it does not exist in {account} {}, or is not shared with that account",
                    target.region
                )),
            },
            launchable => Answer {
                can_be_launched: launchable.needs_healing(),
                words: Some(launchable.to_string()),
            },
        };
        answers.push(answer);
    }
    Ok(answers)
}

/// Whether an image that can be launched fits the instance types.
async fn misfit(aws: &Aws, wanted: &Wanted) -> anyhow::Result<Answer> {
    let fact = aws.image(&wanted.ami, &wanted.instance_types).await?;
    let words = match fact {
        ImageFact::Available {
            architecture,
            misfit: Some((kind, runs)),
        } => Some(format!(
            "its architecture is {architecture}, and {kind} runs {runs}"
        )),
        _ => None,
    };
    Ok(Answer {
        can_be_launched: words.is_none(),
        words,
    })
}
