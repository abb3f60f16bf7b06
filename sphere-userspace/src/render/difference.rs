//! What differs between two policies, and what came of putting another one in force, for people.

use std::io::{self, Write};

use super::table::{span, table, write_narrow};
use crate::daemon::{KeptPolicy, Reloaded};
use crate::policy::{Difference, GroupDifference, Permission, Permissions, Setting, Standing, wrap};

/// Permissions of each kind that are shown of a group.
const SHOWN: usize = 100;

/// Writes what newly passes and newly fails.
///
/// # Errors
///
/// When the output fails.
pub fn write_difference(output: &mut impl Write, difference: &Difference) -> io::Result<()> {
    if difference.is_empty() {
        return writeln!(output, "nothing differs");
    }
    for (index, group) in difference.groups.iter().enumerate() {
        if index > 0 {
            writeln!(output)?;
        }
        write_group(output, group)?;
    }
    if !difference.settings.is_empty() {
        if !difference.groups.is_empty() {
            writeln!(output)?;
        }
        writeln!(output, "GATEWAY")?;
        write_settings(output, &difference.settings)?;
    }
    Ok(())
}

fn write_group(output: &mut impl Write, group: &GroupDifference) -> io::Result<()> {
    let standing = match group.standing {
        Standing::New => ", which is new",
        Standing::Gone => ", which is gone",
        Standing::Changed => "",
    };
    writeln!(output, "GROUP {}{standing}", group.group)?;
    write_permissions(output, "newly passes", &group.newly_passes)?;
    write_permissions(output, "newly fails", &group.newly_fails)?;
    write_settings(output, &group.settings)
}

fn write_permissions(output: &mut impl Write, title: &str, permissions: &Permissions) -> io::Result<()> {
    if permissions.first.is_empty() {
        return Ok(());
    }
    let mut rows = table(&[title, "target", "service", "written at"], &[]);
    for permission in permissions.first.iter().take(SHOWN) {
        let Permission { kind, target, service, origin } = permission;
        rows.add_row([format!("  {}", kind.word()).as_str(), target, service, origin]);
    }
    write_narrow(output, rows)?;
    match permissions.in_all.checked_sub(SHOWN) {
        Some(more) if more > 0 => writeln!(output, "  and {more} more"),
        _ => Ok(()),
    }
}

fn write_settings(output: &mut impl Write, settings: &[Setting]) -> io::Result<()> {
    for Setting { key, before, after } in settings {
        for (index, line) in wrap(&format!("{key}: {before} → {after}"), 2, 4).iter().enumerate() {
            writeln!(output, "{}{line}", if index == 0 { "  " } else { "    " })?;
        }
    }
    Ok(())
}

/// Writes what came of putting another policy in force.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_reloaded(output: &mut impl Write, reloaded: &Reloaded) -> io::Result<()> {
    write_difference(output, &reloaded.difference)?;
    for warning in &reloaded.warnings {
        writeln!(output, "\n{}", wrap(warning, 0, 2).join("\n  "))?;
    }
    if !reloaded.applied {
        return writeln!(output, "\nnothing was changed: this is what a reload would do");
    }
    let number = reloaded.number.map(|number| format!("policy {number} is")).unwrap_or("the policy is".to_owned());
    writeln!(output, "\n{number} in force; the tables took {} ms", reloaded.took_ms)?;
    match reloaded.trial_ms {
        Some(left) => {
            let text = format!(
                "It is gone back from in {} unless `sphere confirm` says that it stays.",
                span(left.div_ceil(1000))
            );
            writeln!(output, "{}", wrap(&text, 0, 0).join("\n"))
        }
        None => Ok(()),
    }
}

/// Writes the policies that are kept.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_kept(output: &mut impl Write, kept: &[KeptPolicy]) -> io::Result<()> {
    if kept.is_empty() {
        return writeln!(output, "no policy is kept");
    }
    let mut rows = table(&["policy", "in force first", "file", ""], &[0]);
    for KeptPolicy { number, since, config, in_force, trial_ms } in kept {
        let state = match (in_force, trial_ms) {
            (true, Some(left)) => format!("in force, on trial for {}", span(left.div_ceil(1000))),
            (true, None) => "in force".to_owned(),
            (false, _) => String::new(),
        };
        rows.add_row([&number.to_string(), since, &config.display().to_string(), &state]);
    }
    write_narrow(output, rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::policy::{PermissionKind, parse};
    use crate::render::json_text;
    use crate::snapshots::check;

    fn difference() -> Difference {
        let permission = |kind, target: &str, service: &str, line: u32| Permission {
            kind,
            target: target.to_owned(),
            service: service.to_owned(),
            origin: format!("policy.toml:{line}"),
        };
        let setting = |key: &str, before: &str, after: &str| Setting {
            key: key.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let group = GroupDifference {
            group: "meters".to_owned(),
            standing: Standing::Changed,
            newly_passes: Permissions::from(BTreeSet::from([
                permission(PermissionKind::Resolver, "192.0.2.53", "udp/53 tcp/53", 4),
                permission(PermissionKind::To, "*.telemetry.example.com", "tcp/8883", 14),
                permission(PermissionKind::To, "api.example.com", "tcp/443, private addresses too", 18),
            ])),
            newly_fails: BTreeSet::from([permission(PermissionKind::From, "10.30.0.0/24", "tcp/80", 22)]).into(),
            settings: vec![setting("mode", "audit: everything passes", "enforce: what no rule allows is denied")],
        };
        Difference { groups: vec![group], settings: vec![setting("timeouts.udp", "3m", "1m")] }
    }

    #[test]
    fn a_difference_is_shown_in_80_columns() {
        let mut output = Vec::new();
        write_difference(&mut output, &difference()).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        check("diff.txt", &text);
        check("diff.json", &json_text(&difference()).unwrap());
    }

    #[test]
    fn the_same_policy_twice_is_no_difference() {
        let text = "version = 1\n[[group]]\nname = \"a\"\nmode = \"audit\"\ninterfaces = [\"lan0\"]\nsubnets = [\"10.1.0.0/24\"]\n";
        let policy = parse(text, "policy.toml").unwrap();
        let mut output = Vec::new();
        write_difference(&mut output, &Difference::between(&policy, &policy)).unwrap();
        assert_eq!(output, b"nothing differs\n");
    }

    #[test]
    fn policies_that_are_kept_say_which_is_in_force() {
        let kept = |number, in_force, trial_ms| KeptPolicy {
            number,
            since: "2026-11-25T10:00:00Z".to_owned(),
            config: "/etc/sphere/policy.toml".into(),
            in_force,
            trial_ms,
        };
        let mut output = Vec::new();
        write_kept(&mut output, &[kept(3, false, None), kept(4, true, Some(41_200))]).unwrap();
        check("rollback-list.txt", std::str::from_utf8(&output).unwrap());
    }
}
