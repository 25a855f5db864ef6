//! Todos as BSON and back.
//!
//! Documents have the original's shape (`_id`, `text`), with `completed`,
//! `order` and `key` beside it. Writing is typed: no text that a client sends
//! can become an operator. Reading is lenient, because the collection is older
//! than this program.

use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::Insert;
use crate::todo::{Change, Todo};

/// Reads a stored todo leniently: one odd document must not hide the others.
pub(super) fn from_raw(raw: &RawDocument) -> Option<Todo> {
    Some(Todo {
        id: raw.get_object_id("_id").ok()?,
        title: raw.get_str("text").unwrap_or_default().to_owned(),
        completed: raw.get_bool("completed").unwrap_or(false),
        order: raw
            .get_i64("order")
            .or_else(|_| raw.get_i32("order").map(i64::from))
            .or_else(|_| raw.get_f64("order").map(|order| order as i64))
            .ok(),
    })
}

pub(super) fn from_document(document: &Document) -> Option<Todo> {
    let number = |value: &Bson| match value {
        Bson::Int64(number) => Some(*number),
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    };
    Some(Todo {
        id: document.get_object_id("_id").ok()?,
        title: document.get_str("text").unwrap_or_default().to_owned(),
        completed: document.get_bool("completed").unwrap_or(false),
        order: document.get("order").and_then(number),
    })
}

pub(super) fn to_document(insert: &Insert) -> Document {
    let mut document = doc! {
        "_id": insert.id,
        "text": insert.todo.title.as_str(),
        "completed": insert.todo.completed,
    };
    if let Some(order) = insert.todo.order {
        document.insert("order", order);
    }
    if let Some(key) = &insert.key {
        document.insert("key", key.as_str());
    }
    document
}

pub(super) fn update_of(change: Change) -> Document {
    let mut set = Document::new();
    let mut unset = Document::new();
    if let Some(title) = change.title {
        set.insert("text", title);
    }
    if let Some(completed) = change.completed {
        set.insert("completed", completed);
    }
    match change.order {
        Some(Some(order)) => drop(set.insert("order", order)),
        Some(None) => drop(unset.insert("order", "")),
        None => {}
    }
    let mut update = Document::new();
    if !set.is_empty() {
        update.insert("$set", set);
    }
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

#[cfg(test)]
mod tests {
    use mongodb::bson::RawDocumentBuf;
    use mongodb::bson::oid::ObjectId;
    use proptest::prelude::*;

    use super::*;
    use crate::todo::{MAX_ORDER, NewTodo};

    fn new_todo() -> impl Strategy<Value = NewTodo> {
        let order = proptest::option::of(-MAX_ORDER..=MAX_ORDER);
        (".{1,60}", any::<bool>(), order)
            .prop_filter("not blank", |(title, ..)| {
                title.chars().any(|c| !" \t\r\n".contains(c))
            })
            .prop_map(|(title, completed, order)| NewTodo {
                title,
                completed,
                order,
            })
    }

    proptest! {
        #[test]
        fn a_todo_comes_back_from_json_and_bson_as_it_went(new in new_todo()) {
            let json = serde_json::json!({
                "title": new.title, "completed": new.completed, "order": new.order,
            });
            let read = NewTodo::from_json(json.to_string().as_bytes());
            prop_assert_eq!(read.as_ref(), Ok(&new));
            let insert = Insert { id: ObjectId::new(), todo: new.clone(), key: None };
            let document = to_document(&insert);
            let raw = RawDocumentBuf::try_from(&document).expect("valid BSON");
            let todo = new.with_id(insert.id);
            prop_assert_eq!(from_raw(&raw), Some(todo.clone()));
            prop_assert_eq!(from_document(&document), Some(todo));
        }

        #[test]
        fn no_text_becomes_an_operator(title in "[${].{0,20}") {
            let change = Change { title: Some(title.clone()), ..Change::default() };
            let update = update_of(change);
            prop_assert_eq!(update, doc! { "$set": { "text": title } });
        }
    }

    #[test]
    fn documents_of_the_original_are_todos_too() {
        let id = ObjectId::new();
        let old = doc! { "_id": id, "text": "puppy", "__v": 0 };
        let raw = RawDocumentBuf::try_from(&old).expect("valid BSON");
        let todo = from_raw(&raw).expect("a todo");
        assert_eq!((todo.title.as_str(), todo.completed), ("puppy", false));
        assert_eq!(from_document(&doc! { "_id": 5, "text": "x" }), None);
    }
}
