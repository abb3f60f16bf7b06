//! x
use super::Scenario;
use crate::lab::Lab;
use crate::report::Report;
use anyhow::Result;
/// x
#[derive(Debug)]
pub(super) struct Rotation;
impl Scenario for Rotation {
    fn name(&self) -> &'static str {
        "rotation"
    }
    fn purpose(&self) -> &'static str {
        "x"
    }
    fn run(&self, _lab: &mut Lab, _report: &mut Report) -> Result<()> {
        Ok(())
    }
}
