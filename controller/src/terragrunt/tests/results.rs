//! What each ending of a run is taken for.

use super::*;

#[tokio::test]
async fn a_plan_with_changes_is_read() {
    let bench = Bench::new(&good_plan(), "");
    let planned = bench.plan().await.expect("planned");
    assert_eq!(planned.changes.len(), 1);
    assert_eq!(planned.changes[0].address, "a.b[\"k\"]");
    assert_eq!(planned.outputs_changed, ["releases"]);
    assert!(!planned.is_empty() && planned.healed.is_none());
    assert_eq!(
        fs::read_to_string(&planned.plan_file).expect("read"),
        "plan\n"
    );
    assert_eq!(bench.last_ending(), Some(Ending::Succeeded));
}

#[tokio::test]
async fn a_plan_without_changes_is_empty() {
    let bench = Bench::new(
        r#"say '{"type":"change_summary","changes":{"operation":"plan"}}'"#,
        "",
    );
    assert!(bench.plan().await.expect("planned").is_empty());
}

#[tokio::test]
async fn exit_zero_after_a_killed_terraform_is_no_success() {
    for plan in [
        "exit 0",
        "say '{\"type\":\"version\"}'; exit 0",
        &format!("{PLANNED}exit 0"),
    ] {
        let bench = Bench::new(plan, "");
        let error = bench.plan().await.expect_err("not believed");
        assert!(matches!(error, RunError::Killed(_)), "{plan}: {error:?}");
        assert_eq!(bench.last_ending(), Some(Ending::Killed));
    }
}

#[tokio::test]
async fn an_apply_without_its_closing_line_is_unknown() {
    for end in ["exit 0", "kill -KILL $$"] {
        let bench = Bench::new(
            &good_plan(),
            &format!("say '{{\"type\":\"version\"}}'; {end}"),
        );
        let error = bench.apply().await.expect_err("unknown");
        assert!(matches!(error, RunError::Killed(_)), "{end}: {error:?}");
        assert_eq!(bench.last_ending(), Some(Ending::Killed));
    }
}

#[tokio::test]
async fn an_apply_gives_the_outputs() {
    let bench = Bench::new(&good_plan(), &format!("{APPLIED}exit 0"));
    let applied = bench.apply().await.expect("applied");
    assert_eq!(applied.outputs.releases, serde_json::json!({ "k": {} }));
    assert_eq!(
        (
            applied.outputs.wiring.as_str(),
            applied.outputs.memory.as_str()
        ),
        ("w", "m")
    );
    assert_eq!(applied.completed.len(), 1);
}

#[tokio::test]
async fn outputs_are_none_before_there_is_a_state() {
    let bench = Bench::new("", "say '{}'");
    let runner = bench.runner();
    let unit = bench.unit(&runner);
    assert_eq!(runner.outputs(&unit).await.expect("outputs"), None);
    bench.program(
        "terragrunt",
        r#"printf '{ "releases": { "value": {"k": 1} },\n "memory": {"value": "m"} }'"#,
    );
    let outputs = runner
        .outputs(&unit)
        .await
        .expect("outputs")
        .expect("a state");
    assert_eq!(outputs.releases, serde_json::json!({ "k": 1 }));
    assert_eq!(
        (outputs.memory.as_str(), outputs.wiring.as_str()),
        ("m", "")
    );
    bench.program("terragrunt", "printf '{ \"half'");
    assert!(
        runner.outputs(&unit).await.is_err(),
        "half a JSON is an error"
    );
}

/// The error of a plan that prints this diagnostic and fails.
async fn failing(summary: &str, detail: &str) -> RunError {
    let value = serde_json::json!({ "type": "diagnostic", "diagnostic": {
        "severity": "error", "summary": summary, "detail": detail, "address": "a.b[\"k\"]" } });
    let bench = Bench::new(&format!("say '{value}'; exit 1"), "");
    bench.plan().await.expect_err("failed")
}

#[tokio::test]
async fn diagnostics_are_sorted_by_what_to_do_next() {
    let lock = "Lock Info:\n  ID:        7\n  Operation: OperationTypeApply\n  Who:       me@here\n  Created:   2026-11-23 12:02:41.2 +0000 UTC\n";
    let error = failing("Error acquiring the state lock", lock).await;
    assert!(
        matches!(&error, RunError::StateLocked(lock) if lock.id == "7"),
        "{error:?}"
    );
    let error = failing("Saved plan is stale", "").await;
    assert!(matches!(error, RunError::StalePlan), "{error:?}");
    let error = failing(
        "creating",
        "InvalidLaunchTemplateName.AlreadyExistsException",
    )
    .await;
    assert!(
        matches!(&error, RunError::AlreadyExists(what) if what == &["a.b[\"k\"]"]),
        "{error:?}"
    );
    let error = failing("creating", "api error UnauthorizedOperation").await;
    assert_eq!(error.kind(), Kind::Permission);
    assert!(matches!(error, RunError::Diagnostics(_)));
    let error = failing("Resource precondition failed", "A live group is missing").await;
    assert_eq!(
        error.to_string(),
        "a.b[\"k\"]: Resource precondition failed: A live group is missing"
    );
}

#[tokio::test]
async fn a_failed_init_is_told_from_the_log() {
    let bench = Bench::new(
        r#"say '{"level":"error","msg":"* Failed to execute\n  Error: Unsupported block type\n  on main.tf"}' >&2; exit 1"#,
        "",
    );
    let error = bench.plan().await.expect_err("failed");
    assert_eq!(error.to_string(), "Unsupported block type: on main.tf");
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_field() {
    let bench = Bench::new("", "");
    for (field, break_it) in [
        (
            "terragrunt.binary",
            (|tools: &mut Tools| tools.terragrunt = "no-such-program".into()) as fn(&mut Tools),
        ),
        ("terragrunt.terraform", |tools| {
            tools.terraform = "/no/such/terraform".into()
        }),
    ] {
        let mut tools = bench.tools();
        break_it(&mut tools);
        let runner = bench.runner_with(tools);
        let error = runner
            .plan(
                &bench.unit(&runner),
                &Vars::default(),
                PlanOptions::default(),
            )
            .await
            .expect_err("missing");
        assert!(
            matches!(&error, RunError::ToolMissing(what) if what.contains(field)),
            "{error:?}"
        );
    }
    assert!(bench.runs().is_empty());
}

#[tokio::test]
async fn a_plan_file_that_changed_is_not_applied() {
    let bench = Bench::new(&good_plan(), APPLIED);
    let runner = bench.runner();
    let unit = bench.unit(&runner);
    let planned = runner
        .plan(&unit, &Vars::default(), PlanOptions::default())
        .await
        .expect("planned");
    fs::write(&planned.plan_file, "other").expect("write");
    assert!(matches!(
        runner.apply(&unit, planned).await,
        Err(RunError::StalePlan)
    ));
    assert_eq!(bench.runs(), ["plan"]);
}

fn has_name(environment: &str, name: &str) -> bool {
    environment
        .lines()
        .any(|line| line.split('=').next() == Some(name))
}

#[tokio::test]
async fn the_environment_is_built_from_nothing() {
    let bench = Bench::new(&format!("env > \"$unit/../../env\"; {}", good_plan()), "");
    let mut tools = bench.tools();
    for (name, value) in [
        ("TF_CLI_ARGS", "-destroy"),
        ("TF_CLI_ARGS_plan", "-destroy"),
        ("TF_LOG", "trace"),
        ("TG_NO_AUTO_RETRY", "false"),
        ("TERRAGRUNT_DOWNLOAD", "/elsewhere"),
        ("SOME_SECRET", "hunter2"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_MAX_ATTEMPTS", "50"),
        ("https_proxy", "http://127.0.0.1:9"),
    ] {
        tools.parent_env.insert(name.to_owned(), value.to_owned());
    }
    for (name, value) in [
        ("EXTRA", "1"),
        ("TF_CLI_ARGS_apply", "-x"),
        ("TF_INPUT", "1"),
    ] {
        tools.env.insert(name.to_owned(), value.to_owned());
    }
    let runner = bench.runner_with(tools);
    let vars = Vars {
        releases: r#"{"k":{}}"#.to_owned(),
        ..Vars::default()
    };
    runner
        .plan(&bench.unit(&runner), &vars, PlanOptions::default())
        .await
        .expect("planned");

    let text = fs::read_to_string(bench.path("env")).expect("read");
    let has = |line: &str| text.lines().any(|found| found == line);
    for line in [
        "AWS_REGION=eu-central-1",
        "AWS_MAX_ATTEMPTS=4",
        "https_proxy=http://127.0.0.1:9",
        "EXTRA=1",
        "TF_INPUT=0",
        "TG_NO_AUTO_RETRY=true",
        "TF_VAR_releases={\"k\":{}}",
    ] {
        assert!(has(line), "missing {line} in:\n{text}");
    }
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR")
            .is_some_and(|_| !has_name(&text, "CARGO_MANIFEST_DIR")),
        "this process's own environment must not leak:\n{text}"
    );
    for name in ["TF_CLI_ARGS", "TF_LOG", "SOME_SECRET", "TERRAGRUNT_"] {
        assert!(!text.contains(name), "{name} in:\n{text}");
    }
}

#[tokio::test]
async fn an_input_that_no_environment_can_hold_is_refused_by_name() {
    let bench = Bench::new(&good_plan(), "");
    let runner = bench.runner();
    let vars = Vars {
        releases: "x".repeat(200_000),
        ..Vars::default()
    };
    let error = runner
        .plan(&bench.unit(&runner), &vars, PlanOptions::default())
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("TF_VAR_releases"), "{error}");
}
