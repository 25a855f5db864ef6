//! Wires the daemon together: config in, running loop out.

mod listen;
mod own_files;
mod past;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use amid_core::model::AppName;

use crate::aws::{self, Aws};
use crate::cleaner::{self, Cleaner};
use crate::cleanup::{self, Healer, Pace};
use crate::config::{Config, Target};
use crate::forge::Forge;
use crate::gate::Gates;
use crate::git::{Credentials, Limits, Mirror, Remote};
use crate::metrics::Metrics;
use crate::notify::{self, Notifier};
use crate::reconcile::{self, Engine, Place};
use crate::run::{Inputs, run};
use crate::socket::{self, PlanQuery};
use crate::status::{Asked, Status};
use crate::store::{Recent, StateDir};
use crate::systemd::{self, Watchdog};
use crate::terragrunt::{Terragrunt, Tools};
use crate::watch::Watch;
use listen::{Moved, STUCK, listen};
use own_files::OwnFiles;
use past::{Replay, history};

/// Runs the daemon until `stop` says so. Returns whether every apply was let
/// finish.
///
/// # Errors
///
/// A sentence that says what is missing at start.
pub async fn serve(
    config: Config,
    parent_env: BTreeMap<String, String>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<bool> {
    let (engine, notifier) = engine(config, parent_env).await?;
    let engine = Arc::new(engine);
    let (recent, metrics) = (engine.recent.clone(), Arc::clone(&engine.metrics));
    let socket_path = engine.store.path().join("amid.sock");
    let images = clean_up(&engine);

    let (status, shown) = watch::channel(Arc::new(Status::default()));
    let (commands, asked) = mpsc::channel::<Asked>(16);
    let ending = CancellationToken::new();
    let moved = Moved::new();
    listen(&engine, &shown, &images, &moved, &ending).await?;
    let socket = socket::bind(&socket_path).await?;
    if let Some(group) = &engine.config.socket.group {
        socket::give_to(&socket_path, group)?;
    }
    let handlers = socket::Handlers {
        status: shown.clone(),
        history: history(&recent),
        plan: plan(&engine),
        images,
        commands,
    };
    tokio::spawn(socket::serve(socket, handlers, ending.clone()));

    let telling = notifier.start(notify::Setup {
        config: engine.config.notify.clone(),
        forge: engine
            .forge
            .clone()
            .filter(|_| wants_statuses(&engine.config)),
        status: shown.clone(),
        metrics: Arc::clone(&metrics),
        clock: engine.clock,
        file: engine.store.path().join("notices.json"),
        ending: ending.clone(),
    })?;

    let watchdog = Watchdog::new();
    let mut ready = false;
    let (loop_moved, loop_metrics, seen) = (moved.clone(), Arc::clone(&metrics), shown.clone());
    let inputs = Inputs {
        commands: asked,
        stop,
        status,
        tick: Box::new(move |words| {
            loop_moved.now();
            loop_metrics.loop_moved(now());
            watchdog.tick();
            systemd::status(words);
            if words.starts_with("stopping") {
                systemd::stopping();
                // An apply is worth waiting for; the grace is ours to end.
                systemd::extend_timeout(STUCK);
            } else if !ready && seen.borrow().swept.is_some() {
                ready = true;
                systemd::ready();
            }
        }),
        watch: watch_local(&engine.config),
    };
    let finished = run(Arc::clone(&engine), inputs).await;
    ending.cancel();
    if let Some(telling) = telling {
        // It has a bound of its own.
        let _ = telling.await;
    }
    let _ = std::fs::remove_file(&socket_path);
    finished
}

/// What passes share, with what the journal says of the past. The state
/// directory is this process's from then on.
///
/// # Errors
///
/// A sentence that says what is missing at start.
pub(crate) async fn engine(
    config: Config,
    parent_env: BTreeMap<String, String>,
) -> anyhow::Result<(Engine, Notifier)> {
    let clock: fn() -> Timestamp = now;
    let store =
        StateDir::open(&config.state_dir).map_err(|error| anyhow::Error::msg(error.to_string()))?;
    let recent = Recent::default();
    let mut replay = Replay::default();
    let (journal, repairs) = store
        .journal(clock(), |record| replay.take(record, &recent))
        .map_err(|error| anyhow::Error::msg(error.to_string()))?;
    for repair in &repairs {
        tracing::warn!("{repair}");
    }
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), "unknown")?);
    metrics.configured(&config.hash);
    tracing::info!(hash = config.hash, "The config's hash is {}", config.hash);
    let mirror = Mirror::open(store.path(), remote(&config)?)?;
    let tools = Tools {
        terragrunt: config.terragrunt.binary.clone(),
        terraform: config.terragrunt.terraform.clone(),
        parent_env,
        env: config.terragrunt.env.clone(),
        plan_timeout: config.terragrunt.plan_limit(),
        apply_timeout: config.terragrunt.apply_limit(),
        memory_per_run: config.terragrunt.memory_per_run_mib << 20,
        clock,
    };
    let own = OwnFiles::read(&tools.parent_env);
    let mut places = Vec::new();
    for (index, target) in config.targets.iter().enumerate() {
        let place = place(target);
        places.push(Place {
            aws: Aws::connect(&place, reconcile::count_aws(Arc::clone(&metrics))).await,
            account_id: target.account_id.clone(),
            checked: false.into(),
            surroundings: own.surroundings(&place, &tools.parent_env, store.path(), index)?,
        });
    }
    let forge = match &config.forge {
        Some(forge) => Some(Forge::new(forge, &config.repository.url)?),
        None => None,
    };
    let tells = wants_statuses(&config) || !config.notify.receivers.is_empty();
    let notifier = Notifier::new(tells, &metrics);
    let runner = Terragrunt::new(tools, store.units());
    runner.observed_by(reconcile::count_runs(Arc::clone(&metrics)));
    let healer = config.cleanup.as_ref().map(|cleanup| {
        let pace = Arc::new(Pace::per_second(cleanup.requests_per_second));
        Healer::new(cleanup.policy.controller.clone(), pace)
    });
    let turns = usize::try_from(config.max_concurrent_rolls).unwrap_or(1);
    let engine = Engine {
        mirror: Arc::new(mirror),
        runner,
        gates: Gates::new()?,
        places,
        store,
        journal: Mutex::new(journal),
        metrics,
        accepted: watch::Sender::new(None),
        stopping: watch::Sender::new(false),
        turns: Arc::new(Semaphore::new(turns)),
        slots: Mutex::new(replay.slots),
        hint: tokio::sync::Notify::new(),
        approved_heads: Mutex::new(replay.approved),
        last_accepted: replay.accepted,
        applies: 0.into(),
        recent,
        tap: notifier.tap(),
        forge,
        healer,
        image_dates: reconcile::ImageDates::default(),
        clock,
        config,
    };
    Ok((engine, notifier))
}

/// Whether commits get a status at the forge.
fn wants_statuses(config: &Config) -> bool {
    config.forge.as_ref().is_some_and(|forge| forge.statuses)
}

/// Starts clean-up, where the config asks for it.
fn clean_up(engine: &Arc<Engine>) -> cleanup::Handle {
    let Some((config, healer)) = engine.config.cleanup.as_ref().zip(engine.healer.as_ref()) else {
        return cleanup::Handle::off();
    };
    let cleaner = Cleaner::new(config.clone(), healer.pace(), engine.store.path());
    let (show, shown) = watch::channel(None);
    let (handle, orders) = cleanup::Handle::new(shown);
    tokio::spawn(cleaner::serve(Arc::clone(engine), cleaner, show, orders));
    handle
}

/// The watched repository as the git adapter takes it.
///
/// # Errors
///
/// When the author has no name or address.
pub fn remote(config: &Config) -> anyhow::Result<Remote> {
    let repository = &config.repository;
    let credentials = match (&repository.token_file, &repository.ssh_key_file) {
        (Some(file), _) => Credentials::TokenFile(file.clone()),
        (None, Some(file)) => Credentials::SshKeyFile(file.clone()),
        (None, None) => Credentials::None,
    };
    Ok(Remote {
        url: repository.url.clone(),
        branch: repository.branch.clone(),
        credentials,
        author: repository.author.parse()?,
        limits: Limits::default(),
    })
}

/// A target as the AWS adapter takes it.
pub fn place(target: &Target) -> aws::Place {
    aws::Place {
        region: target.region.clone(),
        role_arn: target.role_arn.clone(),
        endpoint_url: target.endpoint_url.clone(),
    }
}

fn watch_local(config: &Config) -> Option<Watch> {
    let path = crate::git::local_path(&config.repository.url)?;
    match Watch::start(&path) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(
                "The repository is polled only, its folder cannot be watched: {error:#}"
            );
            None
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of the daemon")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn plan(engine: &Arc<Engine>) -> socket::Plan {
    let engine = Arc::clone(engine);
    Arc::new(move |query: PlanQuery| {
        let engine = Arc::clone(&engine);
        Box::pin(async move {
            let plans = plans(&engine, query.app.as_deref(), query.commands).await?;
            Ok(Value::Array(plans))
        })
    })
}

/// What a pass would do now to an app, or to each.
///
/// # Errors
///
/// A sentence that says why nothing can be said of any.
pub(crate) async fn plans(
    engine: &Arc<Engine>,
    app: Option<&str>,
    commands: bool,
) -> Result<Vec<Value>, String> {
    let accepted = engine.accepted().ok_or("the repository was not read yet")?;
    let apps: Vec<AppName> = match app {
        Some(app) => vec![AppName::parse(app)?],
        None => accepted.apps.keys().cloned().collect(),
    };
    let mut plans = Vec::new();
    for app in apps {
        match reconcile::dry_run(engine, &app, commands).await {
            Ok(plan) => plans.push(plan),
            Err(error) => plans.push(json!({ "app": app, "error": error })),
        }
    }
    Ok(plans)
}
