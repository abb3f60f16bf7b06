//! What `sphere doctor` found, for people, in 80 columns.

use std::io::{self, Write};

use crate::doctor::{Area, Report, State};
use crate::policy::{plain, wrap};

/// Columns of the word before what was found.
const WORD: usize = 10;

/// Writes what was found, area by area, and what it comes to.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_report(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut area: Option<Area> = None;
    for finding in &report.findings {
        if area != Some(finding.area) {
            let gap = if area.is_some() { "\n" } else { "" };
            writeln!(output, "{gap}{}", finding.area.word())?;
            area = Some(finding.area);
        }
        let remedy = finding.remedy.as_ref().map(|remedy| format!("remedy: {remedy}"));
        let texts = [Some(finding.what.clone()), remedy];
        for (index, line) in texts.iter().flatten().flat_map(|text| wrap(&plain(text), WORD, WORD)).enumerate() {
            let word = if index == 0 { finding.state.word() } else { "" };
            writeln!(output, "  {word:<8}{line}")?;
        }
    }
    let count = |state| report.findings.iter().filter(|finding| finding.state == state).count();
    let (problems, warnings) = (count(State::Problem), count(State::Warning));
    let of = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    writeln!(output, "\n{}, {}", of(problems, "problem"), of(warnings, "warning"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::doctor::Finding;
    use crate::render::json_text;
    use crate::snapshots::check;

    #[test]
    fn findings_are_shown_with_what_mends_them() {
        let finding = |area, state, what: &str, remedy: Option<&str>| Finding {
            area,
            state,
            what: what.to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let report = Report::new(vec![
            finding(Area::Kernel, State::Ok, "kernel 6.18.0: tc programs are attached by TCX", None),
            finding(
                Area::Forwarding,
                State::Problem,
                "IPv4 is not forwarded: devices reach nothing beyond the gateway",
                Some("sysctl -w net.ipv4.ip_forward=1"),
            ),
            finding(
                Area::Clock,
                State::Warning,
                "the kernel does not know its clock to be right: records and the store are dated by it",
                Some("start an NTP client: systemctl enable --now systemd-timesyncd, or install chrony"),
            ),
        ]);
        let mut output = Vec::new();
        write_report(&mut output, &report).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        check("doctor.txt", &text);
        check("doctor.json", &json_text(&report).unwrap());
    }
}
