//! Cleaners of images beside each other: which needed images each would delete.
//!
//! One account of a thousand images, with images that are needed for every reason that the project knows
//! ([`account`]), is read by the real `amid gc` in report mode, by Cloud Custodian and by aws-amicleaner
//! (`bench/cleaners.py`). Each reads it from moto and, as a check that both accounts are the same and since moto
//! cannot hold all of it, from the stand-in as well. Ours reads moto through the project's proxy, which plays what
//! moto does not answer. The table is bench/CLEANERS.md.

mod account;
mod cloud;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use amid_core::manifest::parse::{Source, parse_one};
use anyhow::{Context, Result, anyhow, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    account::{Account, NEWEST, OLDER_THAN_DAYS},
    table::Page,
};
use super::{
    Scale, fleet,
    report::{Bar, Row},
};
use crate::{
    proxy::Proxy,
    small::{Options, Small, manifest},
};

/// The app that was rolled.
const APP: &str = "demo/todo";
/// Where the table goes, from the checkout's root.
const TABLE: &str = "bench/CLEANERS.md";
/// The script prints no more.
const LARGEST_ANSWER: u64 = 64 << 20;

/// What a tool would do with the account.
#[derive(Debug, Deserialize)]
struct Answer {
    tool: String,
    version: String,
    /// Whose answers it read: `moto` or `stand-in`.
    on: String,
    /// How it was called, for people.
    called: String,
    /// From start to end.
    seconds: f64,
    would_delete: BTreeSet<String>,
    /// Why it could not be run.
    error: Option<String>,
    /// Why it keeps what it keeps, by image, where it says so.
    #[serde(default)]
    reasons: BTreeMap<String, BTreeSet<String>>,
}

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Printed {
    answers: Vec<Answer>,
    /// What of the account moto cannot hold: the field, and why.
    moto_lacks: BTreeMap<String, String>,
    /// Where moto listens until the script's input ends.
    moto: String,
}

pub(super) fn compare(scale: &Scale) -> Result<Vec<Row>> {
    let now = Timestamp::now();
    let account = Account::planted(now)?;
    let mut small = world(&scale.amid, &account, now)?;
    let (ours, again) = ours(&mut small, "stand-in")?;
    let (printed, on_moto) = others(&small, &account, |moto| {
        on_moto(&scale.amid, &account, moto, now)
    })?;
    small.stop()?;
    let mut answers = vec![ours, on_moto];
    answers.extend(printed.answers);
    let page = Page {
        account: &account,
        answers: &answers,
        moto_lacks: &printed.moto_lacks,
        again,
        now,
    };
    let text = page.text();
    match scale.is_quick {
        true => eprintln!("{text}"),
        false => fs::write(TABLE, text).with_context(|| format!("Failed to write {TABLE}"))?,
    }
    Ok(rows(&account, &answers))
}

fn rows(account: &Account, answers: &[Answer]) -> Vec<Row> {
    let count = |of: usize| f64::from(u32::try_from(of).unwrap_or(u32::MAX));
    let lost = |answer: &Answer| -> usize {
        let needed = account.needed.iter().flat_map(|kind| &kind.ids);
        needed
            .filter(|id| answer.would_delete.contains(*id))
            .count()
    };
    let mut rows = Vec::new();
    if let Some(ours) = answers.first() {
        let what = format!(
            "needed images of an account of {} that clean-up would delete; others: CLEANERS.md",
            account.images.len()
        );
        rows.push(Row::of_one(
            "cleaners",
            &what,
            Bar::max("images", 0.0),
            count(lost(ours)),
        ));
        rows.push(Row::without_bar(
            "cleaners-time",
            "start of the daemon → first report of that account",
            "ms",
            vec![ours.seconds * 1e3],
        ));
    }
    rows
}

/// The stand-in with the account, and a repository with what only git knows.
fn world(amid: &Path, account: &Account, now: Timestamp) -> Result<Small> {
    let mut cloud = account.cloud(now)?;
    let rolled = manifest(APP, &account.ours.rolled);
    let source = Source {
        path: "desired/demo/todo.json",
        bytes: rolled.as_bytes(),
    };
    let read = parse_one(&source)
        .map_err(|problems| anyhow!("The benchmark's own manifest is bad: {problems:?}"))?;
    let key = read.settings().key();
    fleet::add_group(&mut cloud, APP, &account.ours.rolled, key.as_str())?;
    let mut options = Options::of(amid);
    options.cloud = Some(cloud);
    options.sweep = "30s".to_owned();
    // The policies of the others say the same: an age, and the newest of each family.
    let cleanup = json!({
        "interval": "1h",
        "policy": {
            "mode": "report",
            "claims": [{ "name": "*" }],
            "default": {
                "keep_newest": NEWEST,
                "min_age": format!("{OLDER_THAN_DAYS}d"),
                "not_launched_for": "0s"
            }
        }
    });
    options.config.insert("cleanup".to_owned(), cleanup);
    let small = Small::new(options)?;
    for image in &account.ours.window {
        small.push(&Small::app_files(APP, image), "Bump")?;
    }
    let mut files = Small::app_files(APP, &account.ours.rolled);
    for (at, image) in account.ours.head.iter().enumerate() {
        files.extend(suspended(&format!("demo/next-{at}"), image)?);
    }
    let head = small.push(&files, "Bump, and prepare the next ones")?;
    for (kind, images) in [
        ("heads/feature", &account.ours.branch),
        ("tags/v", &account.ours.tag),
    ] {
        for (at, image) in images.iter().enumerate() {
            let text = manifest(APP, image);
            small.person.commit(&[(source.path, text)], "Try")?;
            small.person.push_as(&format!("refs/{kind}-{at}"))?;
            small.person.reset(head)?;
        }
    }
    for (at, image) in account.ours.state.iter().enumerate() {
        let address = format!("aws_instance.forgotten[\"{at}\"]");
        let unit = format!("live/{APP}/app");
        small
            .stub
            .put_in_state(&unit, &address, json!({ "ami": image }))?;
    }
    Ok(small)
}

/// An app that waits for its roll.
fn suspended(app: &str, image: &str) -> Result<[(String, Vec<u8>); 2]> {
    let mut value: Value =
        serde_json::from_str(&manifest(app, image)).context("Not JSON: a manifest")?;
    value["suspend"] = json!({ "reason": "waits for its turn" });
    let text = format!("{value:#}\n").into_bytes();
    Ok([(format!("desired/{app}.json"), text), Small::unit_file(app)])
}

/// What `amid gc` says, and how many seconds a second run takes.
fn ours(small: &mut Small, on: &str) -> Result<(Answer, f64)> {
    let began = Instant::now();
    small.start()?;
    let mut found = Value::Null;
    small.until("clean-up ran once", |small| {
        found = report(small, &["gc", "-o", "json"])?;
        Ok(found["places"].is_array())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let second = report(small, &["gc", "--now", "-o", "json"])?;
    let again = began.elapsed().as_secs_f64();
    let first = would_delete(&found)?;
    let would = would_delete(&second)?;
    ensure!(
        first == would,
        "Two runs of amid over the same account differ"
    );
    let version = small.cli(&["--version"])?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let version = version.trim_start_matches("amid ");
    let answer = Answer {
        tool: "amid".to_owned(),
        version: match cfg!(debug_assertions) {
            true => format!("{version} (without optimisations)"),
            false => version.to_owned(),
        },
        on: on.to_owned(),
        called: format!(
            "`amid gc` of a daemon whose policy claims every image that is {OLDER_THAN_DAYS} days old and none of \
             its family's newest {NEWEST}; an image goes where nothing keeps it"
        ),
        seconds,
        would_delete: would,
        error: None,
        reasons: reasons(&second),
    };
    Ok((answer, again))
}

fn report(small: &Small, args: &[&str]) -> Result<Value> {
    let output = small.cli(args)?;
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// The images that nothing keeps; an error where the run did not read everything.
fn would_delete(report: &Value) -> Result<BTreeSet<String>> {
    let place = &report["places"][0];
    let blockers = place["blockers"].as_array();
    let blockers = blockers.with_context(|| format!("amid gc said: {report}"))?;
    for blocker in blockers {
        ensure!(
            matches!(
                blocker["label"].as_str(),
                Some("report_mode" | "first_runs")
            ),
            "amid did not read the whole account: {blocker}"
        );
    }
    let images = place["images"].as_array();
    let images = images.context("amid gc shows no images")?;
    let leaving = images
        .iter()
        .filter(|image| image["keeps"].as_array().is_some_and(Vec::is_empty))
        .filter_map(|image| image["ami"].as_str());
    Ok(leaving.map(str::to_owned).collect())
}

/// The labels of the reasons for which each image is kept.
fn reasons(report: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let images = report["places"][0]["images"].as_array();
    let reasons = images.into_iter().flatten().filter_map(|image| {
        let keeps = image["keeps"].as_array()?.iter();
        let labels = keeps.filter_map(|keep| keep["label"].as_str());
        let labels = labels.map(str::to_owned).collect();
        Some((image["ami"].as_str()?.to_owned(), labels))
    });
    reasons.collect()
}

/// The same of the account in moto, through the proxy that plays what moto does not answer.
fn on_moto(amid: &Path, account: &Account, moto: &str, now: Timestamp) -> Result<Answer> {
    let address = moto.trim_start_matches("http://").parse();
    let proxy = Proxy::start(address.context("moto has no address")?)?;
    let mut small = world(amid, account, now)?;
    let targets = json!([{
        "prefix": "demo/",
        "account_id": account.account,
        "region": account.region,
        "endpoint_url": proxy.endpoint(),
    }]);
    small.reconfigure(|options| {
        options.config.insert("targets".to_owned(), targets);
    })?;
    let (answer, _) = ours(&mut small, "moto")?;
    small.stop()?;
    Ok(answer)
}

/// The other tools, by the script, and what is done with its moto while that is there.
fn others<T>(
    small: &Small,
    account: &Account,
    meanwhile: impl FnOnce(&str) -> Result<T>,
) -> Result<(Printed, T)> {
    let python = env::var_os("AMID_CLEANERS_PYTHON").map(PathBuf::from);
    let python = python.context(
        "AMID_CLEANERS_PYTHON does not name the Python that has the other cleaners: run `scripts/bench.sh cleaners`",
    )?;
    let script = env::var_os("AMID_CHECKOUT").map_or_else(PathBuf::new, PathBuf::from);
    let script = script.join("bench/cleaners.py");
    let file = small.folder().join("account.json");
    fs::write(&file, serde_json::to_vec(account)?).context("Failed to write the account")?;
    let mut child = Command::new(&python)
        .arg(&script)
        .arg(&file)
        .args(["--stand-in", &small.standin.endpoint()])
        .args(["--older-than-days", &OLDER_THAN_DAYS.to_string()])
        .args(["--keep", &NEWEST.to_string()])
        .current_dir(small.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("Failed to run {}", python.display()))?;
    let input = child.stdin.take();
    let output = child.stdout.take().context("The script has no output")?;
    let mut line = String::new();
    BufReader::new(output.take(LARGEST_ANSWER))
        .read_line(&mut line)
        .context("Failed to hear from the script")?;
    let printed: Result<Printed> =
        serde_json::from_str(&line).context("Failed to read what the script printed");
    let done = printed.and_then(|printed| {
        let done = meanwhile(&printed.moto)?;
        Ok((printed, done))
    });
    drop(input);
    let status = child.wait().context("Failed to wait for the script")?;
    ensure!(status.success(), "{} ended with {status}", script.display());
    done
}
