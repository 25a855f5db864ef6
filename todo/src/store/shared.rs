//! One database read for everybody who asks the same thing at the same time.
//!
//! At most one read per question runs at once. Whoever asks meanwhile waits
//! for the *next* one, which all of them share. A read is therefore never
//! older than the request it answers: it starts after the request came, so
//! people see their own writes, which a cache or joining a running read could
//! not promise. Under load this turns hundreds of equal queries into a few,
//! and a slow database does not make them pile up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::oneshot;

/// The end of a read; `None` if its task died.
type Read<V> = Shared<BoxFuture<'static, Option<V>>>;

#[derive(Debug)]
struct Slot<V: Clone> {
    running: Option<Read<V>>,
    queued: Option<Read<V>>,
}

/// Reads in progress, by question.
#[derive(Debug)]
pub struct SharedReads<K, V: Clone> {
    slots: Arc<Mutex<HashMap<K, Slot<V>>>>,
}

impl<K, V: Clone> Default for SharedReads<K, V> {
    fn default() -> Self {
        Self {
            slots: Arc::default(),
        }
    }
}

impl<K, V> SharedReads<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The outcome of a read that starts after this call; `fetch` is used when
    /// no such read is waiting yet. `None` when the read's task died.
    pub async fn read<F, Fut>(&self, key: K, fetch: F) -> Option<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send,
    {
        self.join(key, fetch).await
    }

    fn join<F, Fut>(&self, key: K, fetch: F) -> Read<V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send,
    {
        let mut slots = lock(&self.slots);
        let slot = slots.entry(key.clone()).or_insert_with(|| Slot {
            running: None,
            queued: None,
        });
        if let Some(queued) = &slot.queued {
            return queued.clone();
        }
        let previous = slot.running.clone();
        let (done, outcome) = oneshot::channel();
        let read = outcome.map(Result::ok).boxed().shared();
        slot.queued = Some(read.clone());
        drop(slots);
        let slots = self.slots.clone();
        // A task of its own: the first to ask may hang up, the others stay.
        tokio::spawn(async move {
            if let Some(previous) = previous {
                previous.await;
            }
            if let Some(slot) = lock(&slots).get_mut(&key) {
                // From here on newcomers would be served too old a list.
                slot.running = slot.queued.take();
            }
            let value = fetch().await;
            let mut slots = lock(&slots);
            if let Some(slot) = slots.get_mut(&key) {
                slot.running = None;
                if slot.queued.is_none() {
                    slots.remove(&key);
                }
            }
            drop(slots);
            // Nobody listens any more: that is their choice.
            let _ = done.send(value);
        });
        read
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// A database that answers with the number of reads so far, each when it
    /// is told to.
    #[derive(Default)]
    struct Database {
        reads: AtomicUsize,
        go: Option<Semaphore>,
    }

    fn fetch(database: &Arc<Database>) -> impl FnOnce() -> BoxFuture<'static, usize> + use<> {
        let database = database.clone();
        move || {
            async move {
                let number = database.reads.fetch_add(1, Ordering::SeqCst) + 1;
                if let Some(go) = &database.go {
                    go.acquire().await.expect("an open semaphore").forget();
                }
                number
            }
            .boxed()
        }
    }

    #[tokio::test]
    async fn everyone_who_asks_during_a_read_shares_the_next_one() {
        let database = Arc::new(Database {
            go: Some(Semaphore::new(0)),
            ..Database::default()
        });
        let reads = SharedReads::default();
        let first = tokio::spawn(reads.join("list", fetch(&database)));
        while database.reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..50)
            .map(|_| reads.join("list", fetch(&database)))
            .collect();
        let go = database.go.as_ref().expect("a semaphore");
        go.add_permits(2);
        assert_eq!(first.await.expect("a task"), Some(1));
        for read in later {
            assert_eq!(read.await, Some(2));
        }
        assert_eq!(database.reads.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_read_begins_after_it_was_asked_for() {
        let database = Arc::new(Database::default());
        let reads = SharedReads::default();
        for expected in 1..=3 {
            let number = reads.read("list", fetch(&database)).await;
            assert_eq!(number, Some(expected));
        }
        assert!(lock(&reads.slots).is_empty(), "nothing is kept behind");
    }

    #[tokio::test]
    async fn a_read_whose_task_died_does_not_block_the_next() {
        let database = Arc::new(Database::default());
        let reads: SharedReads<_, usize> = SharedReads::default();
        let dead = reads.read("list", || async { panic!("on purpose") }).await;
        assert_eq!(dead, None);
        assert_eq!(reads.read("list", fetch(&database)).await, Some(1));
    }
}
