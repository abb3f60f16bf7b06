//! Port matches: one port, an operator, a range, in the shapes of both dialects. Rules have single ports and all ports, so a
//! short range becomes its ports, and a longer one is refused.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use super::entry::Ports;
use super::words;
use crate::import::json::{Json, Node};
use crate::policy::Findings;

/// Ports of a range that are written out.
const MOST_IN_RANGE: u16 = 16;

/// Why an entry with these ports cannot be taken.
#[derive(Debug)]
pub(super) struct Refused {
    /// What it says.
    pub(super) what: String,
    /// What to do.
    pub(super) remedy: &'static str,
}

const LIST: &str = "write a rule with the ports that devices use, or with every port";

/// The ports that a match is about. [`None`] when it cannot be read, which is reported.
pub(super) fn ports(node: &Node, findings: &mut Findings) -> Option<Result<Ports, Refused>> {
    if matches!(node.value, Json::Number(_) | Json::Text(_)) {
        // A bare number: no dialect, and only one thing that it can mean.
        return Some(only(words::number(node, u16::MAX, findings)?));
    }
    node.object("an object with `operator` and `port`, or `lower-port` and `upper-port`", findings)?;
    let mut bound = |names: &[&str]| match words::value(node, names) {
        Some(value) => words::number(value, u16::MAX, findings).map(Some),
        None => Some(None),
    };
    let (port, lower, upper) = (bound(&["port"])?, bound(&["lower-port"])?, bound(&["upper-port"])?);
    let operator = match words::value(node, &["operator"]) {
        Some(operator) => Some((operator, operator.text(findings)?)),
        None => None,
    };
    match (operator, port, lower, upper) {
        (Some((_, "eq")) | None, Some(port), None, None) => Some(only(port)),
        (Some((_, "lte")), Some(port), None, None) => Some(range(0, port)),
        (Some((_, "gte")), Some(port), None, None) => Some(range(port, u16::MAX)),
        (Some((_, "neq")), Some(port), None, None) => {
            Some(Err(Refused { what: format!("every port but {port}"), remedy: LIST }))
        }
        (Some((at, word)), Some(_), None, None) => {
            findings.error(&at.span, format!("unknown operator `{word}`"), "use one of: eq, lte, gte, neq");
            None
        }
        (_, Some(_), _, _) => {
            findings.error(&node.span, "a port and a range at once", "write one of the two");
            None
        }
        (operator, None, Some(lower), upper) => {
            if let Some((at, word)) = operator {
                let message = format!("the operator `{word}` stands beside a range, which has none");
                findings.warn(&at.span, message, "the range is taken: remove the operator");
            }
            // Without an upper end, older drafts of the model mean the one port.
            let upper = upper.unwrap_or(lower);
            if lower > upper {
                let message = format!("the range begins with {lower} and ends with {upper}");
                findings.error(&node.span, message, "exchange the two, or correct them");
                return None;
            }
            Some(range(lower, upper))
        }
        (_, None, None, Some(upper)) => Some(range(0, upper)),
        (_, None, None, None) => {
            findings.error(&node.span, "the match names no port", "add `\"operator\": \"eq\", \"port\": …`");
            None
        }
    }
}

fn only(port: u16) -> Result<Ports, Refused> {
    range(port, port)
}

fn range(lower: u16, upper: u16) -> Result<Ports, Refused> {
    match (lower, upper) {
        (0 | 1, u16::MAX) => return Ok(None),
        (0, 0) => return Err(Refused { what: "port 0, which no service has".to_owned(), remedy: LIST }),
        _ => {}
    }
    if upper - lower >= MOST_IN_RANGE {
        let what = format!("the ports {lower} to {upper}, more than the {MOST_IN_RANGE} that are written out");
        return Err(Refused { what, remedy: LIST });
    }
    Ok(Some((lower..=upper).filter_map(NonZeroU16::new).collect::<BTreeSet<_>>()))
}
