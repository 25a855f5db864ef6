//! What the decision of clean-up costs on a large account.
//!
//! The core is pure, so that its own example measures it in a process of its own; this reads what it prints.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::report::{Bar, Row};

/// What the example prints.
#[derive(Deserialize)]
struct Printed {
    images: u64,
    launch_template_versions: u64,
    samples_ms: Vec<f64>,
    memory_beyond_inputs_kib: Option<u64>,
}

/// Runs the example, which lies beside the benchmarks' own program.
pub(super) fn decision(example: &Path) -> Result<Vec<Row>> {
    let output = Command::new(example).output().with_context(|| {
        format!(
            "Failed to run {}: `make bench` builds it",
            example.display()
        )
    })?;
    ensure!(output.status.success(), "It ended with {}", output.status);
    let printed: Printed =
        serde_json::from_slice(&output.stdout).context("Failed to read what it printed")?;
    let what = format!(
        "clean-up's decision: {} images, {} versions of launch templates",
        printed.images, printed.launch_template_versions
    );
    let memory = printed
        .memory_beyond_inputs_kib
        .context("The kernel does not tell the peak of the memory")?;
    Ok(vec![
        Row::of_samples(
            "cleanup",
            &what,
            Bar::median("ms", 100.0),
            printed.samples_ms,
        ),
        Row::of_one(
            "cleanup-memory",
            &format!("{what}: memory beyond the inputs"),
            Bar::max("MiB", 64.0),
            memory as f64 / 1024.0,
        ),
    ])
}
