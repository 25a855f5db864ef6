//! Todos come and go, one after the other and all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mongodb::bson::{Bson, doc};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Connection, get, read_all, send, send_json};
use crate::database::Database;
use crate::server::Server;

const JSON: (&str, &str) = ("content-type", "application/json");

pub async fn a_todo_lives_through_a_restart_of_the_server(database: Arc<Database>) {
    let name = database.name();
    let server = Server::start_on(&database, &name, &[]).await;
    let body = json!({ "title": "milk", "order": 523 });
    let added = send_json(server.address, "POST", "/todos", body).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/todos/{id}");
    let change = json!({ "completed": true, "order": null });
    let changed = send_json(server.address, "PATCH", &path, change).await;
    assert_eq!(changed.json()["completed"], true);
    server.signal("INT");
    assert!(server.wait().await.success());

    let server = Server::start_on(&database, &name, &[]).await;
    let shown = get(server.address, &path).await.expect("an answer").json();
    assert_eq!(
        shown,
        json!({
            "id": id, "title": "milk", "completed": true, "order": null,
            "url": format!("http://{}{path}", server.address),
        })
    );
    for expected in [204, 404] {
        let removed = send(server.address, "DELETE", &path, &[], "").await;
        assert_eq!(removed.expect("an answer").status, expected);
    }
    assert!(read_all(server.address, 10).await.is_empty());
}

pub async fn pages_neither_skip_nor_repeat_while_others_add(database: Arc<Database>) {
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    let mut before = BTreeSet::new();
    for number in 0..60 {
        let todo = json!({ "title": format!("before {number}"), "completed": number % 3 == 0 });
        let added = send_json(address, "POST", "/todos", todo).await;
        before.insert(added.json()["id"].to_string());
    }
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        writers.spawn(async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            for number in 0..25 {
                let todo = json!({ "title": format!("{writer} {number}") }).to_string();
                let added = connection.send("POST", "/todos", &[JSON], todo).await;
                assert_eq!(added.expect("an answer").status, 201);
            }
        });
    }
    while !writers.is_empty() {
        let seen = read_all(address, 7).await;
        let ids: BTreeSet<_> = seen.iter().map(|todo| todo["id"].to_string()).collect();
        assert_eq!(ids.len(), seen.len(), "a todo came twice");
        assert!(before.is_subset(&ids), "a todo was skipped");
        while let Some(outcome) = writers.try_join_next() {
            outcome.expect("a writer");
        }
    }
    let all = read_all(address, 1_000).await;
    assert_eq!(all.len(), 160);
    let path = "/todos?completed=false&limit=1000";
    let open = get(address, path).await.expect("an answer").json();
    assert_eq!(open.as_array().map(Vec::len), Some(140));
}

pub async fn sixteen_writers_see_their_own_writes(database: Arc<Database>) {
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        writers.spawn(async move {
            let mut connection = Connection::open(address).await.expect("a connection");
            let mut ids = Vec::new();
            for number in 0..10 {
                let text = format!("{writer} {number}");
                let body = json!({ "text": text }).to_string();
                let list = connection.send("POST", "/api/todos", &[JSON], body).await;
                let list = list.expect("an answer").json();
                let mine = list
                    .as_array()
                    .expect("a list")
                    .iter()
                    .find(|todo| todo["text"] == text.as_str())
                    .expect("a writer sees its own write");
                ids.push(mine["_id"].as_str().expect("an id").to_owned());
            }
            // Every other one goes again, and is gone for its writer.
            for id in ids.iter().step_by(2) {
                let path = format!("/api/todos/{id}");
                let list = connection.send("DELETE", &path, &[], "").await;
                assert!(!list.expect("an answer").text().contains(id));
            }
        });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.expect("a writer");
    }
    let all = read_all(address, 1_000).await;
    let titles: BTreeSet<_> = all.iter().map(|todo| todo["title"].to_string()).collect();
    assert_eq!((all.len(), titles.len()), (80, 80));
}

pub async fn a_repeated_post_with_a_key_stores_one_todo(database: Arc<Database>) {
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    let mut posts = JoinSet::new();
    for _ in 0..12 {
        posts.spawn(async move {
            let headers = [JSON, ("idempotency-key", "9f3c2e1")];
            let body = json!({ "title": "once" }).to_string();
            let reply = send(address, "POST", "/todos", &headers, body).await;
            let reply = reply.expect("an answer");
            assert_eq!(reply.status, 201, "{}", reply.text());
            reply.json()["id"].to_string()
        });
    }
    let ids: BTreeSet<_> = posts.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(read_all(address, 10).await.len(), 1);
}

pub async fn operators_are_text(database: Arc<Database>) {
    let server = Server::start(&database, &["--allow-delete-all"]).await;
    let address = server.address;
    for title in [r#"{"$ne": ""}"#, "$where", "a.b", "\u{0}", "😀"] {
        let added = send_json(address, "POST", "/todos", json!({ "title": title })).await;
        assert_eq!(added.json()["title"], title);
    }
    let refused = send_json(address, "POST", "/todos", json!({ "title": { "$ne": "" } })).await;
    assert_eq!(refused.status, 422);
    let path = "/api/todos/%7B%22$ne%22:1%7D";
    let refused = send(address, "DELETE", path, &[], "").await;
    assert_eq!(refused.expect("an answer").status, 400);
    assert_eq!(read_all(address, 100).await.len(), 5);
    let removed = send(address, "DELETE", "/todos", &[], "").await;
    assert_eq!(removed.expect("an answer").status, 204);
    assert!(read_all(address, 100).await.is_empty());
}

pub async fn the_originals_documents_are_served(database: Arc<Database>) {
    let name = database.name();
    let todos = database.todos(&name).await;
    let old = [
        doc! { "text": "puppy", "__v": 0 },
        doc! { "text": Bson::Null, "__v": 0 },
        doc! { "_id": 5, "text": "no todo of ours" },
    ];
    for document in old {
        todos.insert_one(document).await.expect("stored");
    }
    let server = Server::start_on(&database, &name, &[]).await;
    let list = read_all(server.address, 10).await;
    let titles: Vec<_> = list.iter().map(|todo| &todo["title"]).collect();
    assert_eq!(titles, ["puppy", ""]);
    let path = format!("/todos/{}", list[0]["id"].as_str().expect("an id"));
    let change = json!({ "completed": true });
    let changed = send_json(server.address, "PATCH", &path, change).await;
    assert_eq!(changed.json()["completed"], true);
    let open = get(server.address, "/todos?completed=false").await;
    assert_eq!(open.expect("an answer").json()[0]["title"], "");
}

pub async fn the_database_itself_refuses_what_is_no_todo(database: Arc<Database>) {
    let name = database.name();
    let server = Server::start_on(&database, &name, &[]).await;
    // Prepared twice: the second server finds everything in place.
    let second = Server::start_on(&database, &name, &[]).await;
    let added = send_json(second.address, "POST", "/todos", json!({ "title": "fine" })).await;
    assert_eq!(added.status, 201);
    drop((server, second));
    let todos = database.todos(&name).await;
    for wrong in [
        doc! { "text": 5 },
        doc! { "completed": true },
        doc! { "text": "x".repeat(1_001) },
        doc! { "text": "a", "completed": "yes" },
    ] {
        let outcome = todos.insert_one(wrong.clone()).await;
        assert!(outcome.is_err(), "{wrong}");
    }
    let indexes = todos.list_index_names().await.expect("indexes");
    let indexes: BTreeSet<_> = indexes.iter().map(String::as_str).collect();
    assert_eq!(indexes, BTreeSet::from(["_id_", "key", "completed_id"]));
    for _ in 0..2 {
        // The unique key holds in the database, not only in the server.
        let _ = todos.insert_one(doc! { "text": "a", "key": "k" }).await;
    }
    let count = todos.count_documents(doc! { "key": "k" }).await;
    assert_eq!(count.expect("a count"), 1);
}

pub async fn a_failover_is_retried_and_nobody_sees_it(database: Arc<Database>) {
    let server = Server::start(&database, &[]).await;
    let address = server.address;
    let admin = database.client().await.database("admin");
    let added = send_json(address, "POST", "/todos", json!({ "title": "a" })).await;
    let path = format!("/todos/{}", added.json()["id"].as_str().expect("an id"));
    let steps: BTreeMap<&str, (&str, String, Value)> = BTreeMap::from([
        ("insert", ("POST", "/todos".into(), json!({ "title": "b" }))),
        (
            "findAndModify",
            ("PATCH", path.clone(), json!({ "completed": true })),
        ),
        ("find", ("GET", "/todos".into(), Value::Null)),
        ("delete", ("DELETE", path, Value::Null)),
    ]);
    // As a primary does that steps down: 10107 is `NotWritablePrimary`.
    for data in [
        doc! { "errorCode": 10107 },
        doc! { "closeConnection": true },
    ] {
        for command in ["insert", "findAndModify", "find", "delete"] {
            let mut data = data.clone();
            data.insert("failCommands", vec![command]);
            let fail =
                doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
            admin.run_command(fail).await.expect("a fail point");
            let (method, path, body) = &steps[command];
            let reply = send_json(address, method, path, body.clone()).await;
            // The second round finds the todo gone, as it should.
            let fine = reply.status < 300 || reply.status == 404;
            assert!(fine, "{command}: {} {}", reply.status, reply.text());
        }
    }
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    admin.run_command(off).await.expect("no fail point");
    let titles: Vec<_> = read_all(address, 10).await;
    assert_eq!(titles.len(), 2, "each insert was stored once: {titles:?}");
}
