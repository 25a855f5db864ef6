//! Where todos are kept: MongoDB, or memory for trying things out.
//!
//! An enum rather than a trait, because both are useful to people: with
//! `--database-url memory:` the app runs on a laptop without any database.
//! Everything above this module speaks of todos and of three kinds of failure;
//! the driver's types and words stay below it.

mod document;
mod memory;
mod mongo;
mod outage;
mod shared;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use mongodb::bson::oid::ObjectId;

pub use memory::Memory;
pub use mongo::{BadUrl, Mongo, MongoSettings};

use crate::todo::{Change, ListQuery, NewTodo, Todo};

/// Where todos are kept.
#[derive(Debug)]
pub enum Store {
    /// In a MongoDB collection.
    Mongo(Box<Mongo>),
    /// In this process, until it ends.
    Memory(Memory),
}

/// Why the store did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing is wrong with the request: try again later.
    Unavailable(Failure),
    /// The database's own rules do not allow the todo.
    Refused,
    /// What came back cannot be understood; for the log.
    Broken(String),
}

/// What is wrong with the database, as a closed set: a label for metrics and
/// words for people. It never holds the driver's text, which may name hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No server could be reached in time.
    Unreachable,
    /// A server took the question and did not answer in time.
    Timeout,
    /// The connection broke on the way.
    Connection,
    /// The database does not accept our credentials.
    Credentials,
    /// It has been down for a while, so that nobody is made to wait.
    Down,
    /// The server refused the command.
    Command,
    /// There is no room for more.
    Full,
}

impl Failure {
    /// The metrics label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Credentials => "credentials",
            Self::Down => "down",
            Self::Command => "command",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "no database server could be reached in time",
            Self::Timeout => "the database did not answer in time",
            Self::Connection => "the connection to the database broke",
            Self::Credentials => "the database does not accept the credentials",
            Self::Down => "the database has been down for some seconds",
            Self::Command => "the database refused the command",
            Self::Full => "there is no room for more todos",
        })
    }
}

/// A part of the list. Its JSON is written once for all who share it.
#[derive(Debug, Default)]
pub struct Page {
    /// The todos, oldest first.
    pub todos: Vec<Todo>,
    /// Whether there are more behind the last one.
    pub more: bool,
    /// The list as the original answers it.
    pub original: OnceLock<Bytes>,
    /// The list as `/todos` answers it to those who came by this base address,
    /// with its entity tag.
    pub resource: OnceLock<Rendered>,
}

/// A list in its final form.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The base of its absolute addresses.
    pub base: String,
    /// The JSON.
    pub body: Bytes,
    /// The entity tag.
    pub etag: String,
}

/// A todo on its way into the store.
#[derive(Clone, Debug)]
pub struct Insert {
    /// Its identifier, chosen before the first attempt so that a second one
    /// cannot store it twice.
    pub id: ObjectId,
    /// The todo.
    pub todo: NewTodo,
    /// The client's `Idempotency-Key`, unique among all todos.
    pub key: Option<String>,
}

impl Store {
    /// Makes the collection, its indexes and its validator, if they are not
    /// there. May be called at any time by any number of servers.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.prepare().await,
            Self::Memory(memory) => memory.ping(),
        }
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.ping().await,
            Self::Memory(memory) => memory.ping(),
        }
    }

    /// A part of the list, as it is at some instant after the call.
    pub async fn list(&self, query: ListQuery) -> Result<Arc<Page>, StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.list(query).await,
            Self::Memory(memory) => memory.list(&query).map(Arc::new),
        }
    }

    /// One todo.
    pub async fn get(&self, id: ObjectId) -> Result<Option<Todo>, StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.get(id).await,
            Self::Memory(memory) => memory.get(id),
        }
    }

    /// Stores a todo; when one with the same key is there, returns that one.
    pub async fn insert(&self, insert: Insert) -> Result<Todo, StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.insert(insert).await,
            Self::Memory(memory) => memory.insert(insert),
        }
    }

    /// Changes a todo and returns what it became.
    pub async fn update(&self, id: ObjectId, change: Change) -> Result<Option<Todo>, StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.update(id, change).await,
            Self::Memory(memory) => memory.update(id, change),
        }
    }

    /// Removes a todo; `false` when it was not there.
    pub async fn delete(&self, id: ObjectId) -> Result<bool, StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.delete(id).await,
            Self::Memory(memory) => memory.delete(id),
        }
    }

    /// Removes every todo.
    pub async fn delete_all(&self) -> Result<(), StoreError> {
        match self {
            Self::Mongo(mongo) => mongo.delete_all().await,
            Self::Memory(memory) => memory.delete_all(),
        }
    }
}
