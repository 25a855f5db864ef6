//! Watches that the app never has fewer healthy instances than it is owed.
//!
//! A thread reads the stub's cloud all the time; a shortage that lasts for less than one look is not seen, but
//! one that a wrong apply makes lasts until the next apply at least.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use amid_testkit::cloud::{Cloud, CloudFile};
use jiff::Timestamp;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The watch; it ends when dropped.
pub struct Floor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    least: AtomicUsize,
    ended: AtomicBool,
    looks: AtomicUsize,
    broken: Mutex<Vec<String>>,
}

impl Floor {
    /// Starts to watch this cloud; nothing is owed yet.
    pub fn watch(cloud: CloudFile) -> Floor {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !own.ended.load(Ordering::SeqCst) {
                own.look(&cloud);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Floor {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on at least so many instances have to be healthy.
    pub fn set(&self, least: usize) {
        self.shared.least.store(least, Ordering::SeqCst);
    }

    /// What was seen below the floor, in words.
    pub fn broken(&self) -> Vec<String> {
        assert!(
            self.shared.looks.load(Ordering::SeqCst) > 0,
            "the cloud was never looked at"
        );
        self.shared
            .broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Shared {
    fn look(&self, cloud: &CloudFile) {
        // The floor first: what is owed now was there before it was set.
        let least = self.least.load(Ordering::SeqCst);
        let Ok(cloud) = cloud.read() else { return };
        self.looks.fetch_add(1, Ordering::SeqCst);
        let healthy = healthy(&cloud);
        if healthy < least {
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            broken.push(format!(
                "{} healthy instances of {least} at {}",
                healthy,
                Timestamp::now()
            ));
            broken.truncate(20);
        }
    }
}

/// Instances that are healthy in the load balancer, of all groups.
fn healthy(cloud: &Cloud) -> usize {
    let now = Timestamp::now();
    let attached = cloud
        .groups
        .values()
        .filter(|group| !group.target_groups.is_empty());
    attached
        .flat_map(|group| &group.instances)
        .filter(|instance| cloud.target_health(instance, now) == "healthy")
        .count()
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
