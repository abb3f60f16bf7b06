//! One sample, or several that are alike, as a record for machines: fields with values, absent ones left out.
//!
//! The record knows no format. As a JSON line it is one flat object, whose keys are the names of the fields.

mod read;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::time::SystemTime;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use sphere_common::verdict::{Reason, Verdict};

use super::field::Field;

/// Value of a field.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A text, a time included.
    Text(Cow<'static, str>),
    /// A number.
    Number(u64),
    /// Several texts.
    Texts(Vec<String>),
}

/// A denied, or would-be denied, packet; or several that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    verdict: Verdict,
    reason: Reason,
    time: SystemTime,
    fields: Vec<(Field, Value)>,
}

impl Record {
    /// The verdict: [`Verdict::Deny`] or [`Verdict::Audit`].
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// When the packet came; of several, the last.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The fields that have a value, in the order of [`Field::ALL`].
    pub fn fields(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.fields.iter().map(|(field, value)| (*field, value))
    }

    /// A field's value.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&Value> {
        self.fields.iter().find(|(found, _)| *found == field).map(|(_, value)| value)
    }

    /// A field's value, when it is a text that is there.
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&str> {
        match self.value(field) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A field's value, when it is a number that is there.
    #[must_use]
    pub fn number(&self, field: Field) -> Option<u64> {
        match self.value(field) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The record as one line of JSON, with its end.
    ///
    /// # Errors
    ///
    /// Never in practice: the type has nothing that JSON cannot hold.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line)
    }

    /// Whether the packet went on all the same, in audit mode.
    #[must_use]
    pub fn is_let_through(&self) -> bool {
        self.verdict != Verdict::Deny
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (field, value) in self.fields() {
            map.serialize_entry(field.name(), value)?;
        }
        map.end()
    }
}
