//! Todos in memory: for a first look without a database, and for tests.
//!
//! It keeps the promises of the MongoDB store that can be seen from outside
//! (order, paging, idempotency keys) and can play dead, so that people and
//! tests see what an outage looks like. It does not survive a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mongodb::bson::oid::ObjectId;

use super::{Failure, Insert, Page, StoreError};
use crate::todo::{Change, ListQuery, Todo};

/// The most todos that are kept: memory is not free.
const CAPACITY: usize = 100_000;

/// Todos in memory.
#[derive(Debug, Default)]
pub struct Memory {
    kept: Mutex<Kept>,
    dead: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    todos: BTreeMap<ObjectId, Todo>,
    keys: HashMap<String, ObjectId>,
}

impl Memory {
    /// Plays dead, or comes back.
    pub fn play_dead(&self, dead: bool) {
        self.dead.store(dead, Ordering::Relaxed);
    }

    fn kept(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        self.ping()?;
        Ok(self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn ping(&self) -> Result<(), StoreError> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(Failure::Unreachable));
        }
        Ok(())
    }

    pub(super) fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let kept = self.kept()?;
        let mut todos: Vec<_> = kept
            .todos
            .values()
            .filter(|todo| query.after.is_none_or(|after| todo.id > after))
            .filter(|todo| query.completed.is_none_or(|flag| todo.completed == flag))
            .take(query.limit + 1)
            .cloned()
            .collect();
        let more = todos.len() > query.limit;
        todos.truncate(query.limit);
        Ok(Page {
            todos,
            more,
            ..Page::default()
        })
    }

    pub(super) fn get(&self, id: ObjectId) -> Result<Option<Todo>, StoreError> {
        Ok(self.kept()?.todos.get(&id).cloned())
    }

    pub(super) fn insert(&self, insert: Insert) -> Result<Todo, StoreError> {
        let mut kept = self.kept()?;
        if let Some(key) = &insert.key
            && let Some(todo) = kept.keys.get(key).and_then(|id| kept.todos.get(id))
        {
            return Ok(todo.clone());
        }
        if kept.todos.len() >= CAPACITY {
            return Err(StoreError::Unavailable(Failure::Full));
        }
        if let Some(key) = insert.key {
            kept.keys.insert(key, insert.id);
        }
        let todo = insert.todo.with_id(insert.id);
        kept.todos.insert(todo.id, todo.clone());
        Ok(todo)
    }

    pub(super) fn update(&self, id: ObjectId, change: Change) -> Result<Option<Todo>, StoreError> {
        Ok(self.kept()?.todos.get_mut(&id).map(|todo| {
            change.apply(todo);
            todo.clone()
        }))
    }

    pub(super) fn delete(&self, id: ObjectId) -> Result<bool, StoreError> {
        let mut kept = self.kept()?;
        kept.keys.retain(|_, other| *other != id);
        Ok(kept.todos.remove(&id).is_some())
    }

    pub(super) fn delete_all(&self) -> Result<(), StoreError> {
        *self.kept()? = Kept::default();
        Ok(())
    }
}
