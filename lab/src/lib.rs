//! Networks of namespaces with real servers, clients and hostile devices.

pub mod clients;
pub mod net;
pub mod pki;
pub mod process;
pub mod program;
pub mod servers;
pub mod vendor;
pub mod wait;
pub mod walk;
pub mod zone;
