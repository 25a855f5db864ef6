//! Bad repositories and bad remotes.

use std::io::Write;

use amid_testkit::cloud::Sizes;
use amid_testkit::git_http::GitHttp;
use amid_testkit::small::{IMAGE, Small, http_get};

use super::{GOOD, all_is_well, good, options};

/// Bytes of a blob that no git folder should be asked to hold.
const HUGE: usize = 200 << 20;

fn error(small: &mut Small, words: &str) -> String {
    let mut said = String::new();
    small
        .until(&format!("the repository's error says `{words}`"), |small| {
            said = small.status()?["repository"]["error"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            Ok(said.contains(words))
        })
        .unwrap();
    said
}

#[test]
fn an_empty_repository_is_said_and_its_first_commit_is_deployed() {
    let mut small = Small::new(options()).unwrap();
    small.start().unwrap();
    error(&mut small, "main");
    let shown = small.cli(&["status"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("cannot be read"), "{shown}");
    small.push(&good(), "Begin").unwrap();
    all_is_well(&mut small);
}

#[test]
fn a_branch_that_is_not_there_is_named_until_it_is() {
    let mut small = Small::new(options()).unwrap();
    small
        .reconfigure(|options| options.branch = "releases".to_owned())
        .unwrap();
    let commit = small.push(&good(), "Begin").unwrap();
    small.start().unwrap();
    error(&mut small, "releases");
    let repo = git2::Repository::open_bare(small.bare.path()).unwrap();
    repo.reference("refs/heads/releases", commit, false, "test")
        .unwrap();
    all_is_well(&mut small);
}

#[test]
fn links_and_submodules_among_the_manifests_are_refused_by_name() {
    let mut small = Small::new(options()).unwrap();
    let commit = small.push(&good(), "Begin").unwrap();
    let person = &small.person;
    person
        .commit_symlink("desired/demo/link.json", "good.json", "Link a manifest")
        .unwrap();
    person
        .commit_symlink("desired/demo/away", "/etc", "Link a folder")
        .unwrap();
    person
        .commit_submodule("desired/demo/sub", commit, "Take in a repository")
        .unwrap();
    person.push().unwrap();
    small.start().unwrap();
    small.until_held("demo/link", "symlink").unwrap();
    all_is_well(&mut small);
    let shown = small.cli(&["status"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for words in [
        "desired/demo/link.json: This is a symlink",
        "desired/demo/away: This is a symlink",
        "desired/demo/sub: This is a submodule",
    ] {
        assert!(shown.contains(words), "`{words}` is not in: {shown}");
    }
}

/// Packs a blob of zeros without ever having it in memory.
fn zeros(small: &Small) -> git2::Oid {
    let repo = git2::Repository::open(small.person.dir()).unwrap();
    let mut writer = repo.blob_writer(None).unwrap();
    let piece = vec![0; 1 << 20];
    for _ in 0..HUGE / piece.len() {
        writer.write_all(&piece).unwrap();
    }
    writer.commit().unwrap()
}

#[test]
fn a_huge_blob_is_left_out_and_takes_no_memory() {
    let mut small = Small::new(options()).unwrap();
    // Over git's protocol, as from a stranger: from a folder of this machine
    // libgit2 copies a blob through memory whole.
    let remote = GitHttp::start(small.bare.path()).unwrap();
    small
        .reconfigure(|options| options.url = Some(remote.url()))
        .unwrap();
    small.push(&good(), "Begin").unwrap();
    let blob = zeros(&small);
    let person = &small.person;
    person
        .commit_blob("desired/demo/huge.json", blob, "Add a huge manifest")
        .unwrap();
    person
        .commit_blob("terraform/huge.bin", blob, "Add a huge file")
        .unwrap();
    person.push().unwrap();
    small.start().unwrap();
    small.until_held("demo/huge", "at most 1 MiB").unwrap();
    all_is_well(&mut small);
}

#[test]
fn an_unreachable_remote_is_said_and_nothing_else_stands_still() {
    let mut small = Small::new(options()).unwrap();
    let closed = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    small
        .reconfigure(|options| options.url = Some(format!("http://{closed}/x.git")))
        .unwrap();
    small.start().unwrap();
    let said = error(&mut small, &closed.to_string());
    assert!(!said.is_empty());
    let http = small.listener("Metrics and status").unwrap();
    let (live, _) = http_get(http, "/livez").unwrap();
    let (ready, missing) = http_get(http, "/readyz").unwrap();
    assert_eq!((live, ready), (200, 503));
    assert!(
        missing.contains("the repository cannot be read"),
        "{missing}"
    );
    small.stop().unwrap();
}

#[test]
fn while_a_remote_trickles_apps_are_healed_and_people_answered() {
    let mut small = Small::new(options()).unwrap();
    let remote = GitHttp::start(small.bare.path()).unwrap();
    small
        .reconfigure(|options| options.url = Some(remote.url()))
        .unwrap();
    small.push(&good(), "Begin").unwrap();
    small.start().unwrap();
    small.until_deployed(GOOD, IMAGE).unwrap();

    remote.trickle(true);
    small
        .until("a fetch hangs", |_| Ok(remote.trickled() > 0))
        .unwrap();
    small
        .stub
        .cloud_file()
        .change(|cloud| {
            let name = cloud.groups.keys().next().cloned().unwrap_or_default();
            let sizes = Sizes {
                max: Some(7),
                ..Sizes::default()
            };
            cloud.set_sizes(&name, sizes, jiff::Timestamp::UNIX_EPOCH)
        })
        .unwrap();
    small
        .until("the changed group is healed", |small| {
            let cloud = small.stub.cloud()?;
            Ok(cloud.groups.values().all(|group| group.max == 2))
        })
        .unwrap();
    let said = small.cli(&["reconcile", GOOD]).unwrap();
    assert!(said.status.success(), "{said:?}");
    all_is_well(&mut small);
    small.stop().unwrap();
}
