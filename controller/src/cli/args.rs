//! The command line, as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

/// Rolls Auto Scaling groups to the image that a git repository names,
/// through terragrunt
#[derive(Debug, Parser)]
#[command(
    name = "amid",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// Where the config is.
#[derive(Clone, Debug, Args)]
pub struct ConfigFlag {
    /// The controller's config
    #[arg(
        long,
        env = "AMID_CONFIG",
        value_name = "FILE",
        default_value = "/etc/amid/amid.json"
    )]
    pub config: PathBuf,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Watch the repository and keep every app as git asks, until SIGTERM
    Run {
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Check manifests; needs no daemon and no cloud
    ///
    /// Shows every mistake of every file with line and column. Exits with 0 when there is none, else
    /// with 1.
    Validate {
        /// A repository, its folder `desired`, or one manifest
        #[arg(default_value = ".")]
        path: PathBuf,
        /// Ask AWS too whether each image is there and can be launched; this reads the config
        #[arg(long)]
        online: bool,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Show which images are on their way out, what would be done to them, and why
    Gc {
        /// Begin a run now and wait for its end
        #[arg(long)]
        now: bool,
        /// The same, and let it act where the config only reports
        #[arg(long)]
        apply: bool,
        /// Throw the kill switch: nothing is changed any more, not even put back
        #[arg(long, value_name = "REASON", conflicts_with_all = ["now", "apply", "start"])]
        stop: Option<String>,
        /// Take `--stop` back
        #[arg(long, conflicts_with_all = ["now", "apply"])]
        start: bool,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Show everything that keeps an image, or what it waits for
    Why {
        /// The image
        ami: String,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Show what a pass would do now, and why; changes nothing
    ///
    /// Asks the daemon; where none runs, looks itself. Exits with 0 when there is nothing to do, with 2
    /// when there is something, with 1 on an error.
    Plan {
        /// Only this app
        app: Option<String>,
        /// Print the commands of the whole roll, to be done by hand
        #[arg(long)]
        commands: bool,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Ask the daemon to look at the repository and at an app now
    Reconcile {
        /// The app
        app: String,
        /// Show what happens until the app is as desired, or held
        #[arg(long)]
        watch: bool,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Show what runs where, what is rolling, what is held, and why
    Status {
        /// Only this app, with its instances
        app: Option<String>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Show what happened, the newest last
    History {
        /// Only this app
        app: Option<String>,
        /// How many entries
        #[arg(short = 'n', long, default_value_t = 50)]
        limit: usize,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Let a hold go on: `amid status` names it
    Approve {
        /// The hold
        hold: String,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Stop rolling an app forward; a rollback still may
    ///
    /// For the hour when git cannot be reached. The usual way is `suspend` in the manifest.
    Suspend {
        /// The app
        app: String,
        /// When it ends by itself, such as 2026-11-30T08:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Why, for the people who will ask
        #[arg(long, default_value = "no reason given")]
        reason: String,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Undo `amid suspend`
    Resume {
        /// The app
        app: String,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Replace every instance of an app: commits a higher `revision`
    Restart {
        /// The app
        app: String,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Name a new image in an app's manifest: a commit, and a pull request where the config says so
    ///
    /// Edits nothing but the image's fields. Run twice, it makes one pull request.
    Bump {
        /// The app
        app: String,
        /// The image
        #[arg(
            long,
            value_name = "AMI",
            required_unless_present = "manifest",
            conflicts_with = "manifest"
        )]
        ami: Option<String>,
        /// The file of Packer's manifest post-processor; the app's region chooses the image
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// Which build, where the last run of Packer made several images
        #[arg(long, value_name = "NAME", requires = "manifest")]
        packer_build: Option<String>,
        /// The app's commit that the image was built from
        #[arg(long, value_name = "COMMIT")]
        commit: Option<String>,
        /// The app's version that is in the image
        #[arg(long, value_name = "VERSION")]
        app_version: Option<String>,
        /// The build that made the image
        #[arg(long, value_name = "ID")]
        build: Option<String>,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Bring an older release back, the way that a new image gets in
    Rollback {
        /// The app
        app: String,
        /// An image, or a commit that brought a version of the manifest; without it the release before that nobody took
        /// back
        #[arg(long, value_name = "AMI|COMMIT")]
        to: Option<String>,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Give one app the image of another, such as prod that of staging
    Promote {
        /// The app that has the image
        from: String,
        /// The app that is to get it
        to: String,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Say what merging a branch would do to each app; runs nothing of what the branch holds
    ///
    /// Exits with 0 when the branch may be merged as far as this can tell, with 1 when it may not.
    Preview {
        /// A branch of the watched repository
        branch: String,
        /// Put it on the branch's pull request, and a status beside its commit
        #[arg(long)]
        publish: bool,
        /// Ask AWS nothing: images and sizes are taken as git has them
        #[arg(long)]
        offline: bool,
        /// How to print
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Check what amid needs: repository, tools, credentials, units; each with its mend
    Doctor {
        /// Where the config is
        #[command(flatten)]
        config: ConfigFlag,
    },
    /// Print the JSON schema of manifests
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
