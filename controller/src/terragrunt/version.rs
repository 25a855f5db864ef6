//! Which version a tool says that it is.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};

/// Runs `program --version` and gives the first word of its answer that
/// begins with a digit, or with `v` and a digit.
///
/// # Errors
///
/// When it is missing, fails, or does not answer within 20 s.
#[expect(clippy::disallowed_methods, reason = "asks a tool for its version")]
pub async fn version(program: &Path) -> anyhow::Result<String> {
    let run = tokio::process::Command::new(program)
        .arg("--version")
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(20), run)
        .await
        .with_context(|| format!("`{} --version` does not answer", program.display()))?
        .with_context(|| format!("Failed to start `{}`", program.display()))?;
    if !output.status.success() {
        bail!(
            "`{} --version` ended with {}",
            program.display(),
            output.status
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.split_whitespace().find(|word| {
        let number = word.strip_prefix('v').unwrap_or(word);
        number.starts_with(|c: char| c.is_ascii_digit())
    });
    Ok(found.unwrap_or("of an unknown version").to_owned())
}
