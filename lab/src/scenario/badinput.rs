//! x
use super::Scenario;
use crate::lab::Lab;
use crate::report::Report;
use anyhow::Result;
/// x
#[derive(Debug)]
pub(super) struct BadInput;
impl Scenario for BadInput {
    fn name(&self) -> &'static str {
        "badinput"
    }
    fn purpose(&self) -> &'static str {
        "x"
    }
    fn run(&self, _lab: &mut Lab, _report: &mut Report) -> Result<()> {
        Ok(())
    }
}
