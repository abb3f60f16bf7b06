//! The files of the store for people.

use std::io::{self, Write};

use super::table::{table, write_narrow};
use crate::store::StoreInfo;

/// Writes a line for each file, and what they have together.
///
/// # Errors
///
/// When the output fails.
pub(super) fn write_store(output: &mut impl Write, info: &StoreInfo) -> io::Result<()> {
    let mut files = table(&["file", "from", "to", "records", "packets", "bytes"], &[3, 4, 5]);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    // To the hour; the file says the day.
    let hour =
        |time: &Option<String>| time.as_deref().and_then(|time| time.get(5..13)).unwrap_or("-").replace('T', " ");
    for file in &info.files {
        let records = file.problem.map_or_else(|| number(file.records), str::to_owned);
        let packets = number(file.packets);
        let (from, to) = (hour(&file.from), hour(&file.to));
        files.add_row([&file.name, &from, &to, &records, &packets, &file.bytes.to_string()]);
    }
    writeln!(output, "{}\n", info.directory.display())?;
    write_narrow(output, files)?;
    let records: u64 = info.files.iter().filter_map(|file| file.records).sum();
    let bytes: u64 = info.files.iter().map(|file| file.bytes).sum();
    let count = info.files.len();
    writeln!(output, "\n{count} {}, {records} records, {bytes} bytes", if count == 1 { "file" } else { "files" })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::render::json_text;
    use crate::snapshots::check;
    use crate::store::FileInfo;

    #[test]
    fn files_are_shown_with_what_they_have() {
        let file = |name: &str, records, from: Option<&str>, to: Option<&str>| FileInfo {
            name: name.to_owned(),
            bytes: 88_490_188,
            records,
            packets: records.map(|records| records * 100),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            problem: records.is_none().then_some("damaged"),
        };
        let files = vec![
            file(
                "denied-2026-11-24.sqlite",
                Some(1_234_567),
                Some("2026-11-24T00:00:00Z"),
                Some("2026-11-24T23:00:00Z"),
            ),
            file("denied-2026-11-24-2.sqlite", None, None, None),
            file("denied-2026-11-25.sqlite", Some(0), None, None),
        ];
        let info = StoreInfo::new("/var/lib/sphere".into(), files);
        let mut output = Vec::new();
        write_store(&mut output, &info).unwrap();
        check("store-info.txt", std::str::from_utf8(&output).unwrap());
        check("store-info.json", &json_text(&info).unwrap());
    }
}
