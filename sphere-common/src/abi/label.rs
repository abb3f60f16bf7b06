//! What people call rules and groups: kept in the kernel so that `sphere status` can read it when no daemon runs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::assert_size;

/// Name of a rule: UTF-8, cut at the last whole character that fits, the rest zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RuleLabel {
    /// Group number.
    pub group: u32,
    /// 1 when the number is in use.
    pub used: u32,
    /// The text.
    pub text: [u8; 248],
}
assert_size!(RuleLabel, 256);

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
