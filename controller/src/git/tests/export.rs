use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

fn exported(files: &[(&str, File)]) -> (World, Mirror, Oid, PathBuf) {
    let world = World::new();
    let commit = world.commit(files);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let to = world.dir.path().join("export");
    (world, mirror, commit, to)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_whole_tree_stands_there_with_modes_and_inner_symlinks() {
    let (_world, mirror, commit, to) = exported(&[
        ("terraform/live/unit/terragrunt.hcl", text("hcl")),
        ("bin/run", File::Script("#!/bin/sh".to_owned())),
        ("bin/link", File::Symlink("../terraform/live".to_owned())),
    ]);
    let done = mirror.export(commit, &to).unwrap();
    assert!(done.left_out.is_empty(), "{done:?}");
    let found = listed(&to);
    let expected = [
        ("bin/link", "-> ../terraform/live"),
        ("bin/run", "#!/bin/sh"),
        ("terraform/live/unit/terragrunt.hcl", "hcl"),
    ];
    assert_eq!(
        found,
        expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    );
    let mode = |path: &str| fs::metadata(to.join(path)).unwrap().permissions().mode() & 0o111;
    assert_ne!(mode("bin/run"), 0);
    assert_eq!(mode("terraform/live/unit/terragrunt.hcl"), 0);
}

#[test]
fn git_takes_an_export_for_a_repository_root_at_the_commit() {
    let (_world, mirror, commit, to) =
        exported(&[("terraform/live/unit/terragrunt.hcl", text("hcl"))]);
    mirror.export(commit, &to).unwrap();
    let unit = to.join("terraform/live/unit");
    assert_eq!(
        Path::new(&git(&unit, &["rev-parse", "--show-toplevel"])),
        to.canonicalize().unwrap()
    );
    assert_eq!(git(&unit, &["rev-parse", "HEAD"]), commit.to_string());
}

#[test]
fn a_second_export_replaces_everything_and_unchanged_files_look_unchanged() {
    let (world, mirror, first, to) = exported(&[
        ("keep", text("same")),
        ("edit", text("1")),
        ("gone", text("x")),
    ]);
    mirror.export(first, &to).unwrap();
    let time = |name: &str| fs::metadata(to.join(name)).unwrap().modified().unwrap();
    let before = (time("keep"), time("edit"));
    fs::write(to.join("stray.tf"), "by hand").unwrap();
    let second = world.commit(&[("edit", text("2")), ("gone", File::Gone)]);
    mirror.fetch().unwrap();
    mirror.export(second, &to).unwrap();
    let expected = [("edit", "2"), ("keep", "same")];
    assert_eq!(
        listed(&to),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    );
    assert_eq!(time("keep"), before.0);
    assert_ne!(time("edit"), before.1);
    let beside: Vec<_> = fs::read_dir(world.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(
        beside.len(),
        3,
        "something was left beside the export: {beside:?}"
    );
}

#[test]
fn an_unharmed_export_is_left_alone_and_a_harmed_one_is_written_again() {
    let (world, mirror, commit, to) = exported(&[("a/file", text("1")), ("b", text("2"))]);
    mirror.export(commit, &to).unwrap();
    // A file that terragrunt put there survives as long as nothing changed.
    fs::write(to.join("a/.terraform.lock.hcl"), "lock").unwrap();
    let same_tree = world.commit(&[]);
    mirror.fetch().unwrap();
    mirror.export(same_tree, &to).unwrap();
    assert!(to.join("a/.terraform.lock.hcl").exists());
    assert_eq!(git(&to, &["rev-parse", "HEAD"]), same_tree.to_string());
    // Same length, other content.
    fs::write(to.join("b"), "3").unwrap();
    mirror.export(same_tree, &to).unwrap();
    assert_eq!(fs::read_to_string(to.join("b")).unwrap(), "2");
}

#[test]
fn what_a_killed_export_left_is_no_obstacle_and_never_seen() {
    let (world, mirror, commit, to) = exported(&[("a", text("1"))]);
    mirror.export(commit, &to).unwrap();
    let half = world.dir.path().join(".export.new");
    fs::create_dir_all(half.join("terraform")).unwrap();
    fs::write(half.join("half"), "half").unwrap();
    let next = world.commit(&[("a", text("2"))]);
    mirror.fetch().unwrap();
    mirror.export(next, &to).unwrap();
    assert_eq!(listed(&to), [("a".to_owned(), "2".to_owned())].into());
    assert!(!half.exists());
}

#[test]
fn symlinks_that_may_lead_out_submodules_and_git_folders_are_left_out_and_said() {
    let link = |target: &str| File::Symlink(target.to_owned());
    let (_world, mirror, commit, to) = exported(&[
        ("absolute", link("/etc/passwd")),
        ("x/up", link("../../secret")),
        // Leads to the root by itself. By its letters `y` below stays in `x/z`, but really it leads out.
        ("x/z/root", link("../..")),
        ("x/z/y", link("root/../secret")),
        ("into-git", link(".git/config")),
        ("module", File::Submodule),
        ("good", text("1")),
    ]);
    let done = mirror.export(commit, &to).unwrap();
    let mut names: Vec<_> = done
        .left_out
        .iter()
        .map(|refused| refused.path.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["absolute", "into-git", "module", "x/up", "x/z/y"]);
    let expected = [("good", "1"), ("x/z/root", "-> ../..")];
    assert_eq!(
        listed(&to),
        expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    );
}

#[test]
fn a_tree_that_names_git_or_the_parent_folder_writes_nothing_there() {
    let (world, mirror, _, to) = exported(&[("good", text("1"))]);
    // libgit2 refuses to make such a tree; a server need not be so kind.
    let blob = world.origin.blob(b"evil").unwrap();
    let odb = world.origin.odb().unwrap();
    let mut raw = Vec::new();
    for name in ["..", ".GIT", "a/../../b", "good"] {
        raw.extend(format!("100644 {name}\0").into_bytes());
        raw.extend(blob.as_bytes());
    }
    let tree = odb.write(git2::ObjectType::Tree, &raw).unwrap();
    let text = format!(
        "tree {tree}\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nevil\n"
    );
    let commit = odb
        .write(git2::ObjectType::Commit, text.as_bytes())
        .unwrap();
    world.point("main", commit);
    mirror.fetch().unwrap();
    let done = mirror.export(commit, &to).unwrap();
    assert_eq!(done.left_out.len(), 3, "{done:?}");
    let expected = ("good".to_owned(), "evil".to_owned());
    assert_eq!(listed(&to), [expected].into());
    assert!(!world.dir.path().join("b").exists());
}
