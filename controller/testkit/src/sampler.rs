//! Looks at an app four times a second from the first convergence on, and never forgets what it saw.
//!
//! It asks the AWS API alone. Scenes give it a floor: min(capacity when the roll began, new `min_size`). Every
//! look at which fewer instances than that were in service in their group and healthy in the load balancer
//! is a violation, and a scene with a violation has failed. It also tells the timeline what happens, keeps the
//! life of every group, and hands its latest look to whoever waits, so that a wait asks nothing twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    timeline::Scribe,
    world::aws::{Aws, Group, Observation},
};

/// How often it looks.
pub const EVERY: Duration = Duration::from_millis(250);
/// So many different violations are kept with their words; all are counted.
const KEPT: usize = 4;

/// Samples one app until dropped.
#[derive(Debug)]
pub struct Sampler {
    record: Arc<Mutex<Record>>,
    latest: watch::Receiver<Option<Arc<Observation>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Record {
    floor: usize,
    samples: u64,
    failed_samples: u64,
    violations: u64,
    first_violations: Vec<String>,
    lives: BTreeMap<String, Life>,
}

/// What became of one group.
#[derive(Debug, Clone)]
pub struct Life {
    /// Its image.
    pub ami: String,
    /// When it was there first.
    pub born: Instant,
    /// Its desired capacity when it was seen first.
    pub desired_at_birth: i32,
    /// Its sizes (min, max, desired) with the moment since which they were so.
    pub sizes: Vec<(Instant, (i32, i32, i32))>,
    /// How many of its instances served, with the moment since which it was so.
    pub serving: Vec<(Instant, usize)>,
    /// The most instances it ever had.
    pub most: usize,
    /// Every instance it ever had.
    pub instances: BTreeSet<String>,
    /// When it was drained: its greatest size became 0.
    pub drained: Option<Instant>,
    /// When it was found gone.
    pub gone: Option<Instant>,
}

impl Life {
    /// Since when at least `count` of its instances served without a break until `until`.
    pub fn served_since(&self, count: usize, until: Instant) -> Option<Instant> {
        let mut since = None;
        for (at, serving) in self.serving.iter().filter(|(at, _)| *at <= until) {
            if *serving < count {
                since = None;
            } else if since.is_none() {
                since = Some(*at);
            }
        }
        since
    }
}

impl Sampler {
    /// Starts to look at an app and to tell about it.
    pub fn start(aws: Aws, app: &str, scribe: Scribe) -> Sampler {
        let record = Arc::default();
        let (sender, latest) = watch::channel(None);
        let task = tokio::spawn(keep_sampling(
            aws,
            app.to_owned(),
            scribe,
            Arc::clone(&record),
            sender,
        ));
        Sampler {
            record,
            latest,
            task,
        }
    }

    /// From now on at least so many instances have to serve; 0 asks for nothing.
    pub fn set_floor(&self, floor: usize) {
        self.record().floor = floor;
    }

    /// How often the app had too few instances.
    pub fn violations(&self) -> u64 {
        self.record().violations
    }

    /// The first violations in words, and how many looks there were.
    pub fn in_words(&self) -> String {
        let record = self.record();
        let mut words = format!(
            "{} of {} looks ({} failed)",
            record.violations, record.samples, record.failed_samples
        );
        for violation in &record.first_violations {
            words.push_str("; ");
            words.push_str(violation);
        }
        words
    }

    /// Forgets the violations, so that the next scene on the same app starts clean.
    pub fn forget_violations(&self) {
        let mut record = self.record();
        record.violations = 0;
        record.first_violations.clear();
    }

    /// The life of every group that was ever seen, by name.
    pub fn lives(&self) -> BTreeMap<String, Life> {
        self.record().lives.clone()
    }

    /// The life of the latest group with this image.
    pub fn life_of_image(&self, ami: &str) -> Option<Life> {
        let record = self.record();
        let lives = record.lives.values().filter(|life| life.ami == ami);
        lives.max_by_key(|life| life.born).cloned()
    }

    /// The latest look; none before the first.
    pub fn latest(&self) -> Option<Arc<Observation>> {
        self.latest.borrow().clone()
    }

    /// Every look as it comes, for whoever has to follow them.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Observation>>> {
        self.latest.clone()
    }

    /// Waits for a look that began after this call. Ends only when one came: give it a time limit.
    pub async fn next(&mut self) -> Option<Arc<Observation>> {
        self.latest.mark_unchanged();
        self.latest.changed().await.ok()?;
        self.latest.borrow().clone()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_sampling(
    aws: Aws,
    app: String,
    scribe: Scribe,
    record: Arc<Mutex<Record>>,
    sender: watch::Sender<Option<Arc<Observation>>>,
) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut images = BTreeMap::new();
    loop {
        ticks.tick().await;
        let look = aws.observe(&app, &mut images).await;
        let news = {
            let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
            match &look {
                Ok(look) => record.take(look),
                Err(_) => {
                    // A fault that a scene plays; a look that failed says nothing about the app.
                    record.failed_samples += 1;
                    Vec::new()
                }
            }
        };
        for line in news {
            scribe.note(&line);
        }
        if let Ok(look) = look
            && sender.send(Some(Arc::new(look))).is_err()
        {
            return;
        }
    }
}

impl Record {
    /// Takes in one look and answers what is worth telling.
    fn take(&mut self, look: &Observation) -> Vec<String> {
        let mut news = Vec::new();
        self.samples += 1;
        let serving = look.serving();
        if serving < self.floor {
            self.violations += 1;
            let words = format!("{serving} served, not {}: {}", self.floor, look.in_words());
            if self.violations == 1 {
                news.push(format!("too few: {words}"));
            }
            if self.first_violations.len() < KEPT && !self.first_violations.contains(&words) {
                self.first_violations.push(words);
            }
        }
        for group in &look.groups {
            match self.lives.get_mut(&group.name) {
                Some(life) if life.gone.is_none() => life.go_on(group, look.at, &mut news),
                _ => {
                    news.push(format!("new group {} of {}", group.name, group.ami));
                    let mut life = Life::begin(group, look.at);
                    life.go_on(group, look.at, &mut news);
                    self.lives.insert(group.name.clone(), life);
                }
            }
        }
        for (name, life) in &mut self.lives {
            if life.gone.is_none() && look.named(name).is_none() {
                life.gone = Some(look.at);
                news.push(format!("{name} is gone"));
            }
        }
        news
    }
}

impl Life {
    fn begin(group: &Group, at: Instant) -> Life {
        Life {
            ami: group.ami.clone(),
            born: at,
            desired_at_birth: group.desired,
            sizes: Vec::new(),
            serving: Vec::new(),
            most: 0,
            instances: BTreeSet::new(),
            drained: None,
            gone: None,
        }
    }

    fn go_on(&mut self, group: &Group, at: Instant, news: &mut Vec<String>) {
        let name = &group.name;
        let sizes = (group.min, group.max, group.desired);
        let before = self.sizes.last().map(|(_, sizes)| *sizes);
        if before != Some(sizes) {
            self.sizes.push((at, sizes));
            if group.max == 0 && self.drained.is_none() {
                self.drained = Some(at);
                news.push(format!("{name} is being drained"));
            } else if before.is_some() {
                let (min, max, desired) = sizes;
                news.push(format!(
                    "{name} now has min {min}, desired {desired}, max {max}"
                ));
            }
            if group.max > 0 {
                self.drained = None;
            }
        }
        let serving = group.serving();
        if self.serving.last().map(|(_, count)| *count) != Some(serving) {
            self.serving.push((at, serving));
            if group.desired > 0 {
                news.push(format!("{name}: {serving} of {} serve", group.desired));
            }
        }
        self.most = self.most.max(group.instances.len());
        self.instances.extend(group.ids());
        // The image may be learned late, and a person may point the group at another one.
        if self.ami.is_empty() {
            self.ami.clone_from(&group.ami);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::aws::Instance;

    fn group(name: &str, healthy: usize, other: usize) -> Group {
        let instance = |number: usize| Instance {
            id: format!("i-{name}-{number}"),
            lifecycle: "InService".to_owned(),
            group_says_healthy: true,
            target: if number < healthy {
                "healthy"
            } else {
                "initial"
            }
            .to_owned(),
        };
        Group {
            name: name.to_owned(),
            release: String::new(),
            ami: format!("ami-{name}"),
            template: String::new(),
            version: "1".to_owned(),
            min: 2,
            max: 4,
            desired: 2,
            instances: (0..healthy + other).map(instance).collect(),
        }
    }

    fn look(groups: Vec<Group>) -> Observation {
        Observation {
            at: Instant::now(),
            groups,
        }
    }

    #[test]
    fn instances_that_are_only_in_service_do_not_count() {
        let mut record = Record {
            floor: 2,
            ..Record::default()
        };
        record.take(&look(vec![group("old", 2, 0), group("new", 0, 2)]));
        assert_eq!(record.violations, 0);
        record.take(&look(vec![group("new", 0, 2)]));
        assert_eq!(record.violations, 1);
    }

    #[test]
    fn a_group_that_comes_back_under_its_name_has_a_new_life() {
        let mut record = Record::default();
        record.take(&look(vec![group("one", 2, 0)]));
        record.take(&look(vec![]));
        assert!(record.lives["one"].gone.is_some());
        record.take(&look(vec![group("one", 1, 0)]));
        assert!(record.lives["one"].gone.is_none());
        assert_eq!(record.lives["one"].most, 1);
    }

    #[test]
    fn a_break_in_service_starts_the_count_again() {
        let mut record = Record::default();
        for serving in [2, 1, 2] {
            record.take(&look(vec![group("one", serving, 0)]));
        }
        let life = &record.lives["one"];
        let last = life.serving[2].0;
        assert_eq!(life.served_since(2, Instant::now()), Some(last));
        assert_eq!(life.served_since(3, Instant::now()), None);
    }
}
