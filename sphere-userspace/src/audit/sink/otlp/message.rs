//! Log records in the JSON of OTLP: `ExportLogsServiceRequest` of the protocol's `logs_service.proto`, in proto3's JSON,
//! where 64-bit numbers are texts.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::audit::{Field, Record, Value};

/// Severities of the log data model.
const INFO: u8 = 9;
const WARN: u8 = 13;

/// A request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    resource_logs: [ResourceLogs; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs {
    resource: Resource,
    scope_logs: [ScopeLogs; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs {
    scope: Scope,
    log_records: Vec<LogRecord>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    time_unix_nano: String,
    observed_time_unix_nano: String,
    severity_number: u8,
    severity_text: &'static str,
    event_name: &'static str,
    body: AnyValue,
    attributes: Vec<Attribute>,
}

#[derive(Serialize)]
struct Attribute {
    key: &'static str,
    value: AnyValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::enum_variant_names, reason = "the names that the protocol gives them")]
enum AnyValue {
    StringValue(String),
    IntValue(String),
    ArrayValue { values: Vec<AnyValue> },
}

impl Request {
    /// These records, as told by the gateway of this name.
    pub(super) fn new<'a>(records: impl Iterator<Item = &'a Record>, host: Option<&str>) -> Self {
        let own = |key, text: &str| Attribute { key, value: AnyValue::StringValue(text.to_owned()) };
        let (name, version) = ("sphere", env!("CARGO_PKG_VERSION"));
        let mut attributes = vec![own("service.name", name), own("service.version", version)];
        attributes.extend(host.map(|host| own("host.name", host)));
        let observed = nanoseconds(SystemTime::now());
        let log_records = records.map(|record| LogRecord::new(record, &observed)).collect();
        let scope_logs = [ScopeLogs { scope: Scope { name: "sphere.audit", version }, log_records }];
        Self { resource_logs: [ResourceLogs { resource: Resource { attributes }, scope_logs }] }
    }
}

impl LogRecord {
    fn new(record: &Record, observed: &str) -> Self {
        let (severity_number, severity_text) = if record.is_let_through() { (INFO, "INFO") } else { (WARN, "WARN") };
        // Time and message have places of their own.
        let others = record.fields().filter(|(field, _)| !matches!(field, Field::Timestamp | Field::Message));
        Self {
            time_unix_nano: nanoseconds(record.time()),
            observed_time_unix_nano: observed.to_owned(),
            severity_number,
            severity_text,
            event_name: "sphere.denied",
            body: AnyValue::StringValue(record.text(Field::Message).unwrap_or_default().to_owned()),
            attributes: others.map(|(field, value)| Attribute { key: field.name(), value: value.into() }).collect(),
        }
    }
}

impl From<&Value> for AnyValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::StringValue(text.to_string()),
            Value::Number(number) => Self::IntValue(number.to_string()),
            Value::Texts(texts) => Self::ArrayValue { values: texts.iter().cloned().map(Self::StringValue).collect() },
        }
    }
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::super::super::tests::record;
    use super::*;

    #[test]
    fn a_record_is_a_log_record_with_its_fields_as_attributes() {
        let record = record(1_000);
        let request = Request::new([&*record].into_iter(), Some("gw"));
        let json = serde_json::to_value(&request).unwrap();
        let logs = &json["resourceLogs"][0];
        assert_eq!(logs["resource"]["attributes"][2]["value"]["stringValue"], "gw");
        let found = &logs["scopeLogs"][0]["logRecords"][0];
        assert_eq!((found["timeUnixNano"].as_str(), found["severityNumber"].as_u64()), (Some("1000000000"), Some(13)));
        assert_eq!(found["body"]["stringValue"], record.text(Field::Message).unwrap());
        let attributes = found["attributes"].as_array().unwrap();
        let of = |key: &str| attributes.iter().find(|found| found["key"] == key).map(|found| found["value"].clone());
        assert_eq!(of("event.action"), Some(serde_json::json!({"stringValue": "deny"})));
        assert_eq!(of("network.packets"), Some(serde_json::json!({"intValue": "1"})));
        let values = serde_json::json!({"arrayValue": {"values": [{"stringValue": "network"}]}});
        assert_eq!((of("event.category"), of("message")), (Some(values), None));
    }
}
