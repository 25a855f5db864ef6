//! Two people and their repository.

use std::{fs, path::Path};

use git2::Repository;

use super::{Author, BareRepo, Commit};

struct Two {
    _dir: tempfile::TempDir,
    bare: BareRepo,
    ann: Author,
    bob: Author,
}

fn two_people() -> Two {
    let dir = tempfile::tempdir().unwrap();
    let bare = BareRepo::create(&dir.path().join("repo.git")).unwrap();
    let ann = bare.clone_as(&dir.path().join("ann"), "ann").unwrap();
    ann.commit(&[("desired/web.json", "1")], "Add web").unwrap();
    ann.push().unwrap();
    let bob = bare.clone_as(&dir.path().join("bob"), "bob").unwrap();
    Two {
        _dir: dir,
        bare,
        ann,
        bob,
    }
}

#[test]
fn a_push_is_seen_by_the_others() {
    let two = two_people();
    let bump = two
        .ann
        .commit(&[("desired/web.json", "2")], "Bump web")
        .unwrap();
    two.ann.push().unwrap();
    assert_eq!(two.bare.head().unwrap(), Some(bump));
    two.bob.pull().unwrap();
    assert_eq!(
        fs::read_to_string(two.bob.dir().join("desired/web.json")).unwrap(),
        "2"
    );
    let log = two.bare.log().unwrap();
    let subjects: Vec<_> = log.iter().map(Commit::subject).collect();
    assert_eq!(subjects, ["Bump web", "Add web"]);
    assert_eq!(log[0].author, "ann <ann@localhost>");
    assert_eq!(
        two.bare.read("main~1", "desired/web.json").unwrap(),
        Some(b"1".to_vec())
    );
    assert_eq!(two.bare.read("main", "desired/none.json").unwrap(), None);
}

#[test]
fn only_a_forced_push_rewrites_the_branch() {
    let two = two_people();
    let first = two.bare.head().unwrap().unwrap();
    let bump = two
        .ann
        .commit(&[("desired/web.json", "2")], "Bump web")
        .unwrap();
    two.ann.push().unwrap();
    two.bob
        .commit(&[("desired/api.json", "1")], "Add api")
        .unwrap();
    assert!(two.bob.push().is_err());
    assert_eq!(two.bare.head().unwrap(), Some(bump));
    two.ann.reset(first).unwrap();
    two.ann.force_push().unwrap();
    assert_eq!(two.bare.head().unwrap(), Some(first));
    assert_eq!(
        fs::read_to_string(two.ann.dir().join("desired/web.json")).unwrap(),
        "1"
    );
}

#[test]
fn a_revert_takes_back_one_commit_and_keeps_what_came_after() {
    let two = two_people();
    let bump = two
        .ann
        .commit(&[("desired/web.json", "2")], "Bump web")
        .unwrap();
    two.ann
        .commit(&[("desired/api.json", "1")], "Add api")
        .unwrap();
    two.ann.revert(bump).unwrap();
    two.ann.push().unwrap();
    assert_eq!(
        two.bare.read("main", "desired/web.json").unwrap(),
        Some(b"1".to_vec())
    );
    assert_eq!(
        two.bare.read("main", "desired/api.json").unwrap(),
        Some(b"1".to_vec())
    );
    assert_eq!(two.bare.log().unwrap()[0].subject(), "Revert \"Bump web\"");
    two.ann.delete(&["desired/api.json"], "Drop api").unwrap();
    two.ann.push().unwrap();
    assert_eq!(two.bare.read("main", "desired/api.json").unwrap(), None);
}

#[test]
fn links_and_submodules_can_be_committed() {
    let two = two_people();
    two.ann
        .commit_symlink("desired/link.json", "/etc/passwd", "Add a link")
        .unwrap();
    let commit = two.ann.head().unwrap();
    two.ann
        .commit_submodule("desired/sub", commit, "Add a submodule")
        .unwrap();
    two.ann.push().unwrap();
    let repo = Repository::open(two.bare.path()).unwrap();
    let tree = repo
        .revparse_single("main")
        .unwrap()
        .peel_to_tree()
        .unwrap();
    let mode = |path: &str| tree.get_path(Path::new(path)).unwrap().filemode();
    assert_eq!(
        (mode("desired/link.json"), mode("desired/sub")),
        (0o120_000, 0o160_000)
    );
}

#[test]
fn a_folder_is_committed_without_the_tools_caches() {
    let two = two_people();
    let from = tempfile::tempdir().unwrap();
    fs::create_dir_all(from.path().join("live/app/.terragrunt-cache")).unwrap();
    fs::write(from.path().join("live/app/terragrunt.hcl"), "x").unwrap();
    fs::write(from.path().join("live/app/.terragrunt-cache/y"), "y").unwrap();
    two.ann
        .commit_tree(from.path(), "terraform", "Add the units")
        .unwrap();
    two.ann.push().unwrap();
    assert_eq!(
        two.bare
            .read("main", "terraform/live/app/terragrunt.hcl")
            .unwrap(),
        Some(b"x".to_vec())
    );
    assert_eq!(
        two.bare
            .read("main", "terraform/live/app/.terragrunt-cache/y")
            .unwrap(),
        None
    );
    fs::write(two.ann.dir().join("terraform/live/app/terragrunt.hcl"), "z").unwrap();
    fs::remove_file(two.ann.dir().join("desired/web.json")).unwrap();
    two.ann.commit_all("Change by hand").unwrap();
    assert_eq!(
        two.ann
            .read("main", "terraform/live/app/terragrunt.hcl")
            .unwrap(),
        Some(b"z".to_vec())
    );
    assert_eq!(two.ann.read("main", "desired/web.json").unwrap(), None);
}
