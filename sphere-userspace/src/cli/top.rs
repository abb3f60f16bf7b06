//! `sphere top`: what happens now, live in a terminal or once on a page.

mod source;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use super::Exit;
use crate::top::Frame;
use crate::{privilege, render};
use source::Source;

/// Why it cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum TopError {
    /// There is no terminal to show it in.
    #[error(
        "standard output is no terminal: use `sphere top --once` for one page, `sphere status` for the totals, \
         `sphere denied --follow` for denials as they come"
    )]
    NoTerminal,
    /// The terminal fails.
    #[error("cannot use the terminal")]
    Terminal(#[from] io::Error),
}

pub(super) fn run(pin_root: &Path, interval: Duration, once: bool) -> anyhow::Result<Exit> {
    if !once && !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal.into());
    }
    privilege::check_capabilities()?;
    let mut source = Source::new(pin_root);
    let first = source.read()?;
    if once {
        std::thread::sleep(interval);
        let later = source.read()?;
        render::top_page(&Frame::new(&first, &later))?;
    } else {
        terminal::show(source, first, interval)?;
    }
    Ok(Exit::Done)
}
