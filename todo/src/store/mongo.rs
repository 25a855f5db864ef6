//! Todos in a MongoDB collection, through the official driver.
//!
//! The collection is the original's, so that its todos go on being served.
//! Writes are acknowledged by a majority and its journal. Every operation has
//! a limit in time, and while the database is known to be down nobody is made
//! to wait for it. The driver's own words never leave this file: they may name
//! hosts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};
use mongodb::event::EventHandler;
use mongodb::options::{Acknowledgment, ClientOptions, IndexOptions, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection, Database, IndexModel};

use super::document::{from_document, from_raw, to_document, update_of};
use super::outage::Outage;
use super::shared::SharedReads;
use super::{Failure, Insert, Page, StoreError};
use crate::metrics::{DatabaseOperation, Metrics};
use crate::todo::{Change, ListQuery, MAX_TITLE, Todo};

/// The original's collection: mongoose's plural of its model `Todo`.
const COLLECTION: &str = "todos";

/// How long the driver looks for a server that can take an operation: long
/// enough for the election of a new primary.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one operation may take altogether, the driver's one retry included.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);

/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// How often each server is looked at, and so how soon one that vanished
/// without a word is noticed: after this and the connect timeout, which
/// together have to stay below the selection timeout.
const HEARTBEAT: Duration = Duration::from_secs(2);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const WRITE_CONCERN_TIMEOUT: Duration = Duration::from_secs(4);
const IDLE_CONNECTION: Duration = Duration::from_secs(300);

/// How to reach the database.
#[derive(Debug)]
pub struct MongoSettings<'a> {
    /// The connection string; secret.
    pub url: &'a str,
    /// The database's name.
    pub database: &'a str,
    /// The most connections to each server.
    pub pool: u32,
}

/// Todos in a MongoDB collection.
#[derive(Debug)]
pub struct Mongo {
    inner: Arc<Inner>,
    reads: SharedReads<ListQuery, Result<Arc<Page>, StoreError>>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    todos: Collection<Document>,
    outage: Outage,
    metrics: Arc<Metrics>,
}

impl Mongo {
    /// Reads the connection string and sets up the driver, which connects by
    /// itself later. Fails when the string is none, or, for `mongodb+srv`,
    /// when its records cannot be looked up.
    pub async fn new(settings: MongoSettings<'_>, metrics: Arc<Metrics>) -> Result<Self, BadUrl> {
        let mut options = ClientOptions::parse(settings.url)
            .await
            .map_err(|error| match *error.kind {
                ErrorKind::DnsResolve { .. } => BadUrl::NotFound,
                _ => BadUrl::NotUnderstood,
            })?;
        let MongoSettings { database, pool, .. } = settings;
        options.app_name.get_or_insert_with(|| "todo".into());
        options.max_pool_size.get_or_insert(pool);
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        options.max_idle_time.get_or_insert(IDLE_CONNECTION);
        options
            .server_selection_timeout
            .get_or_insert(SELECTION_TIMEOUT);
        // Not for the connection string to decide: an acknowledged write
        // survives a crash.
        options.write_concern = Some(
            WriteConcern::builder()
                .w(Acknowledgment::Majority)
                .journal(true)
                .w_timeout(WRITE_CONCERN_TIMEOUT)
                .build(),
        );
        let events = metrics.clone();
        options.cmap_event_handler = Some(EventHandler::callback(move |event| {
            events.pool_event(&event);
        }));
        let client = Client::with_options(options).map_err(|_| BadUrl::NotUnderstood)?;
        let database = client.database(database);
        Ok(Self {
            inner: Arc::new(Inner {
                todos: database.collection(COLLECTION),
                database,
                outage: Outage::default(),
                metrics,
            }),
            reads: SharedReads::default(),
        })
    }

    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        self.inner
            .run(DatabaseOperation::Prepare, prepare(&self.inner.database))
            .await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let ping = self.inner.database.run_command(doc! { "ping": 1 });
        let ping = async { ping.await.map(drop) };
        let outcome = self
            .inner
            .limited(DatabaseOperation::Ping, PING_TIMEOUT, ping)
            .await;
        self.inner.outage.record(outcome.is_ok());
        outcome
    }

    pub(super) async fn list(&self, query: ListQuery) -> Result<Arc<Page>, StoreError> {
        self.inner.outage.check()?;
        let inner = self.inner.clone();
        let key = query.clone();
        let read = self.reads.read(key, move || async move {
            let page = inner.run(DatabaseOperation::List, list(&inner.todos, &query));
            page.await.map(Arc::new)
        });
        read.await
            .unwrap_or_else(|| Err(StoreError::Broken("A read of the list died".into())))
    }

    pub(super) async fn get(&self, id: ObjectId) -> Result<Option<Todo>, StoreError> {
        let get = self.inner.todos.find_one(doc! { "_id": id });
        let found = self
            .inner
            .run(DatabaseOperation::Get, async { get.await })
            .await?;
        Ok(found.and_then(|found| from_document(&found)))
    }

    pub(super) async fn insert(&self, insert: Insert) -> Result<Todo, StoreError> {
        let stored = to_document(&insert);
        let write = async {
            match self.inner.todos.insert_one(&stored).await {
                Err(error) if is_duplicate(&error) => Ok(true),
                other => other.map(|_| false),
            }
        };
        let duplicate = self.inner.run(DatabaseOperation::Insert, write).await?;
        match (duplicate, insert.key) {
            // The key is taken: the answer is what was stored then.
            (true, Some(key)) => {
                let find = self.inner.todos.find_one(doc! { "key": key });
                let found = self
                    .inner
                    .run(DatabaseOperation::Get, async { find.await })
                    .await?;
                let todo = found.and_then(|found| from_document(&found));
                // Deleted in between: the next attempt will store it.
                todo.ok_or(StoreError::Unavailable(Failure::Connection))
            }
            // The identifier was drawn for this very insert, so a duplicate is
            // our own first attempt, whose answer got lost.
            _ => Ok(insert.todo.with_id(insert.id)),
        }
    }

    pub(super) async fn update(
        &self,
        id: ObjectId,
        change: Change,
    ) -> Result<Option<Todo>, StoreError> {
        if change.is_empty() {
            return self.get(id).await;
        }
        let update = self
            .inner
            .todos
            .find_one_and_update(doc! { "_id": id }, update_of(change))
            .return_document(ReturnDocument::After);
        let found = self
            .inner
            .run(DatabaseOperation::Update, async { update.await })
            .await?;
        Ok(found.and_then(|found| from_document(&found)))
    }

    pub(super) async fn delete(&self, id: ObjectId) -> Result<bool, StoreError> {
        let delete = self.inner.todos.delete_one(doc! { "_id": id });
        let deleted = self
            .inner
            .run(DatabaseOperation::Delete, async { delete.await })
            .await?;
        Ok(deleted.deleted_count > 0)
    }

    pub(super) async fn delete_all(&self) -> Result<(), StoreError> {
        let delete = self.inner.todos.delete_many(doc! {});
        self.inner
            .run(DatabaseOperation::Delete, async { delete.await.map(drop) })
            .await
    }
}

/// Why a connection string is of no use. It is secret, so neither case quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// It is no MongoDB connection string.
    NotUnderstood,
    /// The records behind a `mongodb+srv` name cannot be looked up now.
    NotFound,
}

impl Inner {
    /// Runs an operation for a request.
    async fn run<T>(
        &self,
        operation: DatabaseOperation,
        work: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, StoreError> {
        self.outage.check()?;
        self.limited(operation, OPERATION_TIMEOUT, work).await
    }

    /// Runs an operation within a time, measures it and sorts its failure.
    async fn limited<T>(
        &self,
        operation: DatabaseOperation,
        limit: Duration,
        work: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, StoreError> {
        let start = Instant::now();
        let outcome = match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome.map_err(|error| sort(&error)),
            Err(_) => Err(StoreError::Unavailable(Failure::Timeout)),
        };
        let failure = match &outcome {
            Err(StoreError::Unavailable(failure)) => Some(failure.label()),
            Err(StoreError::Refused) => Some("refused"),
            Err(StoreError::Broken(_)) => Some("broken"),
            Ok(_) => None,
        };
        self.metrics
            .database_operation(operation, start.elapsed(), failure);
        outcome
    }
}

/// Sorts the driver's errors by what to do next.
fn sort(error: &DriverError) -> StoreError {
    let failure = match &*error.kind {
        ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. } => Failure::Unreachable,
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown => {
            Failure::Connection
        }
        ErrorKind::Authentication { .. } => Failure::Credentials,
        ErrorKind::Command(command) => match command.code {
            DOCUMENT_VALIDATION_FAILURE => return StoreError::Refused,
            UNAUTHORIZED | AUTHENTICATION_FAILED => Failure::Credentials,
            _ => Failure::Command,
        },
        ErrorKind::Write(WriteFailure::WriteError(error))
            if error.code == DOCUMENT_VALIDATION_FAILURE =>
        {
            return StoreError::Refused;
        }
        // Stored perhaps, but not surely: the client is told to ask again.
        ErrorKind::Write(_) => Failure::Command,
        ErrorKind::BsonDeserialization(_) | ErrorKind::InvalidResponse { .. } => {
            return StoreError::Broken("The database's answer cannot be read".into());
        }
        _ => Failure::Command,
    };
    StoreError::Unavailable(failure)
}

const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const NAMESPACE_EXISTS: i32 = 48;
const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
const DUPLICATE_KEY: i32 = 11000;

fn is_duplicate(error: &DriverError) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY
    )
}

/// Collection, validator and indexes. Each step is a no-op when it was done.
async fn prepare(database: &Database) -> Result<(), DriverError> {
    // `moderate`: what the original stored before is left as it is.
    let rules = doc! {
        "validator": { "$jsonSchema": {
            "bsonType": "object",
            "required": ["text"],
            "properties": {
                "text": { "bsonType": "string", "maxLength": MAX_TITLE as i32 },
                "completed": { "bsonType": "bool" },
                "order": { "bsonType": ["long", "int", "double"] },
                "key": { "bsonType": "string", "maxLength": 128 },
            },
        } },
        "validationLevel": "moderate",
        "validationAction": "error",
    };
    let mut create = doc! { "create": COLLECTION };
    create.extend(rules.clone());
    match database.run_command(create).await {
        Err(error) if matches!(&*error.kind, ErrorKind::Command(c) if c.code == NAMESPACE_EXISTS) =>
        {
            let mut modify = doc! { "collMod": COLLECTION };
            modify.extend(rules);
            database.run_command(modify).await?;
        }
        other => drop(other?),
    }
    let unique_key = IndexOptions::builder()
        .name("key".to_owned())
        .unique(true)
        .partial_filter_expression(doc! { "key": { "$exists": true } })
        .build();
    let by_state = IndexOptions::builder()
        .name("completed_id".to_owned())
        .build();
    database
        .collection::<Document>(COLLECTION)
        .create_indexes([
            IndexModel::builder()
                .keys(doc! { "key": 1 })
                .options(unique_key)
                .build(),
            IndexModel::builder()
                .keys(doc! { "completed": 1, "_id": 1 })
                .options(by_state)
                .build(),
        ])
        .await
        .map(drop)
}

async fn list(todos: &Collection<Document>, query: &ListQuery) -> Result<Page, DriverError> {
    let mut filter = Document::new();
    if let Some(after) = query.after {
        filter.insert("_id", doc! { "$gt": after });
    }
    match query.completed {
        Some(true) => drop(filter.insert("completed", true)),
        // The original's documents have no such field.
        Some(false) => drop(filter.insert("completed", doc! { "$in": [false, Bson::Null] })),
        None => {}
    }
    // One more than wanted tells whether there are more, in one round trip.
    let wanted = u32::try_from(query.limit).unwrap_or(u32::MAX - 1) + 1;
    let mut cursor = todos
        .find(filter)
        .sort(doc! { "_id": 1 })
        .limit(i64::from(wanted))
        .batch_size(wanted)
        .await?;
    let mut page = Page {
        todos: Vec::with_capacity(query.limit.min(128)),
        ..Page::default()
    };
    while cursor.advance().await? {
        if page.todos.len() == query.limit {
            page.more = true;
            break;
        }
        // A document that is no todo is not ours to show.
        page.todos.extend(from_raw(cursor.current()));
    }
    Ok(page)
}
