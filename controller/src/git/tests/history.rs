use super::*;
use crate::git::Version;

fn names(ami: u32) -> File {
    text(&format!("{{\"ami\": \"ami-{ami:08x}\"}}"))
}

fn shown(versions: &[Version]) -> Vec<(String, Vec<String>, usize, bool)> {
    versions
        .iter()
        .map(|version| {
            let amis = version.amis.iter().map(ToString::to_string).collect();
            let path = version.path.trim_start_matches("desired/").to_owned();
            (path, amis, version.newer, version.until.is_some())
        })
        .collect()
}

fn ami(number: u32) -> Vec<String> {
    vec![format!("ami-{number:08x}")]
}

#[test]
fn every_version_is_known_with_when_it_ended() {
    let world = World::new();
    world.commit(&[("desired/a.json", names(1)), ("desired/x/b.json", names(9))]);
    world.commit(&[("desired/a.json", names(2))]);
    world.commit(&[("terraform/main.tf", text("1"))]);
    let mirror = world.mirror();
    let head = mirror.fetch().unwrap();
    let b = ("x/b.json".to_owned(), ami(9), 0, false);
    assert_eq!(
        shown(&mirror.versions(head).unwrap()),
        [
            ("a.json".to_owned(), ami(2), 0, false),
            ("a.json".to_owned(), ami(1), 1, true),
            b.clone(),
        ]
    );
    // One more commit, and one that deletes the file: only they are walked.
    world.commit(&[("desired/a.json", names(3))]);
    world.commit(&[("desired/a.json", File::Gone)]);
    let head = mirror.fetch().unwrap();
    let versions = mirror.versions(head).unwrap();
    assert_eq!(
        shown(&versions),
        [
            ("a.json".to_owned(), vec![], 0, false),
            ("a.json".to_owned(), ami(3), 1, true),
            ("a.json".to_owned(), ami(2), 2, true),
            ("a.json".to_owned(), ami(1), 3, true),
            b,
        ]
    );
    assert_eq!(versions[2].until, Some(versions[0].at));
    // A mirror that starts with this head knows the same.
    drop(mirror);
    assert_eq!(world.mirror().versions(head).unwrap(), versions);
}

#[test]
fn a_commit_inside_of_a_merged_branch_counts_and_takes_no_place() {
    let world = World::new();
    let base = world.commit(&[("desired/a.json", names(1))]);
    let side = world.loose(&[base], &[("desired/a.json", names(2))]);
    let side = world.loose(&[side], &[("desired/a.json", names(3))]);
    let main = world.commit(&[("other", text("1"))]);
    let merge = world.loose(&[main, side], &[("desired/a.json", names(3))]);
    world.point("main", merge);
    let mirror = world.mirror();
    let head = mirror.fetch().unwrap();
    let mut versions = shown(&mirror.versions(head).unwrap());
    versions.dedup();
    assert_eq!(
        versions,
        [
            ("a.json".to_owned(), ami(3), 0, false),
            ("a.json".to_owned(), ami(3), 1, true),
            ("a.json".to_owned(), ami(2), 1, true),
            ("a.json".to_owned(), ami(1), 1, true),
        ]
    );
}

#[test]
fn a_rewritten_branch_is_read_anew() {
    let world = World::new();
    let base = world.commit(&[("desired/a.json", names(1))]);
    world.commit(&[("desired/a.json", names(2))]);
    let mirror = world.mirror();
    let head = mirror.fetch().unwrap();
    assert_eq!(mirror.versions(head).unwrap().len(), 2);
    let other = world.loose(&[base], &[("desired/a.json", names(3))]);
    world.point("main", other);
    let head = mirror.fetch().unwrap();
    let versions = shown(&mirror.versions(head).unwrap());
    assert_eq!(versions[0].1, ami(3));
    assert_eq!(versions[1].1, ami(1));
    assert_eq!(versions.len(), 2);
}

#[test]
fn every_branch_and_tag_is_brought_and_its_images_are_read() {
    let world = World::new();
    let main = world.commit(&[("desired/a.json", names(1))]);
    let feature = world.loose(&[main], &[("desired/deep/er/c.json", names(7))]);
    world.point("feature/x", feature);
    let tagged = world.loose(&[main], &[("desired/a.json", text("broken: ami-00000008"))]);
    let object = world.origin.find_object(tagged, None).unwrap();
    let tagger = Signature::new("Ann", "ann@example.com", &Time::new(1_700_000_000, 0)).unwrap();
    world
        .origin
        .tag("v1", &object, &tagger, "a tag", false)
        .unwrap();
    let blob = world.origin.blob(b"no commit").unwrap();
    let blob = world.origin.find_object(blob, None).unwrap();
    world.origin.tag_lightweight("blob", &blob, false).unwrap();
    let mirror = world.mirror();
    let head = mirror.fetch().unwrap();
    let list = |refs: Vec<crate::git::Ref>| {
        refs.into_iter()
            .map(|one| (one.name, one.is_tag, one.commit))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list(mirror.fetch_refs().unwrap()),
        [
            ("feature/x".to_owned(), false, feature),
            ("main".to_owned(), false, main),
            ("v1".to_owned(), true, tagged),
        ]
    );
    assert_eq!(mirror.head(), Some(head));
    let named = |commit| {
        let named = mirror.named_at(commit).unwrap();
        named
            .iter()
            .map(|one| format!("{} {}", one.path, one.ami))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        named(feature),
        [
            "desired/a.json ami-00000001",
            "desired/deep/er/c.json ami-00000007"
        ]
    );
    assert_eq!(named(tagged), ["desired/a.json ami-00000008"]);
    // What is gone is not listed any more, and what is new is.
    world
        .origin
        .find_reference("refs/heads/feature/x")
        .unwrap()
        .delete()
        .unwrap();
    let newer = world.commit(&[("desired/a.json", names(2))]);
    assert_eq!(
        list(mirror.fetch_refs().unwrap()),
        [
            ("main".to_owned(), false, newer),
            ("v1".to_owned(), true, tagged)
        ]
    );
    assert_eq!(mirror.head(), Some(head), "only a fetch moves the head");
}

/// The same as over files, with a server that speaks git's own protocol.
#[test]
fn branches_and_tags_come_from_a_server_too() {
    let world = World::new();
    let main = world.commit(&[("desired/a.json", names(1))]);
    let feature = world.loose(&[main], &[("desired/a.json", names(7))]);
    world.point("feature", feature);
    let object = world.origin.find_object(feature, None).unwrap();
    let tagger = Signature::new("Ann", "ann@example.com", &Time::new(1_700_000_000, 0)).unwrap();
    world
        .origin
        .tag("v1", &object, &tagger, "a tag", false)
        .unwrap();
    let server = super::server::Server::start(&world, false);
    let mirror = Mirror::open(&world.dir.path().join("far"), remote(&server.url)).unwrap();
    mirror.fetch().unwrap();
    for _ in 0..2 {
        let refs = mirror.fetch_refs().unwrap();
        let names: Vec<_> = refs.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["feature", "main", "v1"]);
        assert_eq!(refs[2].commit, feature);
    }
    assert_eq!(mirror.named_at(feature).unwrap().len(), 1);
}
