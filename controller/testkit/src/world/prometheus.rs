//! A real Prometheus with this repository's alerts, that watches the `amid` of a stage while scenes play.
//!
//! It scrapes and evaluates once a second, which is more often than anybody would, so that nothing short is
//! missed. Alerts wait for minutes and hours before they fire; what is pending at the end would fire with time,
//! and counts as well. It listens on loopback, and is gone with its folder when it is dropped.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{
    daemon::{free_address, http_get},
    last_lines,
    stage::SOON,
};
use crate::{lifetime::Guarded, timeline::Scribe};

/// Longer than it takes to start on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Longer than any scenes play one after the other.
const SPAN: &str = "3h";
/// What every roll makes pending for a while: it says that rules see this `amid`.
const SEEN: &str = "AmidAppNotAsDesired";

/// The running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    http: SocketAddr,
    child: Guarded,
    // Last, so that it is removed when the program is gone.
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts `program` with the alerts and rules of the checkout; it watches `amid`, which need not run yet.
    pub async fn start(program: &Path, checkout: &Path, amid: SocketAddr) -> Result<Prometheus> {
        let folder = tempfile::Builder::new()
            .prefix("amid-prometheus-")
            .tempdir()
            .context("Failed to make a temporary folder")?;
        let rules = checkout.join("dashboards");
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules.join("alerts.yaml"), rules.join("rules.yaml")],
            "scrape_configs": [{
                "job_name": "amid",
                "static_configs": [{ "targets": [amid.to_string()] }],
            }],
        });
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config.to_string()).context("Failed to configure Prometheus")?;
        let log = File::create(folder.path().join("log")).context("Failed to create a log file")?;
        let errors = log.try_clone().context("Failed to share a log file")?;
        let http = free_address()?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={http}"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let mut prometheus = Prometheus {
            http,
            child: Guarded::spawn(&mut command)?,
            folder,
        };
        let deadline = Instant::now() + START;
        while !matches!(http_get(http, "/-/ready").await, Ok((200, _))) {
            ensure!(
                prometheus.child.status()?.is_none() && Instant::now() < deadline,
                "Prometheus did not start: {}",
                prometheus.log_end()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(prometheus)
    }

    /// Checks that rules saw `amid` at work, that no alert fired, and that none is left that would fire with time.
    pub async fn check(&mut self, scribe: &Scribe) -> Result<()> {
        let seen = self
            .ever(&format!("alertname=\"{SEEN}\",alertstate=\"pending\""))
            .await?;
        scribe.check_or("Prometheus saw amid roll", !seen.is_empty(), || {
            format!("{SEEN} was never pending: {}", self.log_end())
        });
        let fired = self.ever("alertstate=\"firing\"").await?;
        scribe.check_or("no alert fired", fired.is_empty(), || fired.join("; "));
        let deadline = Instant::now() + SOON;
        let mut raised = self.raised().await?;
        while !raised.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_secs(1)).await;
            raised = self.raised().await?;
        }
        scribe.check_or(
            "no alert is left that would fire with time",
            raised.is_empty(),
            || raised.join("; "),
        );
        Ok(())
    }

    /// Alerts that were so at any time.
    async fn ever(&self, so: &str) -> Result<Vec<String>> {
        let query = format!("max_over_time(ALERTS{{{so}}}[{SPAN}])");
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &query)
            .finish();
        let found = self.ask(&format!("query?{query}")).await?;
        let found = found["result"].as_array();
        let found = found.context("Prometheus gave no result")?;
        Ok(found.iter().map(|one| one["metric"].to_string()).collect())
    }

    /// Alerts that are pending or fire, and rules that cannot be evaluated.
    async fn raised(&self) -> Result<Vec<String>> {
        let answer = self.ask("rules").await?;
        let groups = answer["groups"].as_array();
        let groups = groups.context("Prometheus has no rules")?;
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array())
            .flatten();
        let mut raised = Vec::new();
        for rule in rules {
            let state = rule["state"].as_str().unwrap_or("inactive");
            if rule["health"] == "err" {
                raised.push(format!("{}: {}", rule["name"], rule["lastError"]));
            } else if state != "inactive" {
                raised.push(format!("{} is {state}: {}", rule["name"], rule["alerts"]));
            }
        }
        Ok(raised)
    }

    async fn ask(&self, what: &str) -> Result<Value> {
        let (status, body) = http_get(self.http, &format!("/api/v1/{what}")).await?;
        ensure!(status == 200, "Prometheus refuses `{what}`: {body}");
        let mut answer: Value =
            serde_json::from_str(&body).context("Prometheus did not answer in JSON")?;
        Ok(answer["data"].take())
    }

    fn log_end(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log))
    }
}
