//! Reads manifests: all of them, with all of their problems.
//!
//! Each file is read for itself, so that a bad one hides nothing of the
//! others. Then the files are held against each other, for what two apps
//! cannot share: a unit, and a name in AWS. Those problems are both files',
//! because nothing here can know which one was meant.

use std::collections::BTreeMap;

use super::Manifest;
use super::fields::At;
use super::problem::Notes;
use super::text::shown;
use super::{decode, json};
use crate::model::AppName;

pub use super::problem::Problem;

/// The folder of the manifests in a repository.
pub const FOLDER: &str = "desired/";

/// The manifests' JSON Schema, which lies among them and is none.
pub const SCHEMA: &str = "desired/schema.json";

/// A file under `desired/`.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path in the repository, such as `desired/demo/todo.json`.
    pub path: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
}

/// What the manifests of a commit say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Each app's manifest, or what is wrong with it; never an empty list.
    pub apps: BTreeMap<AppName, Result<Manifest, Vec<Problem>>>,
    /// Problems of files whose paths name no app.
    pub problems: Vec<Problem>,
}

/// Reads manifests and holds them against each other.
///
/// A unit counts as taken even where the rest of its manifest is wrong: the
/// app may be live there from an earlier commit.
pub fn parse(sources: &[Source<'_>]) -> Parsed {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for source in sources {
        match app_name(source.path) {
            Ok(app) => files.push((app, File::read(source))),
            Err(_) if source.path == SCHEMA => {}
            Err(message) => problems.push(Problem::of_file(source.path, &message)),
        }
    }
    refuse_shared(&files, Shared::Unit);
    refuse_shared(&files, Shared::AwsName);
    let apps = files
        .into_iter()
        .map(|(app, file)| (app, file.finish()))
        .collect();
    Parsed { apps, problems }
}

/// Reads one manifest on its own.
///
/// # Errors
///
/// Every problem of it, in the order of the text.
pub fn parse_one(source: &Source<'_>) -> Result<Manifest, Vec<Problem>> {
    File::read(source).finish()
}

/// The app that a path under `desired/` is the manifest of.
///
/// # Errors
///
/// A sentence that says which rule the path breaks.
pub fn app_name(path: &str) -> Result<AppName, String> {
    if path == SCHEMA {
        return Err(format!("`{SCHEMA}` is the manifests' schema, not an app"));
    }
    let name = path
        .strip_prefix(FOLDER)
        .and_then(|path| path.strip_suffix(".json"))
        .ok_or_else(|| {
            format!(
                "`{}` is not a manifest's path: they are `{FOLDER}<app>.json`",
                shown(path)
            )
        })?;
    AppName::parse(name)
}

/// A file that has been read for itself, its list of problems still open.
struct File<'a> {
    source: Source<'a>,
    notes: Notes,
    manifest: Option<Manifest>,
    /// The unit that it names, and where.
    unit: Option<(String, usize)>,
}

impl<'a> File<'a> {
    fn read(source: &Source<'a>) -> Self {
        let notes = Notes::default();
        let (mut manifest, mut unit) = (None, None);
        match json::read(source.bytes) {
            Err(error) => notes.add(error.at, None, error.message),
            Ok(node) => {
                if super::text::starts_with_mark(source.bytes) {
                    notes.add(
                        0,
                        None,
                        "the file begins with a byte order mark: save it as UTF-8 without one",
                    );
                }
                let root = At::root(&notes, &node);
                manifest = decode::manifest(&root);
                unit = root
                    .field("unit")
                    .and_then(|at| Some((at.as_text()?.to_owned(), at.node.span.start)));
            }
        }
        Self {
            source: *source,
            notes,
            manifest,
            unit,
        }
    }

    fn finish(self) -> Result<Manifest, Vec<Problem>> {
        let problems = self
            .notes
            .into_problems(self.source.path, self.source.bytes);
        match self.manifest {
            Some(manifest) if problems.is_empty() => Ok(manifest),
            _ => Err(problems),
        }
    }
}

/// What only one app may have.
#[derive(Clone, Copy)]
enum Shared {
    Unit,
    AwsName,
}

impl Shared {
    /// What a file lays claim to, and at which of its bytes.
    fn claim(self, app: &AppName, file: &File<'_>) -> Option<(String, usize)> {
        match self {
            Self::Unit => file.unit.clone(),
            Self::AwsName => Some((app.aws_name(), 0)),
        }
    }

    fn field(self) -> Option<&'static str> {
        match self {
            Self::Unit => Some("unit"),
            Self::AwsName => None,
        }
    }

    fn sentence(self, claim: &str, others: &str) -> String {
        let claim = shown(claim);
        match self {
            Self::Unit => format!(
                "`unit`: `{claim}` is taken by {others} too, each app needs a unit of its own"
            ),
            Self::AwsName => format!(
                "the app's name in AWS is `{claim}`, as is that of {others}: rename one of them"
            ),
        }
    }
}

/// Notes a problem in every file whose claim is another file's too.
fn refuse_shared(files: &[(AppName, File<'_>)], shared: Shared) {
    let mut claims: BTreeMap<String, Vec<(&File<'_>, usize)>> = BTreeMap::new();
    for (app, file) in files {
        if let Some((claim, at)) = shared.claim(app, file) {
            claims.entry(claim).or_default().push((file, at));
        }
    }
    for (claim, holders) in claims {
        for (index, (file, at)) in holders.iter().enumerate() {
            // The first names the second, the others name the first.
            let Some((other, _)) = holders.get(usize::from(index == 0)) else {
                continue;
            };
            let path = shown(other.source.path);
            let others = match holders.len() {
                2 => format!("`{path}`"),
                count => format!("`{path}` and {} more", count - 2),
            };
            let sentence = shared.sentence(&claim, &others);
            file.notes.add(*at, shared.field(), sentence);
        }
    }
}
