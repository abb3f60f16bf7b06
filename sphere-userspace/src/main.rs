//! The binary `sphere`.
fn main() {}
