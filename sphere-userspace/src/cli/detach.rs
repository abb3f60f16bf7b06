//! `sphere detach`: ends enforcement.

use std::path::Path;

use super::Exit;
use crate::{datapath, privilege, render};

pub(super) fn run(pin_root: &Path) -> anyhow::Result<Exit> {
    privilege::check_capabilities()?;
    let released = datapath::detach(pin_root)?;
    let ports = if released.is_empty() { "no port".to_owned() } else { released.join(", ") };
    render::line(&format!("detached from {ports}; nothing is enforced from {} any more", pin_root.display()))?;
    Ok(Exit::Done)
}
