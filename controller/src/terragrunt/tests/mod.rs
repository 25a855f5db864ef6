//! Tests of the runner against stub programs, and once against the real ones.

mod hazards;
mod orphans;
mod real;
mod results;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use super::*;

/// A temporary state directory with a stub terragrunt and terraform.
struct Bench {
    dir: tempfile::TempDir,
}

/// Lines that a good plan prints.
const PLANNED: &str = r#"
say '{"type":"version","ui":"1.2"}'
say '{"type":"planned_change","change":{"resource":{"addr":"a.b[\"k\"]"},"action":"create"}}'
say '{"type":"change_summary","changes":{"add":1,"change":0,"remove":0,"operation":"plan"}}'
say '{"type":"outputs","outputs":{"releases":{"action":"update"},"memory":{"action":"noop"}}}'
"#;

/// Lines that a good apply prints.
const APPLIED: &str = r#"
say '{"type":"version","ui":"1.2"}'
say '{"type":"apply_complete","hook":{"resource":{"addr":"a.b[\"k\"]"},"action":"create"}}'
say '{"type":"change_summary","changes":{"add":1,"change":0,"remove":0,"operation":"apply"}}'
say '{"type":"outputs","outputs":{"releases":{"value":{"k":{}}},"wiring":{"value":"w"},"memory":{"value":"m"}}}'
"#;

impl Bench {
    /// A bench whose terragrunt runs `plan` for plans, and `other` for the rest.
    /// In the scripts `say` prints a line, `$unit` is the unit's own folder and
    /// `$out` the plan file; `counted` has a line per run.
    fn new(plan: &str, other: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        for name in ["bin", "work", "units"] {
            fs::create_dir(dir.path().join(name)).expect("mkdir");
        }
        let bench = Self { dir };
        bench.program(
            "terragrunt",
            &format!(
                r#"say() {{ printf '%s\n' "$1"; }}
unit="${{TG_DOWNLOAD_DIR%/cache}}"
echo "$5" >> "$unit/../../counted"
for arg in "$@"; do case "$arg" in -out=*) out="${{arg#-out=}}";; esac; done
if [ "$5" = plan ]; then
echo plan > "$out"
{plan}

else
:
{other}
fi
"#
            ),
        );
        bench.program("terraform", "exit 0\n");
        bench
    }

    /// Writes a script by way of another process: a file that this one has had
    /// open for writing may be busy for its forks.
    fn program(&self, name: &str, script: &str) {
        let draft = self.path("draft");
        fs::write(&draft, format!("#!/bin/sh\n{script}")).expect("write");
        let done = Command::new("install")
            .args(["-m", "755"])
            .args([&draft, &self.path(&format!("bin/{name}"))])
            .status()
            .expect("install");
        assert!(done.success());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tools(&self) -> Tools {
        Tools {
            terragrunt: self.path("bin/terragrunt"),
            terraform: self.path("bin/terraform"),
            parent_env: std::env::vars().collect(),
            env: BTreeMap::new(),
            plan_timeout: Duration::from_secs(60),
            apply_timeout: Duration::from_secs(60),
            memory_per_run: 1,
            clock: Timestamp::now,
        }
    }

    fn runner(&self) -> Terragrunt {
        self.runner_with(self.tools())
    }

    fn runner_with(&self, tools: Tools) -> Terragrunt {
        Terragrunt::with_permits(tools, self.path("units"), Permits::new(2))
    }

    fn unit(&self, runner: &Terragrunt) -> Unit {
        runner.unit("demo/todo", self.path("work"))
    }

    async fn plan(&self) -> Result<Planned, RunError> {
        let runner = self.runner();
        runner
            .plan(
                &self.unit(&runner),
                &Vars::default(),
                PlanOptions::default(),
            )
            .await
    }

    /// Plans and applies.
    async fn apply(&self) -> Result<Applied, RunError> {
        let runner = self.runner();
        let unit = self.unit(&runner);
        let planned = runner
            .plan(&unit, &Vars::default(), PlanOptions::default())
            .await?;
        runner.apply(&unit, planned).await
    }

    fn runs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("counted")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How the newest run ended, by its record.
    fn last_ending(&self) -> Option<Ending> {
        record::list(&self.path("units/demo-todo"))
            .first()?
            .read()?
            .ending
    }

    /// Waits until a file that a stub writes is there, and reads it.
    async fn seen(&self, name: &str) -> String {
        loop {
            match fs::read_to_string(self.path(name)) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// Waits until no such process lives.
async fn gone(pid: u32) {
    while process::start_ticks(pid).is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A plan that is good and says so.
fn good_plan() -> String {
    format!("{PLANNED}exit 2")
}
