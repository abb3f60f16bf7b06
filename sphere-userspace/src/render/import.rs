//! What was imported, as parts of a policy file or as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};

use super::policy::{diagnostic, inbound_json, policy_errors_json, rule_json, strings};
use super::policy_lines::{Allow, allow_host, comment, commented, inbound};
use crate::import::{Imported, Listener, Note, Sketch, Withheld};
use crate::policy::{InboundRule, Origin, PolicyErrors, Rule, Target, plain, wrap};

const SCHEMA: &str = "sphere.import/1";
const HEAD: &str = "Nothing of this is in force. [[group.allow]] and [[group.inbound]] belong to the [[group]] above them: \
                    put each below its group, before the next [[group]].";
/// Stands where nobody is named.
const NO_PREFIX: &str = "PREFIX";
/// Stands where nothing to reach is named.
const NO_HOST: &str = "HOST";

/// Writes the parts of a policy that were imported. What lacks something that only the operator can say is a comment.
///
/// # Errors
///
/// When the output fails.
pub fn write_imported(output: &mut impl Write, imported: &Imported) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let Imported { rules, inbound, withheld, listeners, notes, .. } = imported;
    let count = rules.len() + inbound.len() + withheld.len() + listeners.len();
    for line in wrap(if count == 0 { "nothing to allow" } else { HEAD }, 2, 2) {
        writeln!(output, "# {line}")?;
    }
    let mut known: BTreeMap<&Target, BTreeSet<&str>> = BTreeMap::new();
    for note in notes {
        match &note.target {
            Some(target) => drop(known.entry(target).or_default().insert(&note.text)),
            None => comment(&mut output, &note.text)?,
        }
    }
    for rule in rules {
        write_rule(&mut output, rule, known.get(&rule.target).into_iter().flatten())?;
    }
    for rule in inbound {
        write_inbound(&mut output, rule)?;
    }
    for withheld in withheld {
        write_withheld(&mut output, withheld)?;
    }
    for listener in listeners {
        write_listener(&mut output, listener)?;
    }
    if count > 0 {
        let plural = if count == 1 { "" } else { "s" };
        writeln!(output)?;
        comment(&mut output, &format!("{count} rule{plural}, {} of them incomplete", imported.incomplete()))?;
    }
    output.flush()
}

/// Where it is from.
fn heading(output: &mut impl Write, origin: &Origin) -> io::Result<()> {
    writeln!(output, "\n# {}", plain(&origin.to_string()))
}

fn write_rule<'a>(output: &mut impl Write, rule: &Rule, notes: impl Iterator<Item = &'a &'a str>) -> io::Result<()> {
    heading(output, &rule.origin)?;
    for note in notes {
        comment(output, note)?;
    }
    let lines = Allow::of(rule).lines();
    if !rule.services.is_empty() {
        return output.write_all(lines.as_bytes());
    }
    let missing = format!(
        "missing: the port. Say it with --port {}=tcp/PORT, or here, without the marks of the comment:",
        rule.target
    );
    comment(output, &missing)?;
    output.write_all(commented(&lines).as_bytes())
}

fn write_inbound(output: &mut impl Write, rule: &InboundRule) -> io::Result<()> {
    heading(output, &rule.origin)?;
    output.write_all(inbound(&rule.from, &rule.services, rule.purpose.as_deref()).as_bytes())
}

fn write_withheld(output: &mut impl Write, withheld: &Withheld) -> io::Result<()> {
    let Withheld { sketch, services, why, remedy, origin } = withheld;
    heading(output, origin)?;
    comment(output, &format!("{why}. {remedy}:"))?;
    let lines = match sketch {
        Sketch::Allow(Some(target)) => Allow::new(target, services).lines(),
        Sketch::Allow(None) => allow_host(&NO_HOST, services),
        Sketch::Inbound(Some(from)) => inbound(from, services, None),
        Sketch::Inbound(None) => inbound(&NO_PREFIX, services, None),
    };
    output.write_all(commented(&lines).as_bytes())
}

fn write_listener(output: &mut impl Write, listener: &Listener) -> io::Result<()> {
    heading(output, &listener.origin)?;
    let missing = "missing: who may open flows to these ports of the devices, if anybody beyond the gateway may. Say it \
                   with --from PREFIX, or here, without the marks of the comment:";
    comment(output, missing)?;
    output.write_all(commented(&inbound(&NO_PREFIX, &listener.services, None)).as_bytes())
}

/// What was imported as one JSON object.
#[must_use]
pub fn imported_json(imported: &Imported) -> Value {
    let Imported { rules, inbound, withheld, listeners, notes, warnings } = imported;
    let listener =
        |listener: &Listener| json!({ "services": strings(&listener.services), "origin": listener.origin.to_string() });
    let note = |note: &Note| json!({ "target": note.target.as_ref().map(ToString::to_string), "text": note.text });
    json!({
        "schema": SCHEMA,
        "valid": true,
        "incomplete": imported.incomplete(),
        "rules": rules.iter().map(rule_json).collect::<Value>(),
        "inbound": inbound.iter().map(inbound_json).collect::<Value>(),
        "withheld": withheld.iter().map(withheld_json).collect::<Value>(),
        "listeners": listeners.iter().map(listener).collect::<Value>(),
        "notes": notes.iter().map(note).collect::<Value>(),
        "warnings": warnings.iter().map(diagnostic).collect::<Value>(),
    })
}

fn withheld_json(withheld: &Withheld) -> Value {
    let (target, from) = match &withheld.sketch {
        Sketch::Allow(target) => (target.as_ref().map(ToString::to_string), None),
        Sketch::Inbound(from) => (None, from.as_ref().map(ToString::to_string)),
    };
    json!({
        "inbound": matches!(withheld.sketch, Sketch::Inbound(_)),
        "target": target,
        "from": from,
        "services": strings(&withheld.services),
        "why": withheld.why,
        "remedy": withheld.remedy,
        "origin": withheld.origin.to_string(),
    })
}

/// Why nothing was imported, as one JSON object.
#[must_use]
pub fn import_errors_json(errors: &PolicyErrors) -> Value {
    let mut object = policy_errors_json(errors);
    object["schema"] = SCHEMA.into();
    object
}
