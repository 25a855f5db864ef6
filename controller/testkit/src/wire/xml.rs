//! Just enough XML to bend AWS's answers.
//!
//! An answer is read into a small tree, changed, and written again. Attributes are kept as they stand, white
//! space between elements is not kept, comments and processing instructions are dropped. It is no general XML
//! reader: entities beyond the five predefined and the numeric ones are left as they are.

use std::fmt::Write;

use anyhow::{Result, bail, ensure};

/// AWS's answers are some ten levels deep.
const MAX_DEPTH: usize = 64;

/// An element with its children; one with text has no child elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// The name, with its prefix if it has one.
    pub(crate) name: String,
    /// Everything between the name and `>`, as it stands.
    attributes: String,
    /// The text, unescaped.
    pub(crate) text: String,
    /// The child elements.
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// An element without anything in it.
    pub(crate) fn new(name: &str) -> Element {
        Element {
            name: name.to_owned(),
            ..Element::default()
        }
    }

    /// An element that holds a text.
    pub(crate) fn leaf(name: &str, text: impl Into<String>) -> Element {
        Element {
            text: text.into(),
            ..Element::new(name)
        }
    }

    /// An element that holds other elements.
    pub(crate) fn node(name: &str, children: Vec<Element>) -> Element {
        Element {
            children,
            ..Element::new(name)
        }
    }

    /// Reads a document.
    pub(crate) fn parse(document: &str) -> Result<Element> {
        let mut reader = Reader { rest: document };
        reader.skip_to_element()?;
        let root = reader.element(0)?;
        reader.skip_misc()?;
        ensure!(
            reader.rest.is_empty(),
            "There is text after the end of the XML document"
        );
        Ok(root)
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first child of this name, to be changed.
    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// The first child of this name, which is added where there is none.
    pub(crate) fn child_or_new(&mut self, name: &str) -> &mut Element {
        let at = match self.children.iter().position(|child| child.name == name) {
            Some(at) => at,
            None => {
                self.children.push(Element::new(name));
                self.children.len() - 1
            }
        };
        &mut self.children[at]
    }

    /// The element at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text at the end of a path of names; empty where there is none.
    pub(crate) fn text_at(&self, path: &[&str]) -> &str {
        self.at(path).map_or("", |element| element.text.as_str())
    }

    /// The children of the element at the end of a path: AWS's lists, with whatever name their items have.
    pub(crate) fn items(&self, path: &[&str]) -> &[Element] {
        self.at(path)
            .map_or(&[], |element| element.children.as_slice())
    }

    /// Gives the child of this name a text; it is added where there is none.
    pub(crate) fn set(&mut self, name: &str, text: impl Into<String>) {
        let child = self.child_or_new(name);
        child.children.clear();
        child.text = text.into();
    }

    /// Takes away all children of this name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.children.retain(|child| child.name != name);
    }

    /// The document's text.
    pub(crate) fn document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        // Writing into a String cannot fail.
        let _ = write!(out, "<{}{}>", self.name, self.attributes);
        escape(&self.text, out);
        for child in &self.children {
            child.write(out);
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// Appends a text with the five predefined entities.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

/// The text with its entities resolved; an unknown one stays as it stands.
fn unescape(mut text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    while let Some(at) = text.find('&') {
        out.push_str(&text[..at]);
        text = &text[at..];
        let entity = text
            .find(';')
            .and_then(|end| Some((end, entity(&text[1..end])?)));
        match entity {
            Some((end, c)) => {
                out.push(c);
                text = &text[end + 1..];
            }
            None => {
                out.push('&');
                text = &text[1..];
            }
        }
    }
    out.push_str(text);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// What stands before `end`, which is passed over too.
    fn until(&mut self, end: &str) -> Result<&'a str> {
        let Some(at) = self.rest.find(end) else {
            bail!("The XML ends before `{end}`")
        };
        let found = &self.rest[..at];
        self.rest = &self.rest[at + end.len()..];
        Ok(found)
    }

    /// Passes over white space, the declaration, comments and processing instructions.
    fn skip_misc(&mut self) -> Result<()> {
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            if self.rest.starts_with("<?") {
                self.until("?>")?;
            } else if self.rest.starts_with("<!--") {
                self.until("-->")?;
            } else if self.rest.starts_with("<!DOCTYPE") {
                self.until(">")?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_to_element(&mut self) -> Result<()> {
        self.skip_misc()?;
        ensure!(self.rest.starts_with('<'), "There is no XML element");
        Ok(())
    }

    /// An element; `rest` stands at its `<`.
    fn element(&mut self, depth: usize) -> Result<Element> {
        ensure!(
            depth < MAX_DEPTH,
            "The XML is more than {MAX_DEPTH} levels deep"
        );
        self.rest = &self.rest[1..];
        let tag = self.until(">")?;
        let (tag, is_empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let split = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(split);
        ensure!(!name.is_empty(), "An XML element has no name");
        let mut element = Element {
            attributes: attributes.trim_end().to_owned(),
            ..Element::new(name)
        };
        if is_empty {
            return Ok(element);
        }
        loop {
            let Some(at) = self.rest.find('<') else {
                bail!("The XML element `{name}` has no end")
            };
            element.text.push_str(&unescape(&self.rest[..at]));
            self.rest = &self.rest[at..];
            if let Some(rest) = self.rest.strip_prefix("</") {
                self.rest = rest;
                let end = self.until(">")?;
                ensure!(
                    end.trim_end() == name,
                    "The XML element `{name}` ends as `{end}`"
                );
                break;
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                self.rest = rest;
                let text = self.until("]]>")?;
                element.text.push_str(text);
            } else if self.rest.starts_with("<!--") {
                self.until("-->")?;
            } else if self.rest.starts_with("<?") {
                self.until("?>")?;
            } else {
                element.children.push(self.element(depth + 1)?);
            }
        }
        if !element.children.is_empty() {
            element.text.clear();
        }
        Ok(element)
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    #[test]
    fn a_document_is_written_as_it_was_read() {
        let text = "<?xml version=\"1.0\"?>\n<A xmlns=\"urn:x\">\n  <!-- no --> <b>1 &lt; 2 &amp; &#x41;</b><c/>\n</A>\n";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.text_at(&["b"]), "1 < 2 & A");
        let written = root.document();
        assert!(
            written.ends_with("<A xmlns=\"urn:x\"><b>1 &lt; 2 &amp; A</b><c></c></A>"),
            "{written}"
        );
        assert_eq!(Element::parse(&written).unwrap(), root);
    }

    #[test]
    fn broken_and_hostile_documents_are_errors() {
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a",
            "<a><b></a>",
            "<a/>x",
            "<>",
            "<a><![CDATA[x</a>",
        ] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
        assert!(Element::parse(&"<a>".repeat(10_000)).is_err());
    }
}
