//! Real machines behind the emulated API: each instance that moto launches is a process of the app on loopback.
//!
//! A keeper asks EC2 what runs. For an instance that is new it starts the process that the instance's image
//! says, for one that is gone it sends SIGTERM, as a machine that is shut down would. The load balancer's health
//! checks are made of the processes, and the proxy answers target health by them. In front stands a
//! `balancer` for clients. Nothing here knows what `amid` thinks.

mod balancer;
mod database;
mod image;
mod load;
mod machine;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

pub use database::Database;
pub use image::{Image, UNIT, assemble};
pub use load::{Load, Tally};

use crate::{
    proxy::Rules,
    timeline::Scribe,
    world::{
        aws::{Aws, Observation},
        stage::Stage,
    },
};
use balancer::Balancer;
use machine::Machine;

/// How often EC2 is asked.
const EVERY: Duration = Duration::from_millis(250);
/// As on AWS an instance goes on for a while after its target was told to take nothing new: the
/// deregistration delay of the edge unit.
const DELAY: Duration = Duration::from_secs(5);
/// How long a machine serves after SIGTERM: longer than a health check needs to notice.
const DRAIN: &str = "3s";

/// The machines of one stage's app; they end when dropped.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Mutex<Shared>>,
    balancer: Balancer,
    database: Database,
    keeper: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    images: BTreeMap<String, Image>,
    machines: BTreeMap<String, Machine>,
    /// Those that were told to stop and have not ended yet.
    leaving: BTreeMap<String, Machine>,
    started: usize,
    left_well: usize,
    problems: Vec<String>,
}

/// What became of all machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Processes that were started.
    pub started: usize,
    /// Those that drained and ended by themselves after SIGTERM.
    pub left_well: usize,
    /// Those that run now.
    pub running: usize,
    /// What went wrong, in words.
    pub problems: Vec<String>,
}

impl Fleet {
    /// Takes over the stage's app: from now on a target is healthy only where a process says so.
    pub async fn start(stage: &Stage<'_>) -> Result<Fleet> {
        let folder = stage.folder().join("machines");
        let data = folder.join("database");
        fs::create_dir_all(&data).context("Failed to make a folder for the machines")?;
        let database = Database::start(&stage.world.tools.checkout, &data).await?;
        stage.rules().linger(DELAY);
        stage.rules().target_initial(Duration::ZERO);
        stage.rules().only_told_instances();
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let keeper = Keeper {
            aws: stage.aws.clone(),
            app: stage.app.clone(),
            rules: stage.rules().clone(),
            scribe: stage.scribe.clone(),
            database: database.url(),
            folder,
            shared: Arc::clone(&shared),
        };
        let balancer = {
            let (shared, looks) = (Arc::clone(&shared), stage.sampler.watch());
            Balancer::start(Arc::new(move || targets(&shared, &looks)))?
        };
        Ok(Fleet {
            shared,
            balancer,
            database,
            keeper: tokio::spawn(keeper.keep()),
        })
    }

    /// Says what is in an image, before a machine is launched from it.
    pub fn add_image(&self, ami: &str, image: Image) {
        lock(&self.shared).images.insert(ami.to_owned(), image);
    }

    /// Where clients find the app.
    pub fn addr(&self) -> SocketAddr {
        self.balancer.addr()
    }

    /// The database that all machines share.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What became of all machines until now.
    pub fn count(&self) -> Count {
        let shared = lock(&self.shared);
        Count {
            started: shared.started,
            left_well: shared.left_well,
            running: shared.machines.len() + shared.leaving.len(),
            problems: shared.problems.clone(),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.keeper.abort();
        let mut shared = lock(&self.shared);
        shared.machines.clear();
        shared.leaving.clear();
    }
}

/// Those that AWS calls healthy, and whose own process does.
fn targets(
    shared: &Mutex<Shared>,
    looks: &watch::Receiver<Option<Arc<Observation>>>,
) -> Vec<SocketAddr> {
    let Some(look) = looks.borrow().clone() else {
        return Vec::new();
    };
    let shared = lock(shared);
    let instances = look.groups.iter().flat_map(|group| &group.instances);
    instances
        .filter(|one| one.target == "healthy")
        .filter_map(|one| shared.machines.get(&one.id)?.healthy_at())
        .collect()
}

/// Makes processes follow instances.
struct Keeper {
    aws: Aws,
    app: String,
    rules: Rules,
    scribe: Scribe,
    database: String,
    folder: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

impl Keeper {
    async fn keep(self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A look that failed says nothing about any machine.
            if let Ok(machines) = self.aws.machines_of(&self.app).await {
                let running: BTreeMap<String, String> = machines
                    .into_iter()
                    .filter(|machine| machine.runs)
                    .map(|machine| (machine.id, machine.ami))
                    .collect();
                self.follow(&running);
            }
        }
    }

    fn follow(&self, running: &BTreeMap<String, String>) {
        let mut shared = lock(&self.shared);
        for (id, ami) in running {
            if !shared.machines.contains_key(id)
                && let Err(error) = self.launch(&mut shared, id, ami)
            {
                shared.problem(format!("{error:#}"));
            }
        }
        let gone: Vec<String> = shared
            .machines
            .keys()
            .filter(|id| !running.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            if let Some(mut machine) = shared.machines.remove(&id) {
                if let Err(error) = machine.stop() {
                    shared.problem(format!("{id}: {error:#}"));
                }
                shared.leaving.insert(id, machine);
            }
        }
        let ended: Vec<(String, bool)> = shared
            .leaving
            .iter_mut()
            .filter_map(|(id, machine)| Some((id.clone(), machine.ended().ok()??)))
            .collect();
        for (id, well) in ended {
            let Some(machine) = shared.leaving.remove(&id) else {
                continue;
            };
            if well {
                shared.left_well += 1;
                let version = &machine.version;
                self.scribe
                    .note(&format!("{id} ({version}) has drained and left"));
            } else {
                shared.problem(format!("{id} did not stop as it should"));
            }
        }
    }

    fn launch(&self, shared: &mut Shared, id: &str, ami: &str) -> Result<()> {
        let image = shared
            .images
            .get(ami)
            .with_context(|| format!("Nobody knows what is in {ami}, the image of {id}"))?;
        let known = [
            ("TODO_LISTEN", "127.0.0.1:0".to_owned()),
            ("TODO_METRICS_LISTEN", "127.0.0.1:0".to_owned()),
            ("TODO_DATABASE_URL", self.database.clone()),
            ("TODO_DRAIN_TIME", DRAIN.to_owned()),
            ("TODO_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
            ("TODO_AMI", ami.to_owned()),
            ("TODO_RELEASE_VERSION", image.version().to_owned()),
        ];
        let machine = Machine::start(id, image, &known, &self.folder, self.rules.clone())?;
        let version = &machine.version;
        self.scribe
            .note(&format!("{id} boots: todo {version} of {ami}"));
        shared.machines.insert(id.to_owned(), machine);
        shared.started += 1;
        Ok(())
    }
}

impl Shared {
    /// Said once: an instance that cannot be started would say it four times a second.
    fn problem(&mut self, words: String) {
        if !self.problems.contains(&words) && self.problems.len() < 20 {
            self.problems.push(words);
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The unit that the app's image gets, with more options where there are any.
pub fn unit(checkout: &Path, options: &str) -> Result<String> {
    const START: &str = "ExecStart=/usr/local/bin/todo";
    let path = checkout.join("packer/files/app").join(UNIT);
    let text =
        fs::read_to_string(&path).with_context(|| format!("Failed to read {}", path.display()))?;
    anyhow::ensure!(
        text.contains(START),
        "No line `{START}`: {}",
        path.display()
    );
    Ok(text.replacen(START, &format!("{START} {options}"), 1))
}
