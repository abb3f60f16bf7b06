//! What is shown becomes tables.

use std::cmp::Reverse;

use sphere_common::verdict::{Direction, Verdict};

use super::figures::{count, speed};
use super::panel::{Panel, Row, Tone, left, right};
use crate::render::table::span;
use crate::top::{DenialRow, DeviceRow, Frame, Loss, Order, Rate, Severity, TableRow, Trouble};

/// Percent of a table from which on it warns, from which on it alarms, and at which nothing more goes in.
const FILLING: u64 = 80;
const ALMOST_FULL: u64 = 95;
const FULL: u64 = 100;
/// Characters of a bar.
const BAR: u64 = 20;

/// Packets by verdict.
pub(super) fn traffic(frame: &Frame) -> Panel {
    let columns = vec![
        left("PACKETS", 24, 0),
        right("from/s", 6, 0),
        right("B/s", 6, 1),
        right("to/s", 6, 0),
        right("B/s", 6, 1),
        right("packets", 8, 2),
        right("bytes", 8, 3),
    ];
    let row = |traffic: &crate::top::Traffic| {
        let word = match traffic.verdict {
            Verdict::Pass => "passed",
            Verdict::Audit => "would be denied (audit)",
            Verdict::Deny => "denied",
        };
        let ([packets_from, packets_to], [bytes_from, bytes_to]) = (traffic.packets, traffic.bytes);
        let (packets, bytes) = (packets_from.plus(packets_to), bytes_from.plus(bytes_to));
        let cells = vec![
            word.to_owned(),
            speed(packets_from),
            speed(bytes_from),
            speed(packets_to),
            speed(bytes_to),
            count(packets.total),
            count(bytes.total),
        ];
        Row { tone: tone_of(traffic.verdict, packets), cells }
    };
    Panel { columns, rows: frame.traffic.iter().map(row).collect(), none: "" }
}

/// Devices.
pub(super) fn devices(frame: &Frame, order: Order) -> Panel {
    let columns = vec![
        left("DEVICES", 17, 0),
        left("group", 8, 3),
        right("flows", 5, 1),
        right("recv B/s", 8, 1),
        right("denied/s", 8, 0),
        right("denied", 7, 1),
        right("audit/s", 7, 2),
        right("audit", 7, 4),
        right("seen", 6, 2),
    ];
    let mut devices: Vec<&DeviceRow> = frame.devices.iter().collect();
    match order {
        Order::Received => devices.sort_by(|a, b| a.received.by_speed(&b.received)),
        Order::Total => devices.sort_by_key(|row| Reverse(row.denied.plus(row.audited).total)),
        Order::Recent => devices.sort_by_key(|row| row.seen_seconds_ago),
        Order::Flows => devices.sort_by_key(|row| Reverse(row.flows)),
        Order::Rate | Order::Worst | Order::Fill => {
            devices.sort_by(|a, b| a.denied.plus(a.audited).by_speed(&b.denied.plus(b.audited)));
        }
        Order::Name => {}
    }
    let row = |row: &DeviceRow| {
        let cells = vec![
            row.device.map_or_else(|| "no device".to_owned(), |device| device.to_string()),
            row.group.clone().unwrap_or_else(|| "-".to_owned()),
            row.flows.to_string(),
            speed(row.received),
            speed(row.denied),
            count(row.denied.total),
            speed(row.audited),
            count(row.audited.total),
            span(row.seen_seconds_ago),
        ];
        let verdict = if row.denied.grows() { Verdict::Deny } else { Verdict::Audit };
        Row { tone: tone_of(verdict, row.denied.plus(row.audited)), cells }
    };
    Panel {
        columns,
        rows: devices.into_iter().map(row).collect(),
        none: "no device has opened a flow or was denied one",
    }
}

/// What is denied.
pub(super) fn denials(frame: &Frame, order: Order) -> Panel {
    let columns = vec![
        left("DENIALS", 26, 0),
        left("service", 8, 0),
        left("reason", 11, 0),
        left("verdict", 7, 1),
        right("/s", 5, 0),
        right("packets", 7, 1),
        right("last", 4, 2),
        right("B/s", 6, 3),
        right("bytes", 8, 4),
        left("group", 8, 5),
        left("address", 7, 6),
    ];
    let mut denials: Vec<&DenialRow> = frame.denials.iter().collect();
    match order {
        Order::Total => denials.sort_by_key(|row| Reverse(row.packets.total)),
        Order::Recent => denials.sort_by_key(|row| row.seconds_ago),
        Order::Rate | Order::Received | Order::Flows | Order::Worst | Order::Fill => {
            denials.sort_by(|a, b| a.packets.by_speed(&b.packets));
        }
        Order::Name => {}
    }
    let row = |row: &DenialRow| {
        let address = row.peer.map_or_else(String::new, |peer| peer.to_string());
        let peer = row.name.clone().unwrap_or_else(|| match row.peer {
            Some(_) => address.clone(),
            None if row.is_others => "others".to_owned(),
            None => "-".to_owned(),
        });
        let device = row.device.map_or_else(|| "no device".to_owned(), |device| device.to_string());
        let arrow = if row.direction == Direction::Ingress { "->" } else { "<-" };
        let cells = vec![
            format!("{device} {arrow} {peer}"),
            row.service.clone(),
            row.reason.word().to_owned(),
            row.verdict.word().to_owned(),
            speed(row.packets),
            count(row.packets.total),
            span(row.seconds_ago),
            speed(row.bytes),
            count(row.bytes.total),
            row.group.clone().unwrap_or_else(|| "-".to_owned()),
            address,
        ];
        Row { tone: tone_of(row.verdict, row.packets), cells }
    };
    Panel { columns, rows: denials.into_iter().map(row).collect(), none: "nothing was denied of late" }
}

/// Names in trouble.
pub(super) fn names(frame: &Frame, order: Order) -> Panel {
    let columns = vec![
        left("NAMES IN TROUBLE", 24, 0),
        left("state", 10, 0),
        right("open", 4, 2),
        right("ends in", 7, 1),
        left("questions", 22, 1),
        left("groups", 8, 3),
    ];
    let mut names: Vec<&Trouble> = frame.names.iter().collect();
    if order == Order::Name {
        names.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let row = |name: &Trouble| {
        let asked = name.questions.iter();
        let asked = asked.map(|asked| format!("{} {} {}", asked.family, asked.outcome, span(asked.for_seconds)));
        let cells = vec![
            name.name.clone(),
            name.severity.word().to_owned(),
            name.addresses.to_string(),
            name.ends_in_seconds.map_or_else(|| "-".to_owned(), span),
            asked.collect::<Vec<_>>().join(", "),
            name.groups.join(" "),
        ];
        let tone = if name.severity == Severity::Closed { Tone::Alarms } else { Tone::Warns };
        Row { tone, cells }
    };
    Panel { columns, rows: names.into_iter().map(row).collect(), none: "every name resolves" }
}

/// Fill of the tables.
pub(super) fn tables(frame: &Frame, order: Order) -> Panel {
    let columns = vec![
        left("TABLES", 15, 0),
        right("entries", 7, 0),
        right("limit", 7, 0),
        right("full", 5, 0),
        right("change", 6, 2),
        left("", 20, 1),
        left("state", 11, 1),
    ];
    let mut tables: Vec<&TableRow> = frame.tables.iter().collect();
    if order == Order::Name {
        tables.sort_by_key(|table| table.map);
    } else {
        // By the exact share: a percent is coarse.
        tables.sort_by_key(|table| Reverse(table.entries as u64 * 1_000_000 / u64::from(table.capacity.max(1))));
    }
    let row = |table: &TableRow| {
        let percent = table.percent();
        let (tone, state) = match percent {
            FULL.. => (Tone::Alarms, "full"),
            ALMOST_FULL.. => (Tone::Alarms, "almost full"),
            FILLING.. => (Tone::Warns, "filling"),
            _ => (Tone::Calm, "has room"),
        };
        let cells = vec![
            table.map.to_owned(),
            table.entries.to_string(),
            table.capacity.to_string(),
            if percent == 0 && table.entries > 0 { "<1 %".to_owned() } else { format!("{percent} %") },
            if table.change == 0 { "0".to_owned() } else { format!("{:+}", table.change) },
            bar(percent),
            state.to_owned(),
        ];
        Row { tone, cells }
    };
    Panel { columns, rows: tables.into_iter().map(row).collect(), none: "" }
}

/// What was lost; in short, only what is more than nothing.
pub(super) fn losses(frame: &Frame, (order, in_short): (Order, bool)) -> Panel {
    let columns = vec![left("LOSSES", 24, 0), right("/s", 6, 0), right("total", 8, 0)];
    let mut losses: Vec<&Loss> = frame.losses.iter().filter(|loss| !in_short || loss.lost.total > 0).collect();
    match order {
        Order::Total => losses.sort_by_key(|loss| Reverse(loss.lost.total)),
        _ => losses.sort_by(|a, b| a.lost.by_speed(&b.lost)),
    }
    let row = |loss: &Loss| {
        let tone = match (loss.lost.grows(), loss.lost.total) {
            (true, _) => Tone::Alarms,
            (false, 0) => Tone::Calm,
            (false, _) => Tone::Warns,
        };
        Row { tone, cells: vec![loss.what.clone(), speed(loss.lost), count(loss.lost.total)] }
    };
    Panel { columns, rows: losses.into_iter().map(row).collect(), none: "nothing was lost" }
}

/// Denials that go on stand out.
fn tone_of(verdict: Verdict, packets: Rate) -> Tone {
    match verdict {
        Verdict::Deny if packets.grows() => Tone::Alarms,
        Verdict::Audit if packets.grows() => Tone::Warns,
        Verdict::Pass | Verdict::Audit | Verdict::Deny => Tone::Calm,
    }
}

fn bar(percent: u64) -> String {
    let filled = usize::try_from(percent.min(100) * BAR / 100).unwrap_or_default();
    let all = usize::try_from(BAR).unwrap_or_default();
    format!("{}{}", "#".repeat(filled), ".".repeat(all - filled))
}
