//! x
use super::Scenario;
use crate::lab::Lab;
use crate::report::Report;
use anyhow::Result;
/// x
#[derive(Debug)]
pub(super) struct Crash;
impl Scenario for Crash {
    fn name(&self) -> &'static str {
        "crash"
    }
    fn purpose(&self) -> &'static str {
        "x"
    }
    fn run(&self, _lab: &mut Lab, _report: &mut Report) -> Result<()> {
        Ok(())
    }
}
