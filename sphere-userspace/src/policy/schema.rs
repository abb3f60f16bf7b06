//! The JSON schema (draft 2020-12) of the policy file, for editors: what keys there are, of what kind, and what they are for.
//!
//! It says less than [`super::load()`] checks: what depends on other tables, on files or on the meaning of a text is not in it.
//! A test holds its keys against those that the reader knows.

use serde_json::{Map, Value, json};

/// A key: its name, whether it must be there, and its schema.
type Key = (&'static str, bool, Value);

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(
        "What devices behind a gateway may reach (docs/policy.md).",
        &[
            ("version", true, json!({ "const": 1, "description": "version of this format" })),
            ("group", true, list(group(), "devices with one policy")),
            ("interface", false, list(interface(), "device ports, where a default is to be changed")),
            ("resolver", false, resolver()),
            ("daemon", false, daemon()),
            ("store", false, store()),
            ("records", false, records()),
            ("metrics", false, metrics()),
            ("limits", false, limits()),
            ("timeouts", false, timeouts()),
        ],
    );
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Sphere policy".into();
    schema
}

/// A table without other keys than these.
fn table(description: &str, keys: &[Key]) -> Value {
    let properties: Map<String, Value> =
        keys.iter().map(|(name, _, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = keys.iter().filter(|(_, is_required, _)| *is_required).map(|(name, ..)| *name).collect();
    let mut table = json!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

fn list(items: impl Into<Value>, description: &str) -> Value {
    let items: Value = items.into();
    json!({ "type": "array", "items": items, "description": description })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn words(words: &[&str], description: &str) -> Value {
    json!({ "enum": words, "description": description })
}

fn switch(default: bool, description: &str) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

fn number(from: u64, to: u64, default: u64, description: &str) -> Value {
    json!({ "type": "integer", "minimum": from, "maximum": to, "default": default, "description": description })
}

/// A number of one to several units: `1h 30m`.
fn duration(default: &str, description: &str) -> Value {
    json!({ "type": "string", "pattern": "^\\s*\\d+\\s*[a-z]+(\\s*\\d+\\s*[a-z]+)*\\s*$", "default": default,
        "description": description })
}

fn size(description: &str) -> Value {
    json!({ "type": "string", "pattern": "^\\d+\\s*(k|K|M|G|T)i?B$", "description": description })
}

/// `tcp/443`, `udp/*`, `icmp`.
fn services(description: &str) -> Value {
    let item = json!({ "type": "string", "pattern": "^((tcp|udp)/([1-9][0-9]{0,4}|\\*)|icmp)$" });
    json!({ "type": "array", "items": item, "minItems": 1, "description": description })
}

fn texts(description: &str) -> Value {
    list(json!({ "type": "string" }), description)
}

fn group() -> Value {
    let mut group = table(
        "devices with one policy",
        &[
            (
                "name",
                true,
                json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,55}$", "description": "unique name" }),
            ),
            ("mode", true, words(&["enforce", "audit"], "whether what no rule allows is dropped, or recorded only")),
            ("interfaces", true, texts("device ports that these devices are behind")),
            ("subnets", true, texts("prefixes of their addresses")),
            ("resolvers", false, texts("DNS servers that devices may ask: addresses, or \"gateway\"")),
            ("dns", false, words(&["refuse", "drop", "any"], "what becomes of queries for other names")),
            ("dns_hold", false, text("how long an answer that the programs cannot judge waits: 1ms to 100ms, or off")),
            ("dns_unlearned", false, words(&["deliver", "drop"], "what becomes of an answer that was held in vain")),
            ("learn", false, number(0, 16_777_216, 16_384, "addresses that may be learned from answers at a time")),
            ("dhcp_servers", false, texts("DHCP servers that devices may renew with: addresses, or \"gateway\"")),
            ("gateway_access", false, switch(true, "whether the gateway itself may open flows to the devices")),
            ("inbound", false, list(inbound(), "who may open flows to devices")),
            ("allow", false, list(allow(), "what devices may reach")),
            ("profiles", false, texts("shipped profiles by name, or profile files by path")),
            ("manifests", false, texts("application manifests by path: what they name is allowed too")),
            ("manifest_ports", false, manifest_ports()),
            ("manifest_from", false, texts("prefixes that may open flows to ports of these applications")),
        ],
    );
    // Options of profiles stand under the names of these.
    group["additionalProperties"] = json!({ "type": "object", "description": "options of the profile of this name" });
    group
}

fn manifest_ports() -> Value {
    json!({
        "type": "object",
        "description": "ports by host of the manifests, which name none",
        "additionalProperties": services("protocols and ports"),
    })
}

fn allow() -> Value {
    let mut allow = table(
        "a target and its services",
        &[
            ("host", false, text("a DNS name, or all names below one: *.example.com")),
            ("address", false, text("an address")),
            ("cidr", false, text("a prefix")),
            ("ports", true, services("tcp/443, udp/5000, tcp/*, udp/*, icmp")),
            ("allow_private", false, switch(false, "whether the name may lead to private addresses")),
            ("any_type", false, switch(false, "whether devices may ask for any record type of the name")),
            ("comment", false, text("why, in one line")),
            (
                "step",
                false,
                words(&["connection-check", "time", "attestation", "update", "application"], "step of the boot chain"),
            ),
        ],
    );
    allow["oneOf"] = ["host", "address", "cidr"].map(|key| json!({ "required": [key] })).to_vec().into();
    allow
}

fn inbound() -> Value {
    table(
        "a prefix and ports of the devices",
        &[
            ("from", true, text("prefix that may open flows to the devices")),
            ("ports", true, services("ports of the device")),
            ("comment", false, text("why, in one line")),
        ],
    )
}

fn interface() -> Value {
    table(
        "a device port",
        &[
            ("name", true, text("name of the interface")),
            ("mode", false, words(&["auto", "xdp", "tc", "generic"], "how packets are seen")),
            ("other_sources", false, words(&["pass", "deny"], "IPv4 packets from a source in no device subnet")),
            ("other_sources_v6", false, words(&["pass", "deny", "auto"], "the same for IPv6")),
        ],
    )
}

fn resolver() -> Value {
    table(
        "how the daemon looks names up",
        &[
            ("servers", false, texts("addresses, or addresses with a port")),
            ("ttl_floor", false, duration("60s", "an answer holds at least this long")),
            ("ttl_ceiling", false, duration("1h", "and at most this long")),
            ("grace", false, duration("10m", "an address stays allowed this much longer")),
            ("timeout", false, duration("3s", "for one question")),
        ],
    )
}

fn daemon() -> Value {
    table(
        "the daemon itself",
        &[
            ("pin_root", false, text("directory of the pins, on a BPF file system")),
            ("history", false, text("directory where the policies are kept that were in force")),
            ("keep_policies", false, number(2, 1_000, 10, "how many of them are kept")),
        ],
    )
}

fn store() -> Value {
    table(
        "what was denied, kept on disk",
        &[
            ("enabled", false, switch(true, "whether it is kept")),
            ("directory", false, text("where the files are")),
            ("keep", false, duration("30d", "days that are kept")),
            ("max_size", false, size("what the files may take together")),
            ("when_full", false, words(&["drop-oldest", "pause"], "when the file system has no room")),
        ],
    )
}

fn records() -> Value {
    let sink = |kind: &'static str, keys: &[Key]| {
        let own = [
            ("type", true, json!({ "const": kind })),
            ("queue", false, number(16, 1_048_576, 4_096, "records that wait")),
        ];
        table("where records go", &[own.as_slice(), keys].concat())
    };
    let tls = [
        ("roots", false, text("file of the certificates that are trusted, PEM")),
        ("certificate", false, text("file of the gateway's own certificate, PEM")),
        ("key", false, text("file of its key, PEM")),
    ];
    let file = [
        ("path", true, text("the file")),
        ("rotate", false, size("size above which another is begun")),
        ("keep", false, number(1, 1_000, 5, "files put aside that are kept")),
    ];
    let syslog = [
        ("server", true, text("name or address, and port")),
        ("transport", true, words(&["tls", "tcp"], "how it is reached")),
    ];
    let otlp = [
        ("url", true, text("where logs are sent to")),
        ("authorization", false, text("file whose first line is the header Authorization")),
    ];
    let sinks = [
        sink("stdout", &[]),
        sink("file", &file),
        sink("journald", &[("socket", false, text("the journal's socket"))]),
        sink("syslog", &[syslog.as_slice(), &tls].concat()),
        sink("otlp", &[otlp.as_slice(), &tls].concat()),
    ];
    table(
        "what is told of denied packets, and where",
        &[
            ("window", false, duration("10s", "how long like denials are gathered into one record")),
            ("sink", false, list(json!({ "oneOf": sinks }), "where records go")),
        ],
    )
}

fn metrics() -> Value {
    table(
        "figures of the gateway, for Prometheus",
        &[
            ("listen", false, text("unix: and a path, or an address and a port")),
            ("network", false, switch(false, "whether the address may be another than a loopback address")),
        ],
    )
}

fn limits() -> Value {
    let default = super::Limits::default();
    let limit = |to: u64, default: u32, description: &str| number(1, to, default.into(), description);
    table(
        "room in the kernel's tables",
        &[
            ("endpoints", false, limit(16_777_216, default.endpoints, "exact endpoints, per family")),
            ("cidrs", false, limit(16_777_216, default.cidrs, "prefix rules, per family")),
            ("devices", false, limit(1_048_576, default.devices, "devices that hold open flows")),
            (
                "flows_per_device",
                false,
                limit(65_536, default.flows_per_device, "open flows of one device, per family"),
            ),
            ("rules", false, limit(1_048_576, default.rules, "rule numbers")),
            (
                "events_per_second",
                false,
                number(0, 1_000_000, default.events_per_second.into(), "samples a second, per CPU"),
            ),
        ],
    )
}

fn timeouts() -> Value {
    table(
        "how long a flow may be idle",
        &[
            ("tcp_opening", false, duration("30s", "a half-open connection")),
            ("tcp_established", false, duration("12h", "an established one")),
            ("tcp_closing", false, duration("60s", "one that was closed")),
            ("udp", false, duration("3m", "UDP")),
            ("icmp", false, duration("30s", "ICMP echo")),
            ("fragment", false, duration("30s", "later fragments of an allowed datagram")),
        ],
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::parse;
    use crate::snapshots;

    /// Keys of the table that the reader says there are, where one is unknown.
    fn known(text: &str) -> BTreeSet<String> {
        let errors = parse(text, "policy.toml").unwrap_err();
        let errors = errors.diagnostics().iter();
        let unknown = errors.into_iter().find(|found| found.message.contains("unknown key `nosuchkeyatall`")).unwrap();
        let (_, keys) = unknown.remedy.as_deref().unwrap().split_once("use one of: ").unwrap();
        keys.split(", ").map(str::to_owned).collect()
    }

    fn keys(schema: &Value) -> BTreeSet<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_keys_are_those_that_the_reader_knows() {
        let schema = schema();
        let properties = &schema["properties"];
        assert_eq!(keys(&schema), known("nosuchkeyatall = 1"));
        for table in ["resolver", "daemon", "store", "metrics", "limits", "timeouts", "records"] {
            assert_eq!(keys(&properties[table]), known(&format!("[{table}]\nnosuchkeyatall = 1")), "{table}");
        }
        let group = &properties["group"]["items"];
        for (place, schema) in [
            ("group", group),
            ("interface", &properties["interface"]["items"]),
            ("group.allow", &group["properties"]["allow"]["items"]),
            ("group.inbound", &group["properties"]["inbound"]["items"]),
        ] {
            let head = if place.starts_with("group.") { "[[group]]\n" } else { "" };
            // Each value is none that a key has: what depends on others is asked for too.
            let more = if place == "group" { "dns_hold = \"2ms\"\n" } else { "" };
            assert_eq!(keys(schema), known(&format!("{head}[[{place}]]\n{more}nosuchkeyatall = 1")), "{place}");
        }
        for sink in properties["records"]["properties"]["sink"]["items"]["oneOf"].as_array().unwrap() {
            let kind = sink["properties"]["type"]["const"].as_str().unwrap();
            // Without TLS its keys are not asked for.
            let more = if kind == "syslog" { "transport = \"tls\"\n" } else { "" };
            let known = known(&format!("[[records.sink]]\ntype = \"{kind}\"\n{more}nosuchkeyatall = 1"));
            assert_eq!(keys(sink), known, "{kind}");
        }
    }

    #[test]
    fn what_must_be_there_is_what_the_reader_misses() {
        let misses = |text: &str, key: &str| {
            let errors = parse(text, "policy.toml").unwrap_err();
            errors.diagnostics().iter().any(|found| found.message.contains(&format!("needs `{key}`")))
        };
        let schema = schema();
        let group = &schema["properties"]["group"]["items"];
        for (text, schema) in [
            ("[[group]]\n", group),
            ("[[group]]\n[[group.allow]]\n", &group["properties"]["allow"]["items"]),
            ("[[group]]\n[[group.inbound]]\n", &group["properties"]["inbound"]["items"]),
            ("[[interface]]\n", &schema["properties"]["interface"]["items"]),
        ] {
            for key in keys(schema) {
                let is_required = schema["required"].as_array().unwrap().contains(&Value::from(key.as_str()));
                assert_eq!(misses(text, &key), is_required, "{key} in {text}");
            }
        }
    }

    #[test]
    fn the_file_that_is_shipped_is_the_schema() {
        let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        snapshots::check_file("../packaging/policy.schema.json", &text);
    }
}
