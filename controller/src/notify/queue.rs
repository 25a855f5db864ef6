//! What waits to be sent to one receiver: bounded, so that a dead one costs
//! no memory, and a slow one delays nobody.
//!
//! When it is full, the oldest of what matters least makes room: the newest
//! word on something is the one that is true.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use amid_core::notice::Severity;

/// The most that waits for one receiver.
pub(super) const CAPACITY: usize = 256;

/// Something that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item<T> {
    pub(super) severity: Severity,
    /// A later word on the same takes the place of this one.
    pub(super) subject: Option<String>,
    pub(super) what: T,
}

/// What waits for one receiver.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Mutex<VecDeque<Item<T>>>,
    added: Notify,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            added: Notify::new(),
        }
    }

    /// Adds `item`; returns how many were dropped for it.
    pub(super) fn push(&self, item: Item<T>) -> u64 {
        let mut items = self.lock();
        if item.subject.is_some()
            && let Some(same) = items.iter_mut().find(|one| one.subject == item.subject)
        {
            *same = item;
            return 0;
        }
        let mut dropped = 0;
        if items.len() >= CAPACITY {
            let least = items.iter().map(|one| one.severity).min();
            let oldest = items.iter().position(|one| Some(one.severity) == least);
            if let Some(oldest) = oldest {
                items.remove(oldest);
                dropped = 1;
            }
        }
        items.push_back(item);
        drop(items);
        self.added.notify_one();
        dropped
    }

    /// Takes the oldest; waits for one.
    pub(super) async fn take(&self) -> Item<T> {
        loop {
            if let Some(item) = self.lock().pop_front() {
                return item;
            }
            self.added.notified().await;
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Item<T>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(what: usize, severity: Severity, subject: Option<&str>) -> Item<usize> {
        Item {
            severity,
            subject: subject.map(str::to_owned),
            what,
        }
    }

    fn rest(queue: &Queue<usize>) -> Vec<usize> {
        queue.lock().iter().map(|item| item.what).collect()
    }

    #[test]
    fn a_full_queue_gives_up_the_oldest_of_what_matters_least() {
        let queue = Queue::new();
        assert_eq!(queue.push(item(0, Severity::Error, None)), 0);
        for n in 1..CAPACITY {
            assert_eq!(queue.push(item(n, Severity::Info, None)), 0);
        }
        assert_eq!(queue.push(item(999, Severity::Warning, None)), 1);
        assert_eq!(queue.len(), CAPACITY);
        let rest = rest(&queue);
        assert_eq!(rest[..2], [0, 2], "the error stays, the oldest word goes");
        assert_eq!(rest.last(), Some(&999));
    }

    #[test]
    fn the_newest_word_on_a_subject_is_the_one_that_is_sent() {
        let queue = Queue::new();
        queue.push(item(1, Severity::Info, Some("a")));
        queue.push(item(2, Severity::Info, Some("b")));
        queue.push(item(3, Severity::Info, Some("a")));
        assert_eq!(rest(&queue), [3, 2]);
    }
}
