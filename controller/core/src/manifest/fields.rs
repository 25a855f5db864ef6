//! Takes objects apart, field by field.
//!
//! [`Fields`] remembers each name that the decoder asks for; what is left
//! over at the end is unknown, so that there is no second list of the known
//! fields that could differ. The readers turn a value into a Rust one or say
//! what was expected and what was found, then go on: nothing here stops at
//! the first mistake. `$schema` and `$comment` are dealt with here, for every
//! object alike.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use super::json::{Kind, Member, Node};
use super::problem::Notes;
use super::text::shown;

/// A value, the path of its field, and where to note what is wrong with it.
#[derive(Clone)]
pub(super) struct At<'n> {
    pub(super) notes: &'n Notes,
    pub(super) node: &'n Node,
    /// Such as `roll.bake`; empty for the whole file.
    pub(super) path: String,
}

impl<'n> At<'n> {
    /// The whole of a file.
    pub(super) fn root(notes: &'n Notes, node: &'n Node) -> Self {
        Self {
            notes,
            node,
            path: String::new(),
        }
    }

    /// The value of a member of this object.
    fn member(&self, member: &'n Member) -> Self {
        Self {
            notes: self.notes,
            node: &member.value,
            path: self.path_of(&member.name),
        }
    }

    /// The field `name`, if this is an object that has it.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let member = self.members()?.iter().find(|member| member.name == name)?;
        Some(self.member(member))
    }

    /// The item at `index` of this list.
    pub(super) fn item(&self, index: usize, node: &'n Node) -> Self {
        Self {
            notes: self.notes,
            node,
            path: format!("{}[{index}]", self.path),
        }
    }

    /// The fields, if this is an object.
    pub(super) fn members(&self) -> Option<&'n [Member]> {
        match &self.node.kind {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub(super) fn as_text(&self) -> Option<&'n str> {
        match &self.node.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is a whole one of a size's range.
    pub(super) fn as_size(&self) -> Option<u32> {
        match &self.node.kind {
            Kind::Number(literal) => literal.parse().ok(),
            _ => None,
        }
    }

    /// Notes what is wrong with this value.
    pub(super) fn note(&self, message: impl Display) {
        let at = self.node.span.start;
        if self.path.is_empty() {
            self.notes.add(at, None, message.to_string());
        } else {
            let path = shown(&self.path);
            self.notes
                .add(at, Some(&self.path), format!("`{path}`: {message}"));
        }
    }

    /// Notes what is wrong with this value; always `None`, to be returned.
    pub(super) fn wrong<T>(&self, message: impl Display) -> Option<T> {
        self.note(message);
        None
    }

    /// Notes that this value is of another kind or beyond what is allowed.
    pub(super) fn expected<T>(&self, what: impl Display) -> Option<T> {
        let found = self.node.describe();
        let hint = match self.node.kind {
            Kind::Null if !self.path.is_empty() => ": a field without a value is left out",
            _ => "",
        };
        self.wrong(format!("expected {what}, found {found}{hint}"))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// ` in `roll``, or nothing at the top.
    fn inside(&self) -> String {
        if self.path.is_empty() {
            String::new()
        } else {
            format!(" in `{}`", shown(&self.path))
        }
    }
}

/// An object whose fields are being taken one by one.
pub(super) struct Fields<'n> {
    at: At<'n>,
    members: BTreeMap<&'n str, &'n Member>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens an object; notes repeated names.
    pub(super) fn open(at: &At<'n>) -> Option<Self> {
        let Some(all) = at.members() else {
            return at.expected("an object");
        };
        let mut members = BTreeMap::new();
        for member in all {
            match member.name.as_str() {
                "$comment" => {}
                "$schema" => {
                    let value = at.member(member);
                    if value.as_text().is_none() {
                        value.note("expected a text, the schema's address");
                    }
                }
                name if members.contains_key(name) => at.notes.add(
                    member.name_span.start,
                    Some(&at.path_of(name)),
                    format!("field `{}` is given twice{}", shown(name), at.inside()),
                ),
                name => {
                    members.insert(name, member);
                }
            }
        }
        Some(Self {
            at: at.clone(),
            members,
            asked: Vec::new(),
        })
    }

    /// Every field, for objects whose names are the user's.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'n Member, At<'n>)> {
        self.members
            .values()
            .map(|member| (*member, self.at.member(member)))
    }

    fn get(&mut self, name: &'static str) -> Option<At<'n>> {
        self.asked.push(name);
        self.members.get(name).map(|member| self.at.member(member))
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&At<'n>) -> Option<T>,
    ) -> Option<T> {
        match self.get(name) {
            Some(at) => read(&at),
            None => {
                self.at.notes.add(
                    self.at.node.span.start,
                    Some(&self.at.path_of(name)),
                    format!("missing field `{name}`{}", self.at.inside()),
                );
                None
            }
        }
    }

    /// A field that may be left out: `Some(None)` where it is, `None` where
    /// it is wrong.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&At<'n>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.get(name) {
            Some(at) => read(&at).map(Some),
            None => Some(None),
        }
    }

    /// A field with a default.
    pub(super) fn or<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&At<'n>) -> Option<T>,
    ) -> Option<T> {
        self.optional(name, read)
            .map(|value| value.unwrap_or(default))
    }

    /// Notes the fields that nobody asked for.
    pub(super) fn close(self) {
        for (name, member) in &self.members {
            if self.asked.contains(name) {
                continue;
            }
            if self.at.notes.are_full() {
                // Only its number is of interest.
                self.at.notes.add(member.name_span.start, None, "");
                continue;
            }
            let hint = match nearest(name, &self.asked) {
                Some(known) => format!(", did you mean `{known}`?"),
                None => format!(", known are {}", listed(&self.asked)),
            };
            self.at.notes.add(
                member.name_span.start,
                Some(&self.at.path_of(name)),
                format!(
                    "unknown field `{}`{}{hint}",
                    // A hostile name leaves room for the hint.
                    shown(name).chars().take(60).collect::<String>(),
                    self.at.inside()
                ),
            );
        }
    }
}

/// The known name that a typo most likely stands for.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.len() > 40 {
        return None;
    }
    let name = name.to_lowercase();
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known), *known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Reads a text.
pub(super) fn text(at: &At<'_>) -> Option<String> {
    match at.as_text() {
        None => at.expected("a text"),
        Some(text) if text.contains('\0') => at.wrong("a text cannot hold a NUL character"),
        Some(text) => Some(text.to_owned()),
    }
}

/// Reads a text of a form; `parse` says what is wrong with another one.
pub(super) fn parsed<T>(at: &At<'_>, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
    let text = text(at)?;
    parse(&text).map_or_else(|message| at.wrong(message), Some)
}

/// Reads a whole number: digits alone, no fraction, no exponent.
pub(super) fn whole<T: TryFrom<i128>>(at: &At<'_>, range: RangeInclusive<i128>) -> Option<T> {
    let number = match &at.node.kind {
        // Terraform would keep the sign of a zero, and the release's key
        // with it.
        Kind::Number(literal) if literal != "-0" => literal,
        _ => return at.expected("a whole number"),
    };
    if number.contains(['.', 'e', 'E']) {
        return at.expected("a whole number");
    }
    let number = number.parse().ok().filter(|number| range.contains(number));
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(number) => Some(number),
        None => at.expected(format!(
            "a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}

/// Reads one of a few words.
pub(super) fn choice<T: Copy>(at: &At<'_>, choices: &[(&'static str, T)]) -> Option<T> {
    let found = choices
        .iter()
        .find(|(word, _)| at.as_text() == Some(word))
        .map(|(_, value)| *value);
    found.or_else(|| {
        let words: Vec<String> = choices
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        at.expected(words.join(" or "))
    })
}
