//! The form bodies of AWS's query protocol.

use anyhow::{Result, ensure};

use super::xml::Element;

/// AWS's own limit is far below.
const MAX_FIELDS: usize = 10_000;

/// The fields of a request, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=1&b=2`.
    pub(crate) fn parse(text: &str) -> Result<Form> {
        let fields: Vec<_> = text
            .split('&')
            .filter(|field| !field.is_empty())
            .take(MAX_FIELDS + 1)
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap_or((field, ""));
                (decode(name), decode(value))
            })
            .collect();
        ensure!(
            fields.len() <= MAX_FIELDS,
            "A request has more than {MAX_FIELDS} fields"
        );
        Ok(Form(fields))
    }

    /// A form of these fields.
    pub(crate) fn of(fields: &[(&str, &str)]) -> Form {
        Form(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    /// The field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The field of this name as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// The values of a list: `prefix.1`, `prefix.2` and so on, without what may follow the number.
    pub(crate) fn list(&self, prefix: &str) -> Vec<&str> {
        let is_item = |name: &str| {
            let number = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('.'));
            number.is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            })
        };
        self.0
            .iter()
            .filter(|(name, _)| is_item(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether any field's name starts so.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|(name, _)| name.starts_with(prefix))
    }

    /// Whether any field's value holds this text.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.0.iter().any(|(_, value)| value.contains(text))
    }

    /// Sets a field; it is added where there is none.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name.to_owned(), value.into())),
        }
    }

    /// Takes a field away.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| field != name);
    }

    /// Adds what an answer says of a thing, in the names that a request has for it.
    pub(crate) fn add_element(&mut self, name: &str, element: &Element) {
        if element.children.is_empty() {
            if !element.text.is_empty() {
                self.0.push((name.to_owned(), element.text.clone()));
            }
            return;
        }
        for (at, child) in element.children.iter().enumerate() {
            let step = if child.name == "member" {
                format!("member.{}", at + 1)
            } else {
                child.name.clone()
            };
            self.add_element(&format!("{name}.{step}"), child);
        }
    }

    /// The body's text.
    pub(crate) fn encode(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.0 {
            if !out.is_empty() {
                out.push('&');
            }
            encode(name, &mut out);
            out.push('=');
            encode(value, &mut out);
        }
        out
    }
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Percent-decodes; what is no valid escape stays as it stands.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(|two| {
                let high = char::from(two[0]).to_digit(16)?;
                let low = char::from(two[1]).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()
            });
        match escaped {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_reading_and_writing() {
        let form = Form::parse(
            "Action=X&Name=a%2Fb+c&Empty=&Ids.member.1=i-1&Ids.member.2=i-2&Ids.member.2.x=no",
        )
        .unwrap();
        assert_eq!(form.get("Name"), Some("a/b c"));
        assert_eq!(form.list("Ids.member"), ["i-1", "i-2"]);
        assert_eq!(Form::parse(&form.encode()).unwrap(), form);
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn an_answers_element_becomes_a_requests_fields() {
        let policy = Element::parse(
            "<P><LaunchTemplate><Overrides><member><InstanceType>a</InstanceType></member><member><InstanceType>b</InstanceType></member></Overrides></LaunchTemplate></P>",
        )
        .unwrap();
        let mut form = Form::default();
        form.add_element("P", &policy);
        assert_eq!(
            form.encode(),
            "P.LaunchTemplate.Overrides.member.1.InstanceType=a&P.LaunchTemplate.Overrides.member.2.InstanceType=b"
        );
    }
}
