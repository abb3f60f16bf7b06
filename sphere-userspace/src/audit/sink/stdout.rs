//! Standard output of the daemon, as JSON lines.

use std::io::{self, Write as _};

use super::{Batch, Output};

pub(super) struct Stdout;

impl Output for Stdout {
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        let mut text = String::new();
        for record in batch.iter() {
            text += &record.line()?;
        }
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()?;
        batch.delivered(batch.len());
        Ok(())
    }
}
