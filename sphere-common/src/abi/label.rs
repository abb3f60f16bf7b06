//! What people call rules and groups: kept in the kernel so that `sphere status` can read it when no daemon runs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// Name of a rule: UTF-8, cut at the last whole character that fits, the rest zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RuleLabel {
    /// Group number.
    pub group: u32,
    /// 0 when the number is not in use; else 1, and from bit 8 on the step of a device's boot chain that the rule belongs
    /// to, counted from 1 (0: none). The programs do not read it.
    pub used: u32,
    /// The text.
    pub text: [u8; 248],
}
assert_size!(RuleLabel, 256);

impl RuleLabel {
    /// What `used` holds for a rule of this step.
    #[must_use]
    pub const fn used_by(step: u8) -> u32 {
        1 | (step as u32) << 8
    }

    /// The step of a device's boot chain that the rule belongs to, counted from 1; 0: none.
    #[must_use]
    pub const fn step(&self) -> u8 {
        let [_, step, _, _] = self.used.to_le_bytes();
        step
    }
}

/// Name of a group: UTF-8, the rest zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GroupLabel {
    /// 1 when the number is in use.
    pub used: u32,
    /// 1: enforce; 0: audit.
    pub enforce: u32,
    /// The text.
    pub text: [u8; 56],
}
assert_size!(GroupLabel, 64);
