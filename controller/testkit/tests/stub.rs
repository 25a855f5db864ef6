//! The stub terragrunt through its command line, as the controller uses it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use amid_testkit::{
    lifetime::Guarded,
    stub_terragrunt::{Control, Fault, FaultKind, StubWorld},
};
use rustix::process::Signal;
use serde_json::{Value, json};

const UNIT: &str = "live/demo/web/app";

struct World {
    _dir: tempfile::TempDir,
    stub: StubWorld,
    work: PathBuf,
    plan: PathBuf,
}

struct Ran {
    code: Option<i32>,
    lines: Vec<Value>,
    stdout: Vec<u8>,
    stderr: String,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let stub = StubWorld::create(&dir.path().join("stub")).unwrap();
        let add = |cloud: &mut amid_testkit::cloud::Cloud| {
            cloud.add_image("ami-1", "x86_64", true);
            cloud.add_image("ami-2", "x86_64", true);
            Ok(())
        };
        stub.cloud_file().change(add).unwrap();
        let work = dir.path().join("tree/terraform").join(UNIT);
        fs::create_dir_all(&work).unwrap();
        let plan = dir.path().join("plan.bin");
        World {
            _dir: dir,
            stub,
            work,
            plan,
        }
    }

    fn command(&self, args: &[&str], vars: &Value) -> Command {
        let mut command = Command::new(self.stub.terragrunt());
        let (name, value) = self.stub.variable();
        command
            .args(["run", "--working-dir"])
            .arg(&self.work)
            .arg("--")
            .args(args);
        command
            .env_clear()
            .env(name, value)
            .env("TG_TF_PATH", self.stub.terraform());
        for (name, value) in vars.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            command.env(format!("TF_VAR_{name}"), text);
        }
        command
    }

    fn run(&self, args: &[&str], vars: &Value) -> Ran {
        let output = self.command(args, vars).output().unwrap();
        let lines = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok());
        Ran {
            code: output.status.code(),
            lines: lines.collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout: output.stdout,
        }
    }

    fn plan(&self, vars: &Value) -> Ran {
        let out = format!("-out={}", self.plan.display());
        self.run(
            &[
                "plan",
                "-input=false",
                "-lock=false",
                &out,
                "-detailed-exitcode",
                "-json",
            ],
            vars,
        )
    }

    fn apply_args(&self) -> [&str; 4] {
        [
            "apply",
            "-input=false",
            "-json",
            self.plan.to_str().unwrap(),
        ]
    }

    fn apply(&self) -> Ran {
        self.run(&self.apply_args(), &json!({}))
    }

    /// Plans and applies.
    fn converge(&self, vars: &Value) {
        let planned = self.plan(vars);
        assert_eq!(planned.code, Some(2), "{}", planned.stderr);
        assert_eq!(self.apply().code, Some(0));
    }

    fn fault(&self, command: &str, after: usize, kind: FaultKind) {
        self.control(&[Fault {
            command: command.to_owned(),
            unit: None,
            after,
            times: Some(1),
            kind,
        }]);
    }

    fn control(&self, faults: &[Fault]) {
        self.stub
            .control(&Control {
                faults: faults.to_vec(),
                ..Control::default()
            })
            .unwrap();
    }
}

impl Ran {
    /// Address and action of all lines of a type.
    fn changes(&self, kind: &str) -> Vec<String> {
        let field = if kind == "planned_change" {
            "change"
        } else {
            "hook"
        };
        self.lines
            .iter()
            .filter(|line| line["type"] == kind)
            .map(|line| {
                let import = if line[field]["importing"].is_object() {
                    " (import)"
                } else {
                    ""
                };
                let address = line[field]["resource"]["addr"].as_str().unwrap();
                format!(
                    "{} {address}{import}",
                    line[field]["action"].as_str().unwrap()
                )
            })
            .collect()
    }

    fn line(&self, kind: &str) -> &Value {
        self.lines
            .iter()
            .find(|line| line["type"] == kind)
            .unwrap_or(&Value::Null)
    }
}

fn release(ami: &str, min: u32, max: u32) -> Value {
    let settings = json!({ "ami": ami, "instance_types": ["m5.large"] }).to_string();
    json!({ "settings": settings, "min_size": min, "max_size": max, "desired": min })
}

fn one() -> Value {
    json!({ "releases": { "aaa": release("ami-1", 2, 4) }, "memory": "m1" })
}

#[test]
fn a_first_apply_makes_the_release_and_the_next_plan_is_empty() {
    let world = World::new();
    let planned = world.plan(&one());
    assert_eq!(planned.code, Some(2));
    assert_eq!(
        planned.changes("planned_change"),
        [
            "create terraform_data.guard",
            "create terraform_data.memory",
            "create terraform_data.release[\"aaa\"]",
            "create aws_launch_template.release[\"aaa\"]",
            "create aws_autoscaling_group.release[\"aaa\"]",
        ]
    );
    assert_eq!(planned.line("version")["ui"], "1.2");
    assert_eq!(planned.line("change_summary")["changes"]["add"], 5);
    assert!(world.stub.cloud().unwrap().groups.is_empty());

    let applied = world.apply();
    assert_eq!(applied.code, Some(0));
    assert_eq!(applied.changes("apply_complete").len(), 5);
    assert_eq!(applied.line("outputs")["outputs"]["memory"]["value"], "m1");
    let cloud = world.stub.cloud().unwrap();
    let group = &cloud.groups["demo-web-aaa"];
    assert_eq!((group.min, group.max, group.instances.len()), (2, 4, 2));
    assert_eq!(
        (&*group.tags["amid:app"], &*group.tags["amid:release"]),
        ("demo/web", "aaa")
    );

    let planned = world.plan(&one());
    assert_eq!(planned.code, Some(0));
    assert!(planned.changes("planned_change").is_empty());
    let output = world.run(&["output", "-json"], &json!({}));
    let output: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        output["releases"]["value"]["aaa"]["group_name"],
        "demo-web-aaa"
    );
    assert!(output["releases"]["value"]["aaa"]["template_id"].is_string());
    assert!(!world.stub.is_locked(UNIT).unwrap());
}

#[test]
fn a_roll_is_four_applies_and_the_guard_keeps_the_live_group() {
    let world = World::new();
    world.converge(&one());
    let mut old = release("ami-1", 2, 4);
    old["pin"] = json!(2);
    world.converge(&json!({ "releases": { "aaa": old, "bbb": release("ami-2", 2, 4) } }));

    let only_new = json!({ "releases": { "bbb": release("ami-2", 2, 4) } });
    let refused = world.plan(&only_new);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.line("diagnostic")["diagnostic"]["detail"]
            .as_str()
            .unwrap()
            .contains("demo-web-aaa")
    );
    assert_eq!(
        world.apply().code,
        Some(1),
        "an incomplete plan is not applied"
    );

    old["drain"] = json!(true);
    let drain = json!({ "releases": { "aaa": old, "bbb": release("ami-2", 2, 4) } });
    let planned = world.plan(&drain);
    assert_eq!(
        planned.changes("planned_change"),
        ["update aws_autoscaling_group.release[\"aaa\"]"]
    );
    let shown = world.run(&["show", "-json", world.plan.to_str().unwrap()], &json!({}));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let change = &shown["resource_changes"][0]["change"];
    assert_eq!(
        (&change["actions"], &change["after"]["min_size"]),
        (&json!(["update"]), &json!(0))
    );
    assert_eq!(world.apply().code, Some(0));
    assert!(
        world.stub.cloud().unwrap().groups["demo-web-aaa"]
            .instances
            .is_empty()
    );

    let mut drop = only_new;
    drop["may_remove"] = json!(["demo-web-aaa"]);
    let planned = world.plan(&drop);
    let deleted = planned.changes("planned_change");
    assert_eq!(deleted.len(), 3);
    assert!(
        deleted
            .iter()
            .all(|change| change.starts_with("delete ") && change.ends_with("[\"aaa\"]"))
    );
    assert_eq!(
        planned.line("planned_change")["change"]["reason"],
        "delete_because_each_key"
    );
    let applied = world.apply();
    assert_eq!(
        applied.changes("apply_complete")[0],
        "delete aws_autoscaling_group.release[\"aaa\"]"
    );
    assert_eq!(
        world
            .stub
            .cloud()
            .unwrap()
            .groups
            .keys()
            .collect::<Vec<_>>(),
        ["demo-web-bbb"]
    );
    assert_eq!(world.stub.cloud().unwrap().templates.len(), 1);
}

#[test]
fn sizes_set_by_hand_are_planned_back() {
    let world = World::new();
    world.converge(&one());
    let by_hand = |cloud: &mut amid_testkit::cloud::Cloud| {
        cloud.groups.get_mut("demo-web-aaa").unwrap().max = 9;
        Ok(())
    };
    world.stub.cloud_file().change(by_hand).unwrap();
    let planned = world.plan(&one());
    assert_eq!(
        planned.changes("planned_change"),
        ["update aws_autoscaling_group.release[\"aaa\"]"]
    );
    assert!(planned.line("resource_drift").is_object());
    assert_eq!(world.apply().code, Some(0));
    assert_eq!(world.stub.cloud().unwrap().groups["demo-web-aaa"].max, 4);
}

#[test]
fn a_killed_apply_leaves_its_lock_and_orphans_that_only_adoption_mends() {
    let world = World::new();
    world.plan(&one());
    world.fault("apply", 5, FaultKind::Kill);
    let killed = world.apply();
    assert_eq!(
        (killed.code, &*killed.stderr),
        (Some(1), "terraform ended by signal 9\n")
    );
    assert!(world.stub.addresses(UNIT).unwrap().is_empty());
    assert_eq!(world.stub.cloud().unwrap().groups.len(), 1);

    assert_eq!(world.plan(&one()).code, Some(2), "a plan asks for no lock");
    let locked = world.apply();
    let diagnostic = locked.line("diagnostic")["diagnostic"].clone();
    assert_eq!(diagnostic["summary"], "Error acquiring the state lock");
    let detail = diagnostic["detail"].as_str().unwrap();
    let id = detail
        .split_once("ID:")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .trim();
    assert_eq!(
        world
            .run(&["force-unlock", "-force", "other"], &json!({}))
            .code,
        Some(1)
    );
    assert_eq!(
        world.run(&["force-unlock", "-force", id], &json!({})).code,
        Some(0)
    );

    let failed = world.apply();
    assert_eq!(failed.code, Some(1));
    let summary = failed.line("diagnostic")["diagnostic"]["summary"]
        .as_str()
        .unwrap();
    assert!(
        summary.contains("InvalidLaunchTemplateName.AlreadyExistsException"),
        "{summary}"
    );

    let template = world
        .stub
        .cloud()
        .unwrap()
        .templates
        .keys()
        .next()
        .unwrap()
        .clone();
    let mut adopt = one();
    adopt["adopt"] = json!({ "aaa": { "template_id": template, "group_name": "demo-web-aaa" } });
    let planned = world.plan(&adopt);
    assert!(
        planned
            .changes("planned_change")
            .contains(&"noop aws_launch_template.release[\"aaa\"] (import)".to_owned())
    );
    assert_eq!(world.apply().code, Some(0));
    assert_eq!(world.plan(&one()).code, Some(0));
    assert_eq!(
        world.stub.cloud().unwrap().groups["demo-web-aaa"]
            .instances
            .len(),
        2
    );
}

#[test]
fn an_old_plan_is_stale_once_another_was_applied() {
    let world = World::new();
    world.plan(&one());
    let copy = world.plan.with_extension("copy");
    fs::copy(&world.plan, &copy).unwrap();
    assert_eq!(world.apply().code, Some(0));
    let stale = world.run(&["apply", "-json", copy.to_str().unwrap()], &json!({}));
    assert_eq!(stale.code, Some(1));
    assert_eq!(
        stale.line("diagnostic")["diagnostic"]["summary"],
        "Saved plan is stale"
    );
}

/// Starts an apply that hangs after one resource, and waits until it does.
fn hanging_apply(world: &World, before: &[FaultKind]) -> (Guarded, PathBuf) {
    let hang = |kind: &FaultKind| Fault {
        command: "apply".to_owned(),
        unit: None,
        after: 1,
        times: Some(1),
        kind: kind.clone(),
    };
    let mut faults: Vec<Fault> = before.iter().map(hang).collect();
    faults.push(hang(&FaultKind::Hang));
    world.control(&faults);
    let out = world.plan.with_extension("out");
    let mut command = world.command(&world.apply_args(), &json!({}));
    let apply = Guarded::spawn(
        command
            .stdout(File::create(&out).unwrap())
            .stderr(Stdio::null()),
    )
    .unwrap();
    while !world.stub.controlled().unwrap().faults.is_empty() {
        std::thread::yield_now();
    }
    (apply, out)
}

/// The process id of the terraform of a hanging apply: what holds the lock says so in the log.
fn terraform(world: &World) -> rustix::process::Pid {
    let events = world.stub.events().unwrap();
    let pid = events
        .iter()
        .rev()
        .find(|event| event.command == "apply")
        .unwrap()
        .pid;
    rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn last_line(path: &Path) -> Value {
    let lines = BufReader::new(File::open(path).unwrap()).lines();
    serde_json::from_str(&lines.map_while(Result::ok).last().unwrap_or_default())
        .unwrap_or_default()
}

#[test]
fn one_interrupt_to_terraform_saves_what_is_done_and_lets_go_of_the_lock() {
    let world = World::new();
    world.plan(&one());
    let (mut apply, out) = hanging_apply(&world, &[]);
    assert!(world.stub.is_locked(UNIT).unwrap());
    rustix::process::kill_process(terraform(&world), Signal::INT).unwrap();
    let status = apply.wait(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(last_line(&out)["diagnostic"]["summary"], "execution halted");
    assert_eq!(
        world.stub.addresses(UNIT).unwrap(),
        ["terraform_data.guard"]
    );
    assert!(!world.stub.is_locked(UNIT).unwrap());
}

#[test]
fn two_applies_at_once_are_counted_and_only_one_works() {
    let world = World::new();
    world.plan(&one());
    let (apply, _) = hanging_apply(&world, &[FaultKind::IgnoreSignals]);
    assert_eq!(world.stub.overlaps().unwrap(), 0);
    assert_eq!(world.apply().code, Some(1));
    assert_eq!(world.stub.overlaps().unwrap(), 1);
    drop(apply);
    assert_eq!(world.stub.started("apply").unwrap(), 2);
}

#[test]
fn each_fault_shows_as_what_it_is() {
    let world = World::new();
    world.fault(
        "plan",
        0,
        FaultKind::Stderr("Error: Backend configuration changed".to_owned()),
    );
    let ran = world.plan(&one());
    assert_eq!((ran.code, ran.stdout.len()), (Some(1), 0));
    assert!(ran.stderr.contains("Backend configuration changed"));

    world.fault("plan", 0, FaultKind::LongLine(3_000_000));
    let ran = world.plan(&one());
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stdout
            .split(|byte| *byte == b'\n')
            .any(|line| line.len() == 3_000_000)
    );

    world.fault("plan", 2, FaultKind::HalfJson);
    let ran = world.plan(&one());
    assert_eq!(
        (ran.code, ran.line("change_summary")),
        (Some(0), &Value::Null)
    );

    world.fault("plan", 1, FaultKind::Kill);
    assert_eq!(
        world.plan(&one()).code,
        Some(0),
        "terragrunt takes a killed plan for one without changes"
    );

    world.plan(&one());
    world.fault("apply", 2, FaultKind::ExitZero);
    let ran = world.apply();
    assert_eq!(
        (ran.code, ran.line("change_summary")),
        (Some(0), &Value::Null)
    );
    assert!(world.stub.is_locked(UNIT).unwrap());
}

#[test]
fn a_state_that_cannot_be_saved_is_kept_beside_the_cache() {
    let world = World::new();
    world.plan(&one());
    world.fault("apply", 5, FaultKind::ErroredState);
    let cache = world.work.join("cache");
    let output = world
        .command(&world.apply_args(), &json!({}))
        .env("TG_DOWNLOAD_DIR", &cache)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let kept: Value =
        serde_json::from_slice(&fs::read(cache.join("stub/errored.tfstate")).unwrap()).unwrap();
    assert_eq!(kept["resources"].as_object().unwrap().len(), 5);
    assert!(world.stub.addresses(UNIT).unwrap().is_empty());
}

#[test]
fn a_changed_module_and_unexpected_changes_can_be_played() {
    let world = World::new();
    world.converge(&one());
    let control = Control {
        wiring: "w2".to_owned(),
        unexpected: vec![(
            "aws_autoscaling_policy.release[\"aaa/cpu\"]".to_owned(),
            "update".to_owned(),
        )],
        ..Control::default()
    };
    world.stub.control(&control).unwrap();
    let planned = world.plan(&one());
    assert_eq!(
        planned.changes("planned_change"),
        ["update aws_autoscaling_policy.release[\"aaa/cpu\"]"]
    );
    assert_eq!(
        planned.line("outputs")["outputs"]["wiring"]["action"],
        "update"
    );
    assert_eq!(
        planned.line("outputs")["outputs"]["releases"]["action"],
        "noop"
    );
}
