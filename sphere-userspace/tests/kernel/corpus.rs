//! Packets of every kind that a gateway must tell apart, built with etherparse, which parses nothing of ours.

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, PacketBuilder};

/// A packet, and what it is.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) frame: Vec<u8>,
}

pub(crate) const DEVICE: [u8; 4] = [10, 20, 0, 5];
pub(crate) const OTHER: [u8; 4] = [10, 99, 0, 5];
pub(crate) const ALLOWED: [u8; 4] = [203, 0, 113, 7];
pub(crate) const PREFIX: [u8; 4] = [198, 51, 100, 9];
pub(crate) const DENIED: [u8; 4] = [192, 0, 2, 66];
pub(crate) const RESERVED: [u8; 4] = [192, 168, 35, 2];
pub(crate) const DEVICE6: [u8; 16] = [0xfd, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
pub(crate) const ALLOWED6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
pub(crate) const DENIED6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 5], [2, 0, 0, 0, 0, 1]);

/// SYN, middle and end of a connection; plain datagrams; and the same the other way round.
fn transport(samples: &mut Vec<Sample>, from: [u8; 4], to: [u8; 4]) {
    for port in [80, 443, 8883, 53, 853, 5671, 123] {
        for (name, flags) in [("tcp syn", 0), ("tcp middle", 1), ("tcp fin", 2), ("tcp rst", 3), ("tcp syn ack", 4)] {
            let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4(from, to, 64).tcp(40000, port, 7, 1000);
            let builder = match flags {
                0 => builder.syn(),
                1 => builder.ack(9),
                2 => builder.fin().ack(9),
                3 => builder.rst(),
                _ => builder.syn().ack(9),
            };
            push(samples, name, |frame| builder.write(frame, b"hello"));
        }
        let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv4(from, to, 64).udp(124, port);
        push(samples, "udp", |frame| builder.write(frame, b"hello"));
        let builder = PacketBuilder::ethernet2(MACS.1, MACS.0).ipv4(to, from, 64).tcp(port, 40000, 7, 1000).ack(8);
        push(samples, "tcp reply", |frame| builder.write(frame, b"hello"));
        let builder = PacketBuilder::ethernet2(MACS.1, MACS.0).ipv4(to, from, 64).tcp(port, 40000, 7, 1000).syn();
        push(samples, "tcp syn to the device", |frame| builder.write(frame, &[]));
        let builder = PacketBuilder::ethernet2(MACS.1, MACS.0).ipv4(to, from, 64).udp(port, 124);
        push(samples, "udp reply", |frame| builder.write(frame, b"hello"));
    }
}

fn transport6(samples: &mut Vec<Sample>, from: [u8; 16], to: [u8; 16]) {
    for port in [443, 53] {
        let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv6(from, to, 64).tcp(40000, port, 7, 1000).syn();
        push(samples, "tcp syn over IPv6", |frame| builder.write(frame, &[]));
        let builder = PacketBuilder::ethernet2(MACS.0, MACS.1).ipv6(from, to, 64).udp(124, port);
        push(samples, "udp over IPv6", |frame| builder.write(frame, b"hello"));
        let builder = PacketBuilder::ethernet2(MACS.1, MACS.0).ipv6(to, from, 64).udp(port, 124);
        push(samples, "udp reply over IPv6", |frame| builder.write(frame, b"hello"));
        let builder = PacketBuilder::ethernet2(MACS.1, MACS.0).ipv6(to, from, 64).tcp(port, 40000, 7, 1000).ack(1);
        push(samples, "tcp reply over IPv6", |frame| builder.write(frame, b"hello"));
    }
    for kind in [[128, 0], [129, 0], [133, 0], [134, 0], [135, 0], [136, 0], [143, 0], [2, 0], [1, 4]] {
        let mut quote = ipv6(to, from, 17, &[0, 53, 0, 124, 0, 12, 0, 0, 1, 2, 3, 4]);
        quote.drain(..14);
        let mut payload = vec![kind[0], kind[1], 0, 0, 0, 9, 0, 1];
        payload.extend(quote);
        for hop_limit in [1, 64, 255] {
            let mut frame = ipv6(from, to, 58, &payload);
            frame[21] = hop_limit;
            samples.push(Sample { name: "icmpv6", frame });
        }
    }
    // Extension headers: one of each, then up to seven deep.
    for (first, header) in
        [(0, [17, 0, 1, 4, 0, 0, 0, 0]), (43, [17, 0, 0, 0, 0, 0, 0, 0]), (60, [17, 0, 1, 4, 0, 0, 0, 0])]
    {
        let payload = [header.as_slice(), &[0, 124, 1, 187, 0, 12, 0, 0, 1, 2, 3, 4]].concat();
        samples.push(Sample { name: "extension header", frame: ipv6(from, to, first, &payload) });
    }
    for depth in 1..=8 {
        let mut payload = Vec::new();
        for level in 0..depth {
            payload.extend([if level + 1 == depth { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend([0, 124, 1, 187, 0, 12, 0, 0, 1, 2, 3, 4]);
        samples.push(Sample { name: "extension headers", frame: ipv6(from, to, 60, &payload) });
    }
    for (offset, more) in [(0_u16, 1_u16), (8, 1), (16, 0), (0, 0)] {
        let mut payload = vec![17, 0];
        payload.extend((offset | more).to_be_bytes());
        payload.extend([1, 2, 3, 4]);
        payload.extend([0, 124, 1, 187, 0, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        samples.push(Sample { name: "fragment over IPv6", frame: ipv6(from, to, 44, &payload) });
    }
}

/// Everything.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for to in [ALLOWED, PREFIX, DENIED, RESERVED, [255; 4], [224, 0, 0, 251], [239, 1, 2, 3], [10, 20, 0, 255]] {
        transport(&mut samples, DEVICE, to);
    }
    transport(&mut samples, OTHER, DENIED);
    transport(&mut samples, RESERVED, ALLOWED);
    transport6(&mut samples, DEVICE6, ALLOWED6);
    transport6(&mut samples, DEVICE6, DENIED6);
    let mut link_local = DEVICE6;
    link_local[0] = 0xfe;
    link_local[1] = 0x80;
    transport6(&mut samples, link_local, ALLOWED6);
    control(&mut samples);
    fragments(&mut samples);
    broken(&mut samples);
    samples
}

/// ICMP, with quoted packets of allowed and of other flows.
fn control(samples: &mut Vec<Sample>) {
    for (peer, port) in [(ALLOWED, 443_u16), (ALLOWED, 9), (DENIED, 443)] {
        for kind in [[3, 4], [3, 1], [11, 0], [12, 0], [8, 0], [0, 0], [5, 0], [13, 0]] {
            for to_device in [false, true] {
                let (from, to) = if to_device { (peer, DEVICE) } else { (DEVICE, peer) };
                let mut quote = Vec::new();
                let builder = PacketBuilder::ipv4(to, from, 64);
                let result = if to_device {
                    builder.tcp(40000, port, 7, 100).write(&mut quote, &[])
                } else {
                    builder.tcp(port, 40000, 7, 100).write(&mut quote, &[])
                };
                result.expect("writing to a vector cannot fail");
                let mut payload = vec![kind[0], kind[1], 0, 0, 0, 9, 0, 1];
                payload.extend(&quote[..28]);
                samples.push(Sample { name: "icmp", frame: ipv4(from, to, IpNumber::ICMP, (0, false), &payload) });
            }
        }
    }
}

fn fragments(samples: &mut Vec<Sample>) {
    let udp = [0_u8, 124, 0, 123, 0, 40, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let tcp = [0_u8, 124, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    for peer in [ALLOWED, DENIED] {
        for (from, to) in [(DEVICE, peer), (peer, DEVICE)] {
            for (offset, more) in [(16, true), (0, true), (16, true), (24, false), (8, true)] {
                samples
                    .push(Sample { name: "udp fragment", frame: ipv4(from, to, IpNumber::UDP, (offset, more), &udp) });
                samples
                    .push(Sample { name: "tcp fragment", frame: ipv4(from, to, IpNumber::TCP, (offset, more), &tcp) });
            }
            samples.push(Sample { name: "tiny", frame: ipv4(from, to, IpNumber::TCP, (0, true), &tcp[..8]) });
        }
    }
}

/// Frames that lie about themselves, tags, other protocols, and every truncation of a good frame.
fn broken(samples: &mut Vec<Sample>) {
    let good = ipv4(DEVICE, ALLOWED, IpNumber::UDP, (0, false), &[0, 124, 1, 187, 0, 12, 0, 0, 1, 2, 3, 4]);
    for ihl in 0..16 {
        let mut frame = good.clone();
        frame[14] = 0x40 | ihl;
        samples.push(Sample { name: "header length", frame });
    }
    for ethertype in [0x0806_u16, 0x888e, 0x88cc, 0x1234, 0x0026, 0x86dd] {
        let mut frame = good.clone();
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        samples.push(Sample { name: "ethertype", frame });
    }
    for tags in 1..4 {
        let mut frame = good.clone();
        for _ in 0..tags {
            frame.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
        }
        samples.push(Sample { name: "tags", frame });
    }
    for protocol in [2, 41, 47, 50, 132, 255] {
        let frame = ipv4(DEVICE, ALLOWED, IpNumber(protocol), (0, false), &[0; 32]);
        samples.push(Sample { name: "protocol", frame });
    }
    let options = Ipv4Options::try_from([1_u8; 12].as_slice()).expect("twelve bytes are three words");
    let mut header = Ipv4Header::new(8, 64, IpNumber::UDP, DEVICE, ALLOWED).expect("eight bytes fit");
    header.options = options;
    header.set_payload_len(8).expect("eight bytes fit");
    let mut frame = good[..14].to_vec();
    header.write(&mut frame).expect("writing to a vector cannot fail");
    frame.extend([0, 124, 1, 187, 0, 8, 0, 0]);
    samples.push(Sample { name: "options", frame });
    let tcp = samples.iter().find(|sample| sample.name == "tcp syn").map(|sample| sample.frame.clone());
    for whole in [Some(good), tcp].into_iter().flatten() {
        for length in 14..whole.len() {
            samples.push(Sample { name: "cut off", frame: whole[..length].to_vec() });
        }
    }
}

fn ipv4(from: [u8; 4], to: [u8; 4], protocol: IpNumber, (offset, more): (u16, bool), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("payloads here are small");
    let mut header = Ipv4Header::new(length, 64, protocol, from, to).expect("payloads here are small");
    header.fragment_offset = IpFragOffset::try_new(offset / 8).expect("offsets here are small");
    header.more_fragments = more;
    header.identification = 77;
    header.header_checksum = header.calc_header_checksum();
    let mut frame = [MACS.1.as_slice(), &MACS.0, &[8, 0]].concat();
    header.write(&mut frame).expect("writing to a vector cannot fail");
    frame.extend(payload);
    frame
}

fn ipv6(from: [u8; 16], to: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("payloads here are small").to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], next, 64];
    [MACS.1.as_slice(), &MACS.0, &[0x86, 0xdd], &header, &from, &to, payload].concat()
}

fn push<E: std::fmt::Debug>(
    samples: &mut Vec<Sample>,
    name: &'static str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) {
    let mut frame = Vec::new();
    write(&mut frame).expect("writing to a vector cannot fail");
    samples.push(Sample { name, frame });
}
