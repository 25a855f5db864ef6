//! What a scrape of the metrics of many apps costs, and how much it is.
//!
//! The clock starts before the connection and stops after the last byte; nothing else happens meanwhile but the
//! loop's own ticks and a sweep now and then.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{
    Scale, fleet, millis,
    report::{Bar, Row},
};
use crate::{scrape::Scrape, small::http_get};

pub(super) fn metrics(scale: &Scale) -> Result<Vec<Row>> {
    let mut small = fleet::world(&scale.amid, scale.apps, "4s")?;
    small.start()?;
    fleet::until_steady(&small, scale.apps)?;
    let page = small.listener("Metrics and status")?;
    let (mut samples, mut text) = (Vec::new(), String::new());
    for _ in 0..scale.scrapes {
        let began = Instant::now();
        let (status, scraped) = http_get(page, "/metrics")?;
        samples.push(millis(began.elapsed()));
        ensure!(status == 200, "The metrics answered {status}");
        text = scraped;
    }
    small.stop()?;
    let series = Scrape::read(&text)?.series;
    let of_apps = series.iter().filter(|one| one.labels.contains_key("app"));
    let per_app = of_apps.count() as f64 / scale.apps as f64;
    let what = format!("a scrape of {} apps", scale.apps);
    Ok(vec![
        Row::of_samples("metrics", &what, Bar::p99("ms", 20.0), samples),
        Row::of_one(
            "metrics-size",
            &format!("{what}: size"),
            Bar::max("MB", 2.0),
            text.len() as f64 / 1e6,
        ),
        Row::of_one(
            "metrics-series",
            &format!("{what}: series an app"),
            Bar::max("series", 40.0),
            per_app,
        ),
    ])
}
