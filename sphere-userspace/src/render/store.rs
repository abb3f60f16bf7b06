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
    let number = |number: Option<u64>| number.map_or_else(|| "damaged".to_owned(), |number| number.to_string());
    // To the hour; the file says the day.
    let hour =
        |time: &Option<String>| time.as_deref().and_then(|time| time.get(5..13)).unwrap_or("-").replace('T', " ");
    for file in &info.files {
        let (records, packets) = (number(file.records), number(file.packets));
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
