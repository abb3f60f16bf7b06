//! Questions to the kernel about interfaces, their addresses, XDP programs and tc filters, and word of their changes.
//!
//! All of it is of the network namespace of the calling thread.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;

use super::error::DatapathError;
use super::pins::Side;
use crate::policy::InterfaceName;
use crate::reconcile::{GatewayFacts, InterfaceFacts};

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the network stack, before everything else.
    Generic,
    /// In the device.
    Offload,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Where it runs.
    pub mode: XdpMode,
    /// Number of the program.
    pub program: u32,
}

/// An interface as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its XDP programs: one, or several in different modes.
    pub xdp: Vec<Xdp>,
}

/// A BPF filter at clsact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Its priority.
    pub priority: u16,
    /// Its handle.
    pub handle: u32,
    /// The name it was given.
    pub name: String,
    /// Number of the program.
    pub program: u32,
}

/// Every interface.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn links() -> Result<Vec<Link>, DatapathError> {
    let replies = dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).map_err(failed("list the interfaces"))?;
    Ok(replies
        .iter()
        .filter_map(|reply| if let RouteNetlinkMessage::NewLink(m) = reply { link(m) } else { None })
        .collect())
}

/// Every interface with its addresses, as the reconciler wants them.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn gateway() -> Result<GatewayFacts, DatapathError> {
    let mut by_index: BTreeMap<u32, BTreeSet<IpAddr>> = BTreeMap::new();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    for reply in dump(request).map_err(failed("list the addresses of the interfaces"))? {
        let RouteNetlinkMessage::NewAddress(message) = reply else { continue };
        let Some(address) = address(&message) else { continue };
        by_index.entry(message.header.index).or_default().insert(address);
    }
    let facts = |link: Link| {
        let addresses = by_index.remove(&link.ifindex).unwrap_or_default();
        Some((InterfaceName::parse(&link.name)?, InterfaceFacts { ifindex: link.ifindex, addresses }))
    };
    Ok(GatewayFacts { interfaces: links()?.into_iter().filter_map(facts).collect() })
}

/// The BPF filters on one side of an interface.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn filters(ifindex: u32, side: Side) -> Result<Vec<Filter>, DatapathError> {
    let mut message = TcMessage::default();
    message.header.index = ifindex.cast_signed();
    // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS or TC_H_MIN_EGRESS)
    message.header.parent = TcHandle { major: 0xffff, minor: if side == Side::Ingress { 0xfff2 } else { 0xfff3 } };
    match dump(RouteNetlinkMessage::GetTrafficFilter(message)) {
        Ok(replies) => Ok(replies.iter().filter_map(filter).collect()),
        // No clsact on this interface, or no such interface.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV | libc::ENOENT)) => {
            Ok(Vec::new())
        }
        Err(error) => Err(failed("list the tc filters")(error)),
    }
}

/// Word of every change of an interface or of an address.
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<Socket>,
}

impl Watch {
    /// Begins to watch. What changes from now on is reported.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the subscription.
    pub fn new() -> Result<Self, DatapathError> {
        let watch = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
            socket.bind(&SocketAddr::new(0, groups.cast_unsigned()))?;
            socket.set_non_blocking(true)?;
            // SAFETY: the socket gives the same descriptor as long as it lives, and closes it only when it is dropped,
            // which is after the registration ended.
            unsafe { AsyncFd::register(socket) }.map_err(io::Error::from)
        };
        Ok(Self { socket: watch().map_err(failed("watch the interfaces"))? })
    }

    /// Waits for the next change, and takes every message that waits with it.
    ///
    /// What changed is not looked at: the caller asks for the state as it is, which is right also after messages were
    /// lost (`ENOBUFS`).
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub async fn changed(&self) -> Result<(), DatapathError> {
        let mut guard = self.socket.readable().await.map_err(failed("watch the interfaces"))?;
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            match guard.get_inner().recv(&mut buffer.as_mut_slice(), 0) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(failed("watch the interfaces")(error)),
            }
        }
        guard.clear_ready();
        Ok(())
    }
}

fn link(message: &LinkMessage) -> Option<Link> {
    let name = message
        .attributes
        .iter()
        .find_map(|a| if let LinkAttribute::IfName(n) = a { Some(n.clone()) } else { None })?;
    let xdp = message.attributes.iter().find_map(|a| if let LinkAttribute::Xdp(x) = a { Some(xdp(x)) } else { None });
    Some(Link { ifindex: message.header.index, name, xdp: xdp.unwrap_or_default() })
}

fn xdp(attributes: &[LinkXdp]) -> Vec<Xdp> {
    let single = attributes.iter().find_map(|a| if let LinkXdp::ProgId(id) = a { Some(*id) } else { None });
    let found = |attribute: &LinkXdp| {
        let (mode, program) = match (attribute, single) {
            (LinkXdp::Attached(XdpAttached::Driver), Some(program)) => (XdpMode::Native, program),
            (LinkXdp::Attached(XdpAttached::SocketBuffer), Some(program)) => (XdpMode::Generic, program),
            (LinkXdp::Attached(XdpAttached::Hardware), Some(program)) => (XdpMode::Offload, program),
            (LinkXdp::DrvProgId(program), None) => (XdpMode::Native, *program),
            (LinkXdp::SkbProgId(program), None) => (XdpMode::Generic, *program),
            (LinkXdp::HwProgId(program), None) => (XdpMode::Offload, *program),
            _ => return None,
        };
        Some(Xdp { mode, program })
    };
    attributes.iter().filter_map(found).collect()
}

fn address(message: &AddressMessage) -> Option<IpAddr> {
    let local =
        message.attributes.iter().find_map(|a| if let AddressAttribute::Local(ip) = a { Some(*ip) } else { None });
    let plain =
        message.attributes.iter().find_map(|a| if let AddressAttribute::Address(ip) = a { Some(*ip) } else { None });
    // On point-to-point links `Address` is the peer's.
    local.or(plain)
}

fn filter(reply: &RouteNetlinkMessage) -> Option<Filter> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = reply else { return None };
    let options =
        message.attributes.iter().find_map(|a| if let TcAttribute::Options(o) = a { Some(o) } else { None })?;
    let (mut name, mut program) = (String::new(), None);
    for option in options {
        match option {
            TcOption::Bpf(TcFilterBpfOption::ProgName(text)) => name.clone_from(text),
            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => program = Some(*id),
            _ => {}
        }
    }
    let priority = u16::try_from(message.header.info >> 16).ok()?;
    Some(Filter { priority, handle: u32::from(message.header.handle), name, program: program? })
}

/// Sends a request for a list, collects the replies.
fn dump(request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0_u8; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let mut replies = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        if collect(&bytes, &mut replies)? {
            return Ok(replies);
        }
    }
}

/// Reads the messages of one datagram; true when the list has ended.
fn collect(mut bytes: &[u8], replies: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    while let Some(length) = message_bytes(bytes) {
        let (one, rest) = bytes.split_at(length);
        match NetlinkMessage::<RouteNetlinkMessage>::deserialize(one) {
            Ok(message) => match message.payload {
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(inner) => replies.push(inner),
                _ => {}
            },
            // One message of a form that is not known must not hide the others.
            Err(error) => tracing::debug!(%error, "netlink message not understood"),
        }
        bytes = rest;
    }
    Ok(false)
}

/// Length of the first message, with its padding.
fn message_bytes(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_ne_bytes(*bytes.first_chunk::<4>()?) as usize;
    (length >= 16 && length <= bytes.len()).then(|| length.next_multiple_of(4).min(bytes.len()))
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> DatapathError {
    move |source| DatapathError::Netlink { operation, source }
}
