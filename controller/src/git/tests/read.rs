use std::sync::Arc;

use super::*;
use crate::git::Manifests;

fn read(files: &[(&str, File)]) -> Arc<Manifests> {
    let world = World::new();
    let commit = world.commit(files);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    mirror.manifests(commit).unwrap()
}

/// Paths that were refused, with a word of the reason.
fn refused(manifests: &Manifests, path: &str) -> String {
    let found = manifests
        .refused
        .iter()
        .find(|refused| refused.path == path);
    found
        .unwrap_or_else(|| panic!("`{path}` is not refused: {manifests:?}"))
        .why
        .clone()
}

#[test]
fn manifests_are_the_json_files_at_any_depth_by_path() {
    let found = read(&[
        ("desired/web.json", text("{1}")),
        ("desired/demo/todo.json", text("{2}")),
        ("desired/README.md", text("no")),
        ("desired/demo/.keep", text("")),
        ("other/x.json", text("no")),
    ]);
    let seen: Vec<_> = found
        .files
        .iter()
        .map(|f| (f.path.as_str(), f.app.as_str(), &*f.bytes))
        .collect();
    assert_eq!(
        seen,
        [
            ("desired/demo/todo.json", "demo/todo", &b"{2}"[..]),
            ("desired/web.json", "web", &b"{1}"[..]),
        ]
    );
    assert!(found.refused.is_empty(), "{found:?}");
}

#[test]
fn symlinks_and_submodules_are_named_and_the_others_are_read() {
    let found = read(&[
        ("desired/good.json", text("{}")),
        ("desired/link.json", File::Symlink("/etc/passwd".to_owned())),
        ("desired/folder", File::Symlink("../elsewhere".to_owned())),
        ("desired/module", File::Submodule),
    ]);
    assert_eq!(found.files.len(), 1);
    assert!(refused(&found, "desired/link.json").contains("symlink"));
    assert!(refused(&found, "desired/folder").contains("symlink"));
    assert!(refused(&found, "desired/module").contains("submodule"));
}

#[test]
fn names_that_cannot_be_apps_are_refused_in_words() {
    let long = format!("desired/{}.json", "a".repeat(65));
    let found = read(&[
        ("desired/Web.json", text("{}")),
        ("desired/-web.json", text("{}")),
        ("desired/a b.json", text("{}")),
        ("desired/.json", text("{}")),
        ("desired/ok/sub_dir/x.json", text("{}")),
        ("desired/tab\there.json", text("{}")),
        (&long, text("{}")),
        ("desired/a-1.json", text("{}")),
    ]);
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.files[0].app, "a-1");
    assert_eq!(found.refused.len(), 7);
    assert!(refused(&found, "desired/Web.json").contains("`Web`"));
    assert!(refused(&found, "desired/ok/sub_dir/x.json").contains("`sub_dir`"));
    assert!(refused(&found, &long).contains("64 characters"));
    // No raw control character reaches a log.
    assert!(
        found
            .refused
            .iter()
            .any(|r| r.path == "desired/tab\\there.json")
    );
}

#[test]
fn a_missing_folder_is_no_manifests_and_a_file_in_its_place_is_said() {
    assert_eq!(*read(&[("README", text("x"))]), Manifests::default());
    assert!(refused(&read(&[("desired", text("x"))]), "desired").contains("folder"));
    assert!(
        refused(
            &read(&[("desired", File::Symlink("other".to_owned()))]),
            "desired"
        )
        .contains("folder")
    );
}

#[test]
fn a_huge_blob_is_refused_by_its_header_without_being_loaded() {
    let world = World::new();
    let commit = world.commit(&[
        ("desired/good.json", text("{}")),
        ("desired/huge.json", text("small")),
    ]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    // A loose object of which only the beginning exists: whoever loads it fails, who reads its header does not. It
    // stands for the blob of 200 MiB that it says it is, at the price of a few bytes.
    let huge = 200 << 20;
    let id = truncated_blob(&world.dir.path().join("state/repo.git"), huge);
    let repo = Repository::open_bare(world.dir.path().join("state/repo.git")).unwrap();
    let old = repo.find_commit(commit).unwrap();
    let desired = old.tree().unwrap().get_name("desired").unwrap().id();
    let mut folder = repo
        .treebuilder(Some(&repo.find_tree(desired).unwrap()))
        .unwrap();
    folder.insert("huge.json", id, 0o100_644).unwrap();
    let mut root = repo.treebuilder(None).unwrap();
    root.insert("desired", folder.write().unwrap(), 0o040_000)
        .unwrap();
    let tree = repo.find_tree(root.write().unwrap()).unwrap();
    let commit = repo
        .commit(None, &old.author(), &old.author(), "huge", &tree, &[&old])
        .unwrap();
    assert!(
        repo.find_blob(id).is_err(),
        "the stand-in can be loaded and so proves nothing"
    );

    let found = mirror.manifests(commit).unwrap();
    assert_eq!(found.files.len(), 1);
    assert!(refused(&found, "desired/huge.json").contains(&huge.to_string()));
    assert_eq!(mirror.blob_at(commit, "desired/huge.json").unwrap(), None);
    let exported = mirror
        .export(commit, &world.dir.path().join("export"))
        .unwrap();
    assert_eq!(exported.left_out.len(), 1);
}

/// Writes the first bytes of a loose blob that says to have `size` bytes.
fn truncated_blob(repo: &Path, size: usize) -> Oid {
    let id = Oid::from_str("00000000000000000000000000000000deadbeef").unwrap();
    let folder = repo.join("objects/00");
    std::fs::create_dir_all(&folder).unwrap();
    let mut content = format!("blob {size}\0").into_bytes();
    content.extend([b'x'; 64]);
    // zlib: its header, one stored block, the Adler-32 checksum.
    let length = u16::try_from(content.len()).unwrap();
    let (a, b) = content.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    let mut bytes = vec![0x78, 0x01, 0x01];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(content);
    bytes.extend((b << 16 | a).to_be_bytes());
    std::fs::write(folder.join(&id.to_string()[2..]), bytes).unwrap();
    id
}

#[test]
fn an_unchanged_folder_is_not_read_again() {
    let world = World::new();
    let first = world.commit(&[("desired/a.json", text("1")), ("desired/b.json", text("2"))]);
    let second = world.commit(&[("terraform/x", text("3"))]);
    let third = world.commit(&[("desired/b.json", text("4"))]);
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let one = mirror.manifests(first).unwrap();
    assert!(Arc::ptr_eq(&one, &mirror.manifests(second).unwrap()));
    let three = mirror.manifests(third).unwrap();
    assert!(Arc::ptr_eq(&one.files[0].bytes, &three.files[0].bytes));
    assert_eq!(&*three.files[1].bytes, b"4");
}

#[test]
fn more_than_ten_thousand_manifests_are_refused_by_name_and_bounded() {
    let world = World::new();
    let blob = world.origin.blob(b"{}").unwrap();
    let mut folder = world.origin.treebuilder(None).unwrap();
    for n in 0..12_000 {
        folder
            .insert(format!("a{n:05}.json"), blob, 0o100_644)
            .unwrap();
    }
    let mut root = world.origin.treebuilder(None).unwrap();
    root.insert("desired", folder.write().unwrap(), 0o040_000)
        .unwrap();
    let tree = world.origin.find_tree(root.write().unwrap()).unwrap();
    let author = Signature::new("Ann", "ann@example.com", &Time::new(1_700_000_000, 0)).unwrap();
    let commit = world
        .origin
        .commit(
            Some("refs/heads/main"),
            &author,
            &author,
            "many",
            &tree,
            &[],
        )
        .unwrap();
    let mirror = world.mirror();
    mirror.fetch().unwrap();
    let found = mirror.manifests(commit).unwrap();
    assert_eq!(found.files.len(), 10_000);
    assert_eq!(found.refused.len(), 1_001);
}
