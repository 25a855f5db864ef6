//! Changes fields of a manifest's text and leaves the rest as people wrote
//! it.
//!
//! The commits that amid writes touch one or two fields; their diff should
//! show those and nothing else. Values are replaced where they stand, new
//! fields come last with the file's own indentation. It knows JSON, not
//! manifests: whether the result is a good one is the parser's to say.

use std::ops::Range;

use serde_json::{Map, Value};

use super::json::{self, Kind, Member, Node};

/// Sets (`Some`) or removes (`None`) fields by their path, such as `ami` or
/// `image.version`; parents that are missing are made. Removing what is not
/// there changes nothing.
///
/// # Errors
///
/// A sentence, if the text is not JSON, a parent is no object, or a field
/// stands there twice.
pub fn set_fields(bytes: &[u8], edits: &[(&str, Option<Value>)]) -> Result<Vec<u8>, String> {
    let mut text = std::str::from_utf8(bytes)
        .map_err(|_| "the text is not UTF-8".to_owned())?
        .to_owned();
    for (path, value) in edits {
        let root = tree(&text)?;
        let names: Vec<&str> = path.split('.').collect();
        let editor = Editor::of(&text, &root);
        if let Some(change) = editor.change(&root, &names, value.as_ref())? {
            text.replace_range(change.range, &change.with);
        }
    }
    // What is about to be committed is read once more.
    tree(&text)?;
    Ok(text.into_bytes())
}

fn tree(text: &str) -> Result<Node, String> {
    json::read(text.as_bytes()).map_err(|error| error.message)
}

/// One replacement in the text.
struct Change {
    range: Range<usize>,
    with: String,
}

struct Editor<'a> {
    text: &'a str,
    /// The indentation of the file's outermost fields.
    step: &'a str,
}

impl<'a> Editor<'a> {
    fn of(text: &'a str, root: &Node) -> Self {
        let mut editor = Self { text, step: "" };
        editor.step = editor.indent_of_fields(root);
        if editor.step.is_empty() {
            editor.step = "  ";
        }
        editor
    }

    /// What to replace so that the field has the value; nothing where it has
    /// it already.
    fn change(
        &self,
        parent: &Node,
        names: &[&str],
        value: Option<&Value>,
    ) -> Result<Option<Change>, String> {
        let Kind::Object(members) = &parent.kind else {
            let found = parent.describe();
            return Err(format!("expected an object, found {found}"));
        };
        let Some((name, deeper)) = names.split_first() else {
            return Err("a field's path is empty".to_owned());
        };
        let mut same = members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.name == *name);
        let found = same.next();
        if same.next().is_some() {
            return Err(format!("field `{name}` is given twice"));
        }
        match (found, value) {
            (Some((_, member)), _) if !deeper.is_empty() => self
                .change(&member.value, deeper, value)
                .map_err(|message| format!("`{name}`: {message}")),
            (Some((_, member)), Some(value)) => Ok(self.replace(parent, member, value)),
            (Some((index, _)), None) => Ok(remove(parent, members, index)),
            (None, Some(value)) => {
                let nested = deeper.iter().rev().fold(value.clone(), |inner, name| {
                    Value::Object(Map::from_iter([((*name).to_owned(), inner)]))
                });
                Ok(Some(self.add(parent, members, name, &nested)))
            }
            (None, None) => Ok(None),
        }
    }

    fn replace(&self, parent: &Node, member: &Member, value: &Value) -> Option<Change> {
        if plain(&member.value).as_ref() == Some(value) {
            return None;
        }
        let style = self.style(parent, &member.value);
        Some(Change {
            range: member.value.span.clone(),
            with: style.write(value),
        })
    }

    /// Puts a field after the last one.
    fn add(&self, parent: &Node, members: &[Member], name: &str, value: &Value) -> Change {
        let style = self.style(parent, parent);
        let name = Value::from(name);
        let value = style.write(value);
        match (members.first(), members.last()) {
            (Some(first), Some(last)) => {
                // As the first field is set apart from the brace.
                let between = self.cut(parent.span.start + 1..first.name_span.start);
                let between = if between.contains('\n') { between } else { " " };
                let end = last.value.span.end;
                Change {
                    range: end..end,
                    with: format!(",{between}{name}: {value}"),
                }
            }
            _ => Change {
                range: parent.span.clone(),
                with: format!("{{ {name}: {value} }}"),
            },
        }
    }

    fn cut(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or("")
    }

    /// How a value inside `parent` is written: an object on lines of its own
    /// where the text around it, or its predecessor, is.
    fn style(&self, parent: &Node, old: &Node) -> Style<'a> {
        let lines = self.cut(parent.span.clone()).contains('\n');
        let was_object = matches!(old.kind, Kind::Object(_));
        let on_one_line = was_object && !self.cut(old.span.clone()).contains('\n');
        let newline = if self.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        Style {
            lines: lines && !on_one_line,
            newline,
            indent: self.indent_of_fields(parent),
            step: self.step,
        }
    }

    fn indent_of_fields(&self, object: &Node) -> &'a str {
        match &object.kind {
            Kind::Object(members) => members
                .first()
                .map_or("", |member| self.indent_before(member)),
            _ => "",
        }
    }

    /// The white space between the start of a field's line and the field.
    fn indent_before(&self, member: &Member) -> &'a str {
        let before = self.cut(0..member.name_span.start);
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.get(line..).unwrap_or("");
        let space = line.trim_start_matches([' ', '\t']);
        line.strip_suffix(space).unwrap_or("")
    }
}

/// Takes a field out, with the comma that goes with it.
fn remove(parent: &Node, members: &[Member], index: usize) -> Option<Change> {
    let member = members.get(index)?;
    let before = index.checked_sub(1).and_then(|index| members.get(index));
    let range = match (before, members.get(index + 1)) {
        (_, Some(next)) => member.name_span.start..next.name_span.start,
        (Some(before), None) => before.value.span.end..member.value.span.end,
        (None, None) => parent.span.start + 1..parent.span.end - 1,
    };
    Some(Change {
        range,
        with: String::new(),
    })
}

/// The value without its places; nothing where serde_json cannot hold it.
fn plain(node: &Node) -> Option<Value> {
    Some(match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::from(*value),
        Kind::Number(literal) => Value::Number(literal.parse().ok()?),
        Kind::Text(text) => Value::from(text.as_str()),
        Kind::List(items) => Value::Array(items.iter().map(plain).collect::<Option<_>>()?),
        Kind::Object(members) => {
            let mut object = Map::new();
            for member in members {
                let earlier = object.insert(member.name.clone(), plain(&member.value)?);
                if earlier.is_some() {
                    return None;
                }
            }
            Value::Object(object)
        }
    })
}

/// How new values are written.
struct Style<'a> {
    /// Whether objects have a line for each field.
    lines: bool,
    newline: &'static str,
    /// The indentation of the line on which the value begins.
    indent: &'a str,
    /// What each level adds to it.
    step: &'a str,
}

impl Style<'_> {
    fn write(&self, value: &Value) -> String {
        let mut out = String::new();
        self.value(value, 1, &mut out);
        out
    }

    /// Lists stay on their line; objects have lines of their own, or spaces.
    fn value(&self, value: &Value, depth: usize, out: &mut String) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.line_break(depth, out);
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push_str(": ");
                    self.value(value, depth + 1, out);
                }
                self.line_break(depth - 1, out);
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    self.value(item, depth, out);
                }
                out.push(']');
            }
            _ => out.push_str(&value.to_string()),
        }
    }

    fn line_break(&self, depth: usize, out: &mut String) {
        if self.lines {
            out.push_str(self.newline);
            out.push_str(self.indent);
            out.push_str(&self.step.repeat(depth));
        } else {
            out.push(' ');
        }
    }
}
