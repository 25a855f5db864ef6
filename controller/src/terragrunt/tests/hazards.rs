//! What a child may do to its supervisor, and what the disk may hold.

use super::*;

#[tokio::test]
async fn rubbish_between_the_lines_is_passed_over() {
    let plan = format!(
        "head -c 3000000 /dev/zero; echo\nhead -c 100000 /dev/urandom; echo\nsay '{{\"half\":'\n{PLANNED}printf 'no newline at the end'\nexit 2"
    );
    let bench = Bench::new(&plan, "");
    let planned = bench.plan().await.expect("planned");
    assert_eq!(planned.changes.len(), 1);
    assert!(planned.skipped_lines >= 4, "{}", planned.skipped_lines);
}

#[tokio::test]
async fn a_plan_that_floods_one_line_is_killed() {
    let bench = Bench::new("head -c 300000000 /dev/zero; exec sleep 1000", "");
    let error = bench.plan().await.expect_err("too large");
    assert!(matches!(error, RunError::OutputTooLarge), "{error:?}");
}

#[tokio::test]
async fn an_apply_that_floods_its_output_is_never_killed() {
    // It waits until its file was emptied, then tells the result.
    let apply = format!(
        "head -c 70000000 /dev/zero\nwhile [ \"$(stat -L -c %s /proc/$$/fd/1)\" -gt 1000000 ]; do sleep 0.01; done\necho\n{APPLIED}exit 0"
    );
    let bench = Bench::new(&good_plan(), &apply);
    let applied = bench.apply().await.expect("applied");
    assert!(applied.output_lost);
    assert_eq!(applied.outputs.memory, "m");
}

#[tokio::test]
async fn a_plan_that_hangs_is_killed_with_all_its_processes() {
    let bench = Bench::new("sleep 1000 & echo $! > \"$unit/../../pid\"; wait", "");
    let mut tools = bench.tools();
    tools.plan_timeout = Duration::from_millis(300);
    let runner = bench.runner_with(tools);
    let error = runner
        .plan(
            &bench.unit(&runner),
            &Vars::default(),
            PlanOptions::default(),
        )
        .await
        .expect_err("timeout");
    assert!(matches!(error, RunError::Timeout), "{error:?}");
    let pid = bench.seen("pid").await.trim().parse().expect("pid");
    gone(pid).await;
}

#[tokio::test]
async fn dropping_a_plan_kills_it() {
    let bench = Bench::new("sleep 1000 & echo $! > \"$unit/../../pid\"; wait", "");
    let pid = tokio::select! {
        _ = bench.plan() => panic!("the plan never ends"),
        pid = bench.seen("pid") => pid.trim().parse().expect("pid"),
    };
    gone(pid).await;
    assert_eq!(bench.last_ending(), Some(Ending::Killed));
}

#[tokio::test]
async fn an_apply_past_its_limit_gets_one_interrupt_at_terraform_only() {
    let bench = Bench::new(
        &good_plan(),
        "trap 'echo hit >> \"$unit/../../terragrunt-signalled\"' INT TERM\n\"$TG_TF_PATH\" apply\nexit $?",
    );
    // It takes a while to stop, so that a second interrupt would be seen. What it
    // forks meanwhile looks like it until it is another program, and is not meant.
    bench.program(
        "terraform",
        r#"here="${TG_DOWNLOAD_DIR%/cache}/../.."
trap 'echo hit >> "$here/interrupts"' INT
left=400
while [ -d "$here" ] && [ ! -f "$here/interrupts" ] && [ $left -gt 0 ]; do
  left=$((left - 1)); (sleep 0.02; :)
done
for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done
echo '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"execution halted"}}'
exit 1
"#,
    );
    let mut tools = bench.tools();
    tools.apply_timeout = Duration::from_millis(300);
    let runner = bench.runner_with(tools);
    let unit = bench.unit(&runner);
    let planned = runner
        .plan(&unit, &Vars::default(), PlanOptions::default())
        .await
        .expect("planned");
    let error = runner.apply(&unit, planned).await.expect_err("timeout");
    assert!(matches!(error, RunError::Timeout), "{error:?}");
    assert_eq!(
        fs::read_to_string(bench.path("interrupts")).expect("read"),
        "hit\n"
    );
    assert!(!bench.path("terragrunt-signalled").exists());
    assert_eq!(
        bench.last_ending(),
        Some(Ending::Failed),
        "it let go of the lock itself"
    );
}

#[tokio::test]
async fn a_state_that_could_not_be_saved_stops_the_unit_until_a_person_acts() {
    let bench = Bench::new(
        &good_plan(),
        "mkdir -p \"$TG_DOWNLOAD_DIR/x/y/.terraform\"; echo precious > \"$TG_DOWNLOAD_DIR/x/y/errored.tfstate\"\nsay '{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"Failed to save state\"}}'; exit 1",
    );
    let Err(RunError::ErroredState(kept)) = bench.apply().await else {
        panic!("the unit must stop");
    };
    assert_eq!(fs::read_to_string(&kept).expect("read"), "precious\n");
    let before = bench.runs();
    assert!(matches!(bench.plan().await, Err(RunError::ErroredState(_))));
    assert_eq!(bench.runs(), before, "nothing was started");

    // Wiping a broken cache must not touch it, and even a lost cache does not
    // free the unit.
    let runner = bench.runner();
    let unit = bench.unit(&runner);
    assert_eq!(heal::wipe(&unit).expect("wiped"), 1);
    assert!(unit.cache().join("x/y/errored.tfstate").exists());
    fs::remove_dir_all(unit.cache()).expect("remove");
    assert!(matches!(bench.plan().await, Err(RunError::ErroredState(_))));

    assert_eq!(runner.clear_errored(&unit).await.expect("cleared"), 1);
    bench.plan().await.expect("free again");
    let cleared = kept
        .parent()
        .expect("parent")
        .join("cleared")
        .join(kept.file_name().expect("name"));
    assert_eq!(
        fs::read_to_string(cleared).expect("read"),
        "precious\n",
        "never deleted"
    );
}

#[tokio::test]
async fn a_broken_cache_is_wiped_and_run_again_once() {
    let broken = r#"say '{"level":"error","msg":"* Failed to execute\n  Error: Backend configuration\n  changed\n  exit status 1"}' >&2; exit 1"#;
    let bench = Bench::new(
        &format!(
            "if [ -d \"$TG_DOWNLOAD_DIR/x/y/.terraform\" ]; then {broken}; fi\n{}",
            good_plan()
        ),
        "",
    );
    let init = bench.path("units/demo-todo/cache/x/y/.terraform/providers");
    fs::create_dir_all(&init).expect("mkdir");
    let planned = bench.plan().await.expect("healed");
    let said = planned.healed.expect("said");
    assert!(
        said.contains("demo/todo") && said.contains("Backend configuration"),
        "{said}"
    );
    assert_eq!(bench.runs(), ["plan", "plan"]);

    let bench = Bench::new(broken, "");
    let error = bench.plan().await.expect_err("still broken");
    assert!(matches!(error, RunError::BrokenCache(_)), "{error:?}");
    assert_eq!(bench.runs(), ["plan", "plan"], "no third try");
}

#[tokio::test]
async fn an_apply_that_has_begun_is_not_run_again() {
    let apply = r#"say '{"type":"version"}'
say '{"type":"apply_start","hook":{"resource":{"addr":"a.b"},"action":"create"}}'
say '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Required plugins are not installed"}}'
exit 1"#;
    let bench = Bench::new(&good_plan(), apply);
    assert!(matches!(bench.apply().await, Err(RunError::BrokenCache(_))));
    assert_eq!(bench.runs(), ["plan", "apply"]);
}

#[tokio::test]
async fn old_runs_go_and_open_ones_stay() {
    let dir = tempfile::tempdir().expect("temp dir");
    for _ in 0..40 {
        let run = record::create(dir.path()).expect("create");
        fs::write(run.path.join("child.json"), "rubbish").expect("write");
    }
    let runs = record::list(dir.path());
    assert!(runs.len() <= 22, "{}", runs.len());
    assert_eq!(runs[0].number, 40);
    assert_eq!(runs[0].read(), None);
}
