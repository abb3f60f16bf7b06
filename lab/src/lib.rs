//! Networks of namespaces with real servers, clients and hostile devices.
//!
//! [`lab::Lab`] is a whole lab: [`net`] makes the namespaces, [`servers`] and [`clients`] run Debian's programs in
//! them, [`hostile`] sends what should not pass, [`sphere`] is the product on the gateway. [`scenario`] puts them
//! together; [`report`] and [`render`] say what came of it.
//!
//! Invariant: everything made on the machine carries the prefix of its run ([`net::Ground`]), and goes away with the
//! value that made it, or with the next run. No packet leaves the namespaces.

pub mod clients;
pub mod hostile;
pub mod lab;
pub mod link;
pub mod message;
pub mod net;
pub mod packages;
pub mod pki;
pub mod policy;
pub mod process;
pub mod program;
pub mod render;
pub mod report;
pub mod scenario;
pub mod servers;
pub mod sphere;
pub mod vendor;
pub mod wait;
pub mod walk;
pub mod zone;
