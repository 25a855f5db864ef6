//! What a todo is, and what is accepted as one.
//!
//! The parsers here are pure functions from bytes to values, so that property
//! tests and the fuzz target can drive them without a server. They collect
//! every problem of an input rather than the first, and name the field each
//! time. They do not know HTTP: [`crate::error`] chooses the status.

use mongodb::bson::oid::ObjectId;
use serde_json::{Map, Value};

/// The longest title that is stored, in Unicode code points.
pub const MAX_TITLE: usize = 1_000;

/// The largest absolute value of `order`: the integers that every JSON client
/// can hold exactly.
pub const MAX_ORDER: i64 = (1 << 53) - 1;

/// A todo as it is stored and served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Todo {
    /// Identifier, growing with time: the order of the list.
    pub id: ObjectId,
    /// The text; `text` in the original's interface and in the database.
    pub title: String,
    /// Whether it is done.
    pub completed: bool,
    /// A position that clients may keep; the server only stores it.
    pub order: Option<i64>,
}

/// A todo that somebody wants to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTodo {
    /// The text.
    pub title: String,
    /// Whether it is done already.
    pub completed: bool,
    /// A position that clients may keep.
    pub order: Option<i64>,
}

impl NewTodo {
    /// Gives it its identifier.
    pub fn with_id(self, id: ObjectId) -> Todo {
        Todo {
            id,
            title: self.title,
            completed: self.completed,
            order: self.order,
        }
    }
}

/// What a PATCH changes: `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// A new text.
    pub title: Option<String>,
    /// Done or not.
    pub completed: Option<bool>,
    /// A new position; `Some(None)` takes it away.
    pub order: Option<Option<i64>>,
}

impl Change {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The todo after the change.
    pub fn apply(self, todo: &mut Todo) {
        if let Some(title) = self.title {
            todo.title = title;
        }
        if let Some(completed) = self.completed {
            todo.completed = completed;
        }
        if let Some(order) = self.order {
            todo.order = order;
        }
    }
}

/// Which part of the list is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// At most so many todos.
    pub limit: usize,
    /// Only todos behind this one.
    pub after: Option<ObjectId>,
    /// Only todos that are done, or that are not.
    pub completed: Option<bool>,
}

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name as the client wrote it.
    pub field: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

impl FieldError {
    fn new(field: &'static str, detail: impl Into<String>) -> Self {
        Self {
            field,
            detail: detail.into(),
        }
    }
}

/// Why a body is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// It cannot be read at all.
    Syntax(String),
    /// It can be read, but these fields are wrong.
    Fields(Vec<FieldError>),
}

impl NewTodo {
    /// Reads the body of `POST /todos`.
    pub fn from_json(body: &[u8]) -> Result<Self, BadBody> {
        let object = object(body)?;
        let mut problems = Vec::new();
        let title = match object.get("title") {
            Some(value) => title(value, &mut problems),
            None => {
                problems.push(FieldError::new("title", "is missing"));
                None
            }
        };
        let completed = object
            .get("completed")
            .and_then(|value| completed(value, &mut problems));
        let order = object
            .get("order")
            .and_then(|value| order(value, &mut problems));
        match title {
            Some(title) if problems.is_empty() => Ok(Self {
                title,
                completed: completed.unwrap_or(false),
                order: order.flatten(),
            }),
            _ => Err(BadBody::Fields(problems)),
        }
    }

    /// Reads the JSON body of the original's `POST /api/todos`.
    ///
    /// As mongoose did, a number or a boolean becomes text, and a missing text
    /// is empty; unlike mongoose, an object or a list is refused in words.
    pub fn from_original_json(body: &[u8]) -> Result<Self, BadBody> {
        if body.is_empty() {
            return Self::from_original_text(String::new());
        }
        match object(body)?.get("text") {
            None | Some(Value::Null) => Self::from_original_text(String::new()),
            Some(Value::String(text)) => Self::from_original_text(text.clone()),
            Some(Value::Number(number)) => Self::from_original_text(number.to_string()),
            Some(Value::Bool(flag)) => Self::from_original_text(flag.to_string()),
            Some(Value::Object(_)) => Err(not_text("an object")),
            Some(Value::Array(_)) => Err(not_text("a list")),
        }
    }

    /// Reads the form body of the original's `POST /api/todos`.
    pub fn from_original_form(body: &[u8]) -> Result<Self, BadBody> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|error| BadBody::Syntax(format!("The body is not a form: {error}")))?;
        let mut text = None;
        for (name, value) in pairs {
            if name.starts_with("text[") {
                return Err(not_text("an object"));
            }
            if name == "text" && text.replace(value).is_some() {
                return Err(not_text("a list"));
            }
        }
        Self::from_original_text(text.unwrap_or_default())
    }

    fn from_original_text(text: String) -> Result<Self, BadBody> {
        if let Some(detail) = too_long(&text) {
            return Err(BadBody::Fields(vec![FieldError::new("text", detail)]));
        }
        Ok(Self {
            title: text,
            completed: false,
            order: None,
        })
    }
}

fn not_text(what: &str) -> BadBody {
    BadBody::Fields(vec![FieldError::new(
        "text",
        format!("must be text, not {what}"),
    )])
}

impl Change {
    /// Reads the body of `PATCH /todos/{id}`.
    pub fn from_json(body: &[u8]) -> Result<Self, BadBody> {
        let object = object(body)?;
        let mut problems = Vec::new();
        let change = Self {
            title: object
                .get("title")
                .and_then(|value| title(value, &mut problems)),
            completed: object
                .get("completed")
                .and_then(|value| completed(value, &mut problems)),
            order: object
                .get("order")
                .and_then(|value| order(value, &mut problems)),
        };
        if problems.is_empty() {
            Ok(change)
        } else {
            Err(BadBody::Fields(problems))
        }
    }
}

impl ListQuery {
    /// Everything up to the cap.
    pub fn first(cap: usize) -> Self {
        Self {
            limit: cap,
            after: None,
            completed: None,
        }
    }

    /// Reads the query string of `GET /todos`; `cap` is both the default and
    /// the highest `limit`. Parameters it does not know are left alone.
    pub fn parse(query: &str, cap: usize) -> Result<Self, Vec<FieldError>> {
        let mut problems = Vec::new();
        let mut parsed = Self::first(cap);
        let pairs: Vec<(String, String)> = match serde_urlencoded::from_str(query) {
            Ok(pairs) => pairs,
            Err(error) => {
                return Err(vec![FieldError::new(
                    "query",
                    format!("cannot be read: {error}"),
                )]);
            }
        };
        for (name, value) in pairs {
            match name.as_str() {
                "limit" => match value.parse::<usize>() {
                    Ok(limit) if (1..=cap).contains(&limit) => parsed.limit = limit,
                    _ => problems.push(FieldError::new(
                        "limit",
                        format!("must be a whole number from 1 to {cap}"),
                    )),
                },
                "after" => match parse_id(&value) {
                    Some(id) => parsed.after = Some(id),
                    None => problems.push(FieldError::new("after", ID_RULE)),
                },
                "completed" => match value.as_str() {
                    "true" => parsed.completed = Some(true),
                    "false" => parsed.completed = Some(false),
                    _ => problems.push(FieldError::new("completed", "must be `true` or `false`")),
                },
                _ => {}
            }
        }
        if problems.is_empty() {
            Ok(parsed)
        } else {
            Err(problems)
        }
    }
}

/// What an identifier must look like, in words.
pub const ID_RULE: &str = "must be the 24 hexadecimal digits of a todo's id";

/// Reads an identifier.
pub fn parse_id(text: &str) -> Option<ObjectId> {
    ObjectId::parse_str(text).ok()
}

/// What the header `Idempotency-Key` must look like, in words.
pub const KEY_RULE: &str = "must be 1 to 128 visible ASCII characters";

/// Whether a text may be an `Idempotency-Key`.
pub fn is_key(text: &[u8]) -> bool {
    (1..=128).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, BadBody> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadBody::Syntax(
            "The body must be a JSON object, such as {\"title\": \"Buy milk\"}".into(),
        )),
        Err(error) => Err(BadBody::Syntax(format!("The body is not JSON: {error}"))),
    }
}

fn title(value: &Value, problems: &mut Vec<FieldError>) -> Option<String> {
    let detail = match value {
        Value::String(text) if text.chars().all(|c| " \t\r\n".contains(c)) => {
            "must not be blank".into()
        }
        Value::String(text) => match too_long(text) {
            None => return Some(text.clone()),
            Some(detail) => detail,
        },
        _ => "must be a string".into(),
    };
    problems.push(FieldError::new("title", detail));
    None
}

fn too_long(text: &str) -> Option<String> {
    // Bytes bound characters from above: most texts are never counted.
    let long = text.len() > MAX_TITLE && text.chars().count() > MAX_TITLE;
    long.then(|| format!("must be at most {MAX_TITLE} characters long"))
}

fn completed(value: &Value, problems: &mut Vec<FieldError>) -> Option<bool> {
    let flag = value.as_bool();
    if flag.is_none() {
        problems.push(FieldError::new("completed", "must be `true` or `false`"));
    }
    flag
}

fn order(value: &Value, problems: &mut Vec<FieldError>) -> Option<Option<i64>> {
    if value.is_null() {
        return Some(None);
    }
    // JSON does not tell 3 from 3.0, and neither do its schemas.
    let whole = value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= MAX_ORDER as f64).then_some(number as i64)
    });
    match whole.filter(|number| number.unsigned_abs() <= MAX_ORDER.unsigned_abs()) {
        Some(number) => Some(Some(number)),
        None => {
            problems.push(FieldError::new(
                "order",
                format!("must be a whole number from -{MAX_ORDER} to {MAX_ORDER}, or null"),
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests;
