//! Suggestions as parts of a policy file: tables that can be pasted, everything else in comments.

mod json;
mod policy_lines;

use std::io::{self, BufWriter, Write};

use sphere_common::verdict::Reason;

pub(super) use self::json::write_json;
use self::policy_lines::{lines, wider_lines};
use super::denied::remedy;
use super::policy_lines::{comment, commented};
use crate::policy::{GroupName, plain, wrap};
use crate::suggest::{Change, Seen, Suggestion, Suggestions, Unsuggested, Why};

/// Devices that are named; the others are counted.
const DEVICES: usize = 3;
const HEAD: &str = "What would allow what was denied. Nothing of it is in force: read each part, and take what the \
                    devices need. [[group.allow]] and [[group.inbound]] belong to the [[group]] above them: put each \
                    below its group, before the next [[group]].";

/// Writes the suggestions, group by group, and what is not suggested.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_policy_lines(output: &mut impl Write, all: &Suggestions) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let Suggestions { suggestions, wider, unsuggested } = all;
    if suggestions.is_empty() {
        writeln!(output, "# nothing to suggest")?;
    } else {
        for line in wrap(HEAD, 2, 2) {
            writeln!(output, "# {line}")?;
        }
    }
    let mut group: Option<&GroupName> = None;
    for suggestion in suggestions {
        if group != Some(&suggestion.group) {
            group = Some(&suggestion.group);
            title(&mut output, &format!("group \"{}\"", suggestion.group))?;
            for wider in wider.iter().filter(|wider| wider.group == suggestion.group) {
                let words = format!("one rule could take the place of {}, and opens more than was tried:", wider.count);
                writeln!(output)?;
                comment(&mut output, &words)?;
                output.write_all(commented(&wider_lines(wider)).as_bytes())?;
            }
        }
        writeln!(output)?;
        write_suggestion(&mut output, suggestion)?;
    }
    if !unsuggested.is_empty() {
        title(&mut output, "not suggested")?;
        writeln!(output)?;
        for one in unsuggested {
            comment(&mut output, &unsuggested_words(one))?;
        }
    }
    let incomplete = suggestions.iter().filter(|suggestion| suggestion.change.missing().is_some()).count();
    let count = |count: usize| format!("{count} suggestion{}", if count == 1 { "" } else { "s" });
    if !suggestions.is_empty() {
        writeln!(output)?;
        comment(&mut output, &format!("{}, {incomplete} of them incomplete", count(suggestions.len())))?;
    }
    output.flush()
}

fn write_suggestion(output: &mut impl Write, suggestion: &Suggestion) -> io::Result<()> {
    let Suggestion { change, seen, warnings, .. } = suggestion;
    comment(output, &evidence(seen))?;
    writeln!(output, "# from {} to {}", time(seen.first), time(seen.last))?;
    for warning in warnings {
        comment(output, &format!("warning: {warning}"))?;
    }
    if let Some(words) = about(change) {
        comment(output, &words)?;
    }
    if let Some(missing) = change.missing() {
        comment(output, &format!("missing: {missing}"))?;
    }
    let text = lines(change);
    if change.is_table() && change.missing().is_none() {
        output.write_all(text.as_bytes())
    } else {
        output.write_all(commented(&text).as_bytes())
    }
}

/// What to do with lines that are no table of their own, and where ports are from that nobody tried.
fn about(change: &Change) -> Option<String> {
    match change {
        Change::Resolvers { there: Some(_), .. } => Some("in the [[group]] itself, with those it has:".to_owned()),
        Change::Resolvers { there: None, .. } => Some("in the [[group]] itself, beside those it has:".to_owned()),
        Change::Option { profile, about, .. } => Some(format!("{about}; in [group.{profile}]:")),
        Change::AnyType { rule: Some(rule), name } => Some(format!("for `{name}`, in the rule at {}:", plain(rule))),
        Change::AnyType { rule: None, name } => Some(format!("in the rule about `{name}`:")),
        Change::Allow { ports_from, .. } => ports_from.as_ref().map(|from| format!("ports: those of {}", plain(from))),
        Change::Inbound { .. } => None,
    }
}

/// Why, how often and by whom.
fn evidence(seen: &Seen) -> String {
    let reasons: Vec<&str> = seen.reasons.iter().copied().collect();
    let audit = if seen.verdicts.contains("audit") { " (audit)" } else { "" };
    format!("{}{audit}: {}", reasons.join(", "), counted(seen))
}

/// How often and by whom.
fn counted(seen: &Seen) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let devices = seen.devices.len();
    let mut named: Vec<String> = seen.devices.iter().take(DEVICES).map(ToString::to_string).collect();
    if devices > DEVICES {
        named.push("...".to_owned());
    }
    let packets = format!("{} packet{}", seen.packets, plural(seen.packets));
    if devices == 0 {
        return packets;
    }
    format!("{packets} of {devices} device{} ({})", plural(devices as u64), named.join(", "))
}

fn unsuggested_words(one: &Unsuggested) -> String {
    let group = if one.group.is_empty() { "no group".to_owned() } else { format!("\"{}\"", plain(&one.group)) };
    format!("{}, {group}: {}: {}", one.why.word(), counted(&one.seen), why(&one.why))
}

/// Why it is not suggested, and what to do where something can be done.
pub(super) fn why(why: &Why) -> String {
    match why {
        Why::NoRule(reason) => of_reason(*reason).to_owned(),
        Why::Allowed(rule) => format!("the policy allows it now, by {}", plain(rule)),
        Why::OtherDestinations => "the device tried so many that their addresses are not kept".to_owned(),
        Why::NoNames => "the store does not keep which names were asked for: name a file of --records".to_owned(),
        Why::NoTarget => "the packet names nothing that a rule could be about".to_owned(),
        Why::NoHost(address) => format!("{address} is no address that a gateway forwards to"),
        Why::NoName(name) => format!("`{}` is no name that a rule can be about", plain(name)),
        Why::NoGroup => "the policy has no such group".to_owned(),
        Why::LateAnswers => "looks like answers to flows that had ended: see [timeouts]".to_owned(),
        Why::ManyPorts(target) => {
            format!("`{target}` at more ports than a rule has room for: write `tcp/*` or `udp/*` if that is meant")
        }
        Why::ResolverAmongDevices(address) => {
            format!("{address} is in a device subnet, from where no answer may come: write \"gateway\" if it is that")
        }
        Why::TooFew => "fewer than --min-packets or --min-devices".to_owned(),
        Why::TooMany => "more suggestions than a group gets: filter for fewer, or raise --min-packets".to_owned(),
    }
}

fn of_reason(reason: Reason) -> &'static str {
    remedy(reason).unwrap_or("it was not denied")
}

fn time(time: std::time::SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn title(output: &mut impl Write, words: &str) -> io::Result<()> {
    writeln!(output, "\n# ---- {words} ----")
}

#[cfg(test)]
mod tests;
