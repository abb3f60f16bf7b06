//! Every kind of denial, as data: what is tried, and which reason the gateway must give.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use etherparse::IpNumber;
use sphere_common::verdict::{Direction, Reason};

use super::frame::Craft;
use crate::clients::{Attempt, DENIED_PATIENCE, Trust, dns, http, ntp};
use crate::lab::Lab;
use crate::net::HOSTILE4;
use crate::net::plan::{FOREIGN_RESOLVER, GATEWAY6, PROBE, PROBE_PORT, RESOLVER, server, stranger, stranger6};
use crate::servers::web::{AMQP_PORT, OTHER_PORT, OTHER_PORT_HOST};
use crate::vendor::HUB;
use crate::zone::{PROBE_HOST, UNLISTED_HOST};

/// Address and, where there is one, port.
pub type Target = (IpAddr, Option<u16>);

/// One way to misbehave.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What is tried.
    pub name: &'static str,
    /// What sends it.
    pub client: &'static str,
    /// Protocol word.
    pub protocol: &'static str,
    /// Whom it is meant for, where a record can tell.
    pub target: Option<Target>,
    /// The reason the gateway must give.
    pub reason: Reason,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether it comes out at the other side when nothing is enforced.
    pub passes_unprotected: bool,
    /// How it is done.
    pub act: Act,
}

/// How a kind is tried.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// With a real client on the hostile device.
    Client(fn(&Lab) -> Result<Attempt>),
    /// With raw frames, each of which counts.
    Frames(fn(&Craft) -> Result<Vec<Vec<u8>>>),
}

use Direction::{Egress, Ingress};

/// Where the serial service link's device would be.
const SERIAL_LINK: Ipv4Addr = Ipv4Addr::new(192, 168, 35, 2);
/// An address that belongs to no subnet of the gateway.
const SPOOFED: Ipv4Addr = Ipv4Addr::new(172, 30, 9, 9);
const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const FAR_MULTICAST: Ipv4Addr = Ipv4Addr::new(239, 66, 1, 2);
/// Ports that a scan tries.
const SCAN: std::ops::Range<u16> = 1000..1200;

/// A kind that a real client tries at an address and port.
const fn client(
    (name, client): (&'static str, &'static str),
    protocol: &'static str,
    target: Target,
    reason: Reason,
    act: fn(&Lab) -> Result<Attempt>,
) -> Kind {
    Kind {
        name,
        client,
        protocol,
        target: Some(target),
        reason,
        direction: Ingress,
        passes_unprotected: true,
        act: Act::Client(act),
    }
}

/// A kind made of raw frames, which a gateway without protection forwards.
const fn frames(
    name: &'static str,
    protocol: &'static str,
    target: Option<Target>,
    reason: Reason,
    act: fn(&Craft) -> Result<Vec<Vec<u8>>>,
) -> Kind {
    Kind {
        name,
        client: "raw frames",
        protocol,
        target,
        reason,
        direction: Ingress,
        passes_unprotected: true,
        act: Act::Frames(act),
    }
}

/// The same kind, where a plain gateway may hold it back too: only the reason counts.
const fn held_anyway(kind: Kind) -> Kind {
    Kind { passes_unprotected: false, ..kind }
}

/// The same kind, coming from the internet.
const fn inbound(kind: Kind) -> Kind {
    Kind { direction: Egress, ..kind }
}

const fn at(address: Ipv4Addr, port: u16) -> Target {
    (IpAddr::V4(address), Some(port))
}

const fn to(address: Ipv4Addr) -> Target {
    (IpAddr::V4(address), None)
}

/// Kinds that a real client tries.
pub const CLIENTS: [Kind; 10] = [
    client(("unlisted host on an allowed port", "curl"), "tcp", at(stranger(1), 443), Reason::Destination, |lab| {
        let url = format!("https://{UNLISTED_HOST}/");
        http::fetch_at(&lab.network.hostile, (&url, Some(stranger(1).into())), UNLISTED_HOST, trust(lab))
    }),
    client(("allowed host on another port", "curl"), "tcp", at(server(2, 2), OTHER_PORT), Reason::Destination, |lab| {
        let url = format!("https://{OTHER_PORT_HOST}:{OTHER_PORT}/");
        http::fetch(&lab.network.hostile, &url, OTHER_PORT_HOST, trust(lab))
    }),
    client(
        ("unlisted host over IPv6", "curl -6"),
        "tcp",
        (IpAddr::V6(stranger6(1)), Some(443)),
        Reason::Destination,
        |lab| {
            let url = format!("https://{UNLISTED_HOST}/");
            http::fetch_at(&lab.network.hostile, (&url, Some(stranger6(1).into())), UNLISTED_HOST, trust(lab))
        },
    ),
    client(("other resolver", "dig"), "udp", at(FOREIGN_RESOLVER, 53), Reason::Resolver, |lab| {
        let question = (PROBE_HOST, "A");
        dns::ask(&lab.network.hostile, question, Some(FOREIGN_RESOLVER.into()), dns::Transport::Udp)
    }),
    client(("other resolver over TCP", "dig +tcp"), "tcp", at(FOREIGN_RESOLVER, 53), Reason::Resolver, |lab| {
        let question = (PROBE_HOST, "A");
        dns::ask(&lab.network.hostile, question, Some(FOREIGN_RESOLVER.into()), dns::Transport::Tcp)
    }),
    client(("DNS over TLS", "openssl"), "tcp", at(FOREIGN_RESOLVER, 853), Reason::EncryptedDns, |lab| {
        handshake(lab, &format!("{FOREIGN_RESOLVER}:853"))
    }),
    client(("unlisted time server", "chronyd"), "udp", at(stranger(4), 123), Reason::Destination, |lab| {
        ntp::ask(&lab.network, &lab.network.hostile, &stranger(4).to_string(), 3)
    }),
    client(("AMQP to an allowed host", "openssl"), "tcp", at(server(3, 2), AMQP_PORT), Reason::Destination, |lab| {
        handshake(lab, &format!("{HUB}:{AMQP_PORT}"))
    }),
    client(("ping to the internet", "ping"), "icmp", to(stranger(5)), Reason::Icmp, |lab| ping(lab, stranger(5))),
    client(("ping to an allowed host", "ping"), "icmp", to(server(2, 2)), Reason::Icmp, |lab| ping(lab, server(2, 2))),
];

/// Kinds made of raw frames.
pub const FRAMES: [Kind; 38] = [
    frames("TCP scan of 200 ports", "tcp", Some(to(stranger(6))), Reason::Destination, |craft| {
        SCAN.map(|port| craft.syn(stranger(6), port)).collect()
    }),
    frames("UDP scan of 200 ports", "udp", Some(to(stranger(7))), Reason::Destination, |craft| {
        SCAN.map(|port| craft.udp(stranger(7), port)).collect()
    }),
    frames("TCP without a handshake", "tcp", Some(at(stranger(8), 443)), Reason::Destination, |craft| {
        one(craft.ack(stranger(8), 443))
    }),
    frames("DHCP to a foreign server", "udp", Some(at(stranger(9), 67)), Reason::Destination, |craft| {
        one(craft.udp(stranger(9), 67))
    }),
    frames("192.168.35.x as source", "udp", None, Reason::Reserved, |craft| {
        one(craft.from(SERIAL_LINK).udp(server(2, 2), 443))
    }),
    frames("192.168.35.x as destination", "udp", Some(at(SERIAL_LINK, 80)), Reason::Reserved, |craft| {
        one(craft.udp(SERIAL_LINK, 80))
    }),
    frames("spoofed source", "udp", None, Reason::ForeignSource, |craft| {
        one(craft.from(SPOOFED).udp(stranger(1), 443))
    }),
    frames("GRE", "47", Some(to(stranger(1))), Reason::Protocol, |craft| one(craft.protocol(stranger(1), 47))),
    frames("SCTP to an allowed host", "132", Some(to(server(2, 2))), Reason::Protocol, |craft| {
        one(craft.protocol(server(2, 2), 132))
    }),
    held_anyway(frames("forged ICMP error", "icmp", Some(to(stranger(1))), Reason::Icmp, |craft| {
        one(craft.unreachable(stranger(1), (stranger(1), craft.source)))
    })),
    held_anyway(frames("ICMP error to a third host", "icmp", Some(to(stranger(2))), Reason::Icmp, |craft| {
        one(craft.unreachable(stranger(2), (server(2, 2), craft.source)))
    })),
    held_anyway(frames("DNS answer to itself", "udp", None, Reason::ForeignSource, |craft| {
        one(craft.from(RESOLVER).udp_from(53, HOSTILE4, 40_000))
    })),
    held_anyway(frames("DNS query in fragments", "udp", Some(to(RESOLVER)), Reason::QueryMalformed, |craft| {
        // The header of the datagram alone: the question would come with the next fragment.
        one(craft.fragment(RESOLVER, IpNumber::UDP, (0, true), &[0x9c, 0x40, 0, 53, 0, 40, 0, 0]))
    })),
    held_anyway(frames("DNS over TCP out of place", "tcp", Some(at(RESOLVER, 53)), Reason::QuerySegment, |craft| {
        one(craft.ack(RESOLVER, 53))
    })),
    held_anyway(frames("loose source route", "udp", None, Reason::SourceRoute, |craft| {
        one(craft.routed(PROBE, PROBE_PORT))
    })),
    frames("data behind the end of a datagram", "udp", Some(to(PROBE)), Reason::Malformed, |craft| {
        one(craft.hidden(PROBE, PROBE_PORT))
    }),
    held_anyway(frames("later fragment without a first", "udp", Some(to(server(2, 2))), Reason::Fragment, |craft| {
        one(craft.fragment(server(2, 2), IpNumber::UDP, (4, false), &craft.mark))
    })),
    held_anyway(frames("tiny first fragment", "tcp", Some(to(server(2, 2))), Reason::FragmentOverlap, |craft| {
        // Ports and sequence number only: the flags would come with the next fragment (RFC 1858 section 3).
        one(craft.fragment(server(2, 2), IpNumber::TCP, (0, true), &[0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1]))
    })),
    held_anyway(frames(
        "fragment over a TCP header",
        "tcp",
        Some(to(server(2, 2))),
        Reason::FragmentOverlap,
        |craft| one(craft.fragment(server(2, 2), IpNumber::TCP, (1, false), &[craft.mark, craft.mark].concat())),
    )),
    held_anyway(frames("IPv4 header of 16 bytes", "udp", None, Reason::Malformed, |craft| {
        one(craft.header_length(server(2, 2), 4))
    })),
    held_anyway(frames("IPv4 header of 0 bytes", "udp", None, Reason::Malformed, |craft| {
        one(craft.header_length(server(2, 2), 0))
    })),
    held_anyway(frames("IPv4 length beyond the frame", "udp", None, Reason::Malformed, |craft| {
        one(craft.too_long(server(2, 2)))
    })),
    held_anyway(frames("three VLAN tags", "ethernet", None, Reason::VlanDepth, |craft| {
        one(craft.tagged(stranger(1), 3))
    })),
    held_anyway(frames("unlisted host in a VLAN", "udp", Some(at(stranger(1), 443)), Reason::Destination, |craft| {
        one(craft.tagged(stranger(1), 1))
    })),
    held_anyway(frames(
        "unlisted host in two VLANs",
        "udp",
        Some(at(stranger(1), 443)),
        Reason::Destination,
        |craft| one(craft.tagged(stranger(1), 2)),
    )),
    held_anyway(frames("unknown EtherType", "ethernet", None, Reason::EtherType, |craft| {
        Ok(vec![craft.ethertype(0x88b5)])
    })),
    frames("IPv6 routing header", "udp", None, Reason::SourceRoute, |craft| one(craft.routed6(stranger6(3)))),
    frames("neighbour discovery beyond the link", "ipv6", None, Reason::Icmp, |craft| {
        one(craft.advertisement(stranger6(4)))
    }),
    held_anyway(frames("link-local source to a resolver", "udp", None, Reason::ForeignSource, |craft| {
        let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xbad);
        one(Craft { source6: link_local, ..*craft }.udp6(GATEWAY6, 53))
    })),
    frames("7 IPv6 extension headers", "ipv6", None, Reason::ExtensionDepth, |craft| {
        one(craft.extended(stranger6(1), 7))
    }),
    frames("UDP over IPv6", "udp", Some((IpAddr::V6(stranger6(2)), Some(443))), Reason::Destination, |craft| {
        one(craft.udp6(stranger6(2), 443))
    }),
    held_anyway(frames(
        "multicast beyond the link",
        "udp",
        Some(at(FAR_MULTICAST, 5000)),
        Reason::Multicast,
        |craft| one(craft.udp(FAR_MULTICAST, 5000)),
    )),
    held_anyway(frames("mDNS", "udp", None, Reason::LinkLocal, |craft| one(craft.udp(MDNS, 5353)))),
    held_anyway(frames("broadcast", "udp", None, Reason::LinkLocal, |craft| one(craft.udp(Ipv4Addr::BROADCAST, 1824)))),
    inbound(frames("unsolicited connection to a device", "tcp", Some(to(stranger(1))), Reason::Unsolicited, |craft| {
        one(craft.syn(DEVICE, 22))
    })),
    inbound(frames("unsolicited datagram to a device", "udp", Some(to(stranger(1))), Reason::Unsolicited, |craft| {
        one(craft.udp(DEVICE, 5683))
    })),
    inbound(frames("ping to a device", "icmp", Some(to(stranger(1))), Reason::Unsolicited, |craft| {
        one(craft.echo(DEVICE))
    })),
    inbound(frames("forged ICMP error to a device", "icmp", Some(to(stranger(1))), Reason::Icmp, |craft| {
        one(craft.unreachable(DEVICE, (DEVICE, stranger(1))))
    })),
];

/// The hostile device, seen from the internet.
const DEVICE: Ipv4Addr = crate::net::HOSTILE4;

fn one(frame: Result<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    Ok(vec![frame?])
}

fn trust(lab: &Lab) -> Trust<'_> {
    Trust { root: &lab.root, limit: DENIED_PATIENCE }
}

fn handshake(lab: &Lab, target: &str) -> Result<Attempt> {
    let arguments = ["s_client", "-connect", target, "-brief"];
    let done = lab.network.hostile.run("openssl", &arguments, DENIED_PATIENCE)?;
    Ok(Attempt::judge(&done, |_done| Some("TLS handshake".to_owned())))
}

fn ping(lab: &Lab, target: Ipv4Addr) -> Result<Attempt> {
    let limit = DENIED_PATIENCE + Duration::from_secs(1);
    let target = target.to_string();
    let done = lab.network.hostile.run("busybox", &["ping", "-c", "1", "-W", "1", &target], limit)?;
    Ok(Attempt::judge(&done, |_done| Some("echo reply".to_owned())))
}
