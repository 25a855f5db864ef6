//! How long each part of the way took.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{timeline::Scribe, world::stage::ROLL};

/// A list of parts, each with its time.
pub(super) struct Parts {
    scribe: Scribe,
    done: Vec<(String, Duration)>,
}

impl Parts {
    pub(super) fn new(scribe: Scribe) -> Parts {
        Parts {
            scribe,
            done: Vec::new(),
        }
    }

    /// Plays a part, says how long it took, and keeps that.
    pub(super) async fn time<T>(
        &mut self,
        name: &str,
        part: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let outcome = tokio::time::timeout(ROLL, part)
            .await
            .with_context(|| format!("Not done in time: {name}"))?
            .with_context(|| format!("This part failed: {name}"))?;
        let took = began.elapsed();
        let seconds = took.as_secs_f32();
        self.scribe.note(&format!("{name} ({seconds:.1} s)"));
        self.done.push((name.to_owned(), took));
        Ok(outcome)
    }

    /// All of them, and their sum.
    pub(super) fn tell(&self) {
        let all = self.done.iter().map(|(_, took)| *took).sum();
        let rows = self.done.iter().map(|(name, took)| (name.as_str(), *took));
        let lines: Vec<String> = rows
            .chain([("from the edit to the end of the roll", all)])
            .map(|(name, took): (&str, Duration)| format!("{:>6.1} s  {name}", took.as_secs_f32()))
            .collect();
        self.scribe.block(&lines.join("\n"));
    }
}
