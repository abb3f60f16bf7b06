//! The packet classifier of Sphere, and the layout of everything that the kernel and the daemon share.
//!
//! One body of code decides every packet. `sphere-ebpf` runs it over packet pointers and BPF maps, the daemon's
//! tests and `sphere replay` run it over slices and ordinary collections. It is split as a packet travels:
//!
//! - [`packet`]: bounded reads, one file per protocol header; no policy.
//! - [`family`]: IPv4 and IPv6 as one pattern.
//! - [`classify`]: what a packet is once its network header is read.
//! - [`decide`]: a frame, the configuration and the [`tables::Tables`] become a [`decide::Decision`].
//! - [`verdict`]: the vocabulary of outcomes: every exit of the programs has a [`verdict::Reason`].
//! - [`dns`], [`name`]: questions, answers and names, for learning permission from DNS.
//! - [`abi`]: keys and values of the kernel tables, byte for byte.
//!
//! # Invariants
//!
//! This crate never reads a clock, never allocates (outside the `std` feature) and never does input or output.
//! Time is an argument. Nothing in it can panic: reads are bounded and return [`Option`].
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

pub mod abi;
pub mod classify;
pub mod decide;
pub mod dns;
pub mod family;
#[cfg(any(test, feature = "std"))]
pub mod host;
pub mod name;
pub mod packet;
pub mod tables;
pub mod verdict;
