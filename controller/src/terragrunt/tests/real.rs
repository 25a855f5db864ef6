//! The runner against the real terragrunt and terraform, with nothing but
//! `terraform_data` and a state file: no provider, no network.

use super::*;

const MODULE: &str = r#"
variable "releases" {
  type = map(object({ size = number }))
}
variable "may_remove" {
  type    = list(string)
  default = []
}
variable "memory" {
  type    = string
  default = null
}
variable "adopt" {
  type    = any
  default = {}
}
resource "terraform_data" "release" {
  for_each = var.releases
  input    = each.value
}
resource "terraform_data" "guard" {
  lifecycle {
    precondition {
      condition     = !contains(keys(var.releases), "bad")
      error_message = "A bad release is refused."
    }
  }
}
output "releases" {
  value = { for key, release in terraform_data.release : key => release.output }
}
output "wiring" {
  value = "w1"
}
output "memory" {
  value = var.memory
}
"#;

/// Terragrunt, if this machine has one: named, on the path, or cached.
fn terragrunt() -> Option<PathBuf> {
    let named = std::env::var_os("AMID_TERRAGRUNT").map(PathBuf::from);
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|dir| dir.join("terragrunt"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let cached = cache
        .and_then(|cache| fs::read_dir(cache.join("amid/bin")).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("terragrunt"))
        });
    named
        .into_iter()
        .chain(on_path)
        .chain(cached)
        .find(|path| path.is_file())
}

fn vars(releases: &str, memory: &str) -> Vars {
    Vars {
        releases: releases.to_owned(),
        may_remove: "[]".to_owned(),
        memory: memory.to_owned(),
        adopt: "{}".to_owned(),
    }
}

#[tokio::test]
async fn the_real_tools_plan_apply_show_and_refuse() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = |name: &str| dir.path().join(name);
    let config = path("terraformrc");
    let mut tools = Tools {
        terragrunt: PathBuf::new(),
        terraform: "terraform".into(),
        parent_env: std::env::vars().collect(),
        env: BTreeMap::from([(
            "TF_CLI_CONFIG_FILE".to_owned(),
            config.display().to_string(),
        )]),
        plan_timeout: Duration::from_secs(120),
        apply_timeout: Duration::from_secs(120),
        memory_per_run: 1,
        clock: Timestamp::now,
    };
    let Some(found) = terragrunt().filter(|_| tools.terraform_path().is_ok()) else {
        println!("skipped: no terragrunt or no terraform on this machine");
        return;
    };
    tools.terragrunt = found;
    fs::write(&config, "").expect("write");
    fs::create_dir_all(path("tree/.git")).expect("mkdir");
    fs::create_dir_all(path("tree/module")).expect("mkdir");
    fs::create_dir_all(path("tree/live/app")).expect("mkdir");
    fs::write(path("tree/module/main.tf"), MODULE).expect("write");
    let unit_file = |state: &str| {
        let text = format!(
            "terraform {{\n  source = \"../../module\"\n}}\nremote_state {{\n  backend  = \"local\"\n  generate = {{ path = \"backend.tf\", if_exists = \"overwrite_terragrunt\" }}\n  config   = {{ path = \"{}\" }}\n}}\ninputs = {{\n  releases = {{ wrong = {{ size = 1 }} }}\n}}\n",
            path(state).display()
        );
        fs::write(path("tree/live/app/terragrunt.hcl"), text).expect("write");
    };
    unit_file("one.tfstate");
    let runner = Terragrunt::with_permits(tools, path("units"), Permits::new(1));
    let unit = runner.unit("demo/todo", path("tree/live/app"));

    assert_eq!(
        runner.outputs(&unit).await.expect("outputs"),
        None,
        "no state yet"
    );
    assert_eq!(runner.state(&unit).await.expect("state"), []);
    let wanted = vars(r#"{"a":{"size":2}}"#, r#"{"seen":1}"#);
    let planned = runner
        .plan(&unit, &wanted, PlanOptions::default())
        .await
        .expect("planned");
    let mut changes: Vec<_> = planned
        .changes
        .iter()
        .map(|one| (one.address.as_str(), &one.action))
        .collect();
    changes.sort();
    assert_eq!(
        changes,
        [
            ("terraform_data.guard", &Action::Create),
            ("terraform_data.release[\"a\"]", &Action::Create)
        ]
    );
    let shown = runner.show(&unit, &planned).await.expect("shown");
    assert_eq!(shown["variables"]["releases"]["value"]["a"]["size"], 2);
    let again = planned.clone();
    let applied = runner.apply(&unit, planned).await.expect("applied");
    assert_eq!(
        applied.outputs.releases,
        serde_json::json!({ "a": { "size": 2 } })
    );
    assert_eq!(
        (
            applied.outputs.wiring.as_str(),
            applied.outputs.memory.as_str()
        ),
        ("w1", r#"{"seen":1}"#)
    );
    assert_eq!(applied.completed.len(), 2);
    assert_eq!(
        runner.outputs(&unit).await.expect("outputs"),
        Some(applied.outputs)
    );

    let state = runner.state(&unit).await.expect("state");
    let mut addresses: Vec<_> = state.iter().map(|one| one.address.as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(
        addresses,
        [
            "output.memory",
            "output.releases",
            "output.wiring",
            "terraform_data.guard",
            "terraform_data.release[\"a\"]"
        ]
    );

    let stale = runner.apply(&unit, again).await;
    assert!(matches!(stale, Err(RunError::StalePlan)), "{stale:?}");
    let same = runner
        .plan(&unit, &wanted, PlanOptions::default())
        .await
        .expect("planned");
    assert!(same.is_empty(), "{same:?}");
    let refused = runner
        .plan(
            &unit,
            &vars(r#"{"bad":{"size":1}}"#, "{}"),
            PlanOptions::default(),
        )
        .await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.kind(), Kind::Refused);
    assert!(
        refused.to_string().contains("A bad release is refused"),
        "{refused}"
    );

    // Where terragrunt has to run `init` first, its words are no state.
    fs::remove_dir_all(unit.cache()).expect("rmdir");
    assert_eq!(runner.state(&unit).await.expect("state"), state);

    unit_file("two.tfstate");
    let healed = runner
        .plan(&unit, &wanted, PlanOptions::default())
        .await
        .expect("healed");
    assert!(
        healed
            .healed
            .is_some_and(|said| said.contains("Backend configuration changed"))
    );
    assert_eq!(healed.changes.len(), 2, "the other state is empty");
}
