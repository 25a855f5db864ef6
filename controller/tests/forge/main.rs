//! The forge and the receivers of notifications, through the real `amid`: pull requests, comments, commit statuses and
//! messages against stand-ins on loopback that are as strict as the real ones.
//!
//! Terragrunt and AWS are the test kit's stub and stand-in. Each test has a world of its own.

#![allow(
    clippy::disallowed_methods,
    reason = "tests start programs and read clocks"
)]

mod bump;
mod doctor;
mod messages;
mod preview;
mod rollback;
mod statuses;

use std::path::Path;
use std::process::Output;

use amid_testkit::forge::{Forge, Kind, TOKEN};
use amid_testkit::small::{IMAGE, OTHER_IMAGE, Options, Small};
use serde_json::{Value, json};

/// The app.
const APP: &str = "demo/web";
/// Its manifest.
const MANIFEST: &str = "desired/demo/web.json";
/// An image whose instances never pass their health checks.
const BAD: &str = "ami-0bad0000000000001";

/// A world with one app in git, and a forge that hosts its repository.
struct World {
    small: Small,
    forge: Forge,
}

impl World {
    fn new(kind: Kind) -> World {
        World::with(kind, |_, _| {})
    }

    /// The same with a changed configuration.
    fn with(kind: Kind, change: impl FnOnce(&Small, &mut Value)) -> World {
        let mut small = Small::new(Options::of(Path::new(env!("CARGO_BIN_EXE_amid")))).unwrap();
        let fill = |cloud: &mut amid_testkit::cloud::Cloud| {
            cloud.add_image(BAD, "x86_64", false);
            Ok(())
        };
        small.stub.cloud_file().change(fill).unwrap();
        let forge = Forge::start(kind, small.bare.path()).unwrap();
        let mut more = json!({ "forge": forge.config(small.folder()).unwrap() });
        change(&small, &mut more);
        let Value::Object(more) = more else {
            panic!("The configuration is an object: {more}");
        };
        small.reconfigure(|options| options.config = more).unwrap();
        small
            .push(&Small::app_files(APP, IMAGE), "Add demo/web")
            .unwrap();
        World { small, forge }
    }

    /// What a command prints, when it ends well.
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command says when it ends badly.
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.small.cli(args).unwrap();
        for said in [&output.stdout, &output.stderr] {
            let said = String::from_utf8_lossy(said);
            assert!(!said.contains(TOKEN), "a command shows the token: {said}");
        }
        output
    }

    /// A file at a branch, as JSON.
    fn manifest(&self, branch: &str) -> Value {
        let bytes = self.small.bare.read(branch, MANIFEST).unwrap();
        serde_json::from_slice(&bytes.expect("a manifest")).unwrap()
    }

    /// The whole message of the newest commit of a branch.
    fn message(&self, branch: &str) -> String {
        let repo = git2::Repository::open_bare(self.small.bare.path()).unwrap();
        let commit = repo.revparse_single(branch).unwrap();
        let commit = commit.peel_to_commit().unwrap();
        commit.message().unwrap().to_owned()
    }

    fn no_complaints(&self) {
        let complaints = self.forge.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// The manifest with other fields.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<(String, Vec<u8>)> {
    let files = Small::app_files(APP, IMAGE);
    let mut manifest: Value = serde_json::from_slice(&files[0].1).unwrap();
    change(&mut manifest);
    vec![(MANIFEST.to_owned(), format!("{manifest:#}\n").into_bytes())]
}
