//! What the fuzz targets assert. Kept apart from libFuzzer, so that a plain test replays the seeds and every crash.

pub mod dns;
pub mod import;
pub mod mud;
pub mod packet;
pub mod policy;
