//! DNS answers that the programs could not judge, put together and read: over TCP, in fragments, longer or with more
//! records than the programs walk.
//!
//! Place in the data flow: the ring of unjudged frames → [`Listener`] → [`Overheard`] → the daemon's core, which checks
//! that the device asked, and learns. Frames that were held back come along as [`HeldFrame`] and are sent on when the
//! core is done. Everything here is plain code: time comes with the frames. Invariant: whatever a frame holds, nothing
//! here panics, and what is kept is bounded in number, bytes and age.
//!
//! No packet is decided on here; what is read is what answers teach. A frame belongs to an exchange of a device and a
//! resolver that the programs let through, but over TCP that is all they vouch for: sequence numbers of the devices'
//! side are not seen, so whoever can send with a resolver's address to a device's port can put words in its mouth.

mod fragments;
mod frame;
mod held;
mod message;
mod past;
mod stream;
mod streams;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use sphere_common::abi::Unjudged;

use self::fragments::{Added, Fragments};
use self::frame::Piece;
pub use self::held::HeldFrame;
use self::message::Content;
use self::streams::Streams;
use crate::datapath::Exchange;
use crate::reconcile::Moment;
use crate::resolve::AddressRecord;

/// An answer that the programs could not judge, read by the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overheard {
    /// Number of the device's group.
    pub group: u32,
    /// Who asked whom, and what.
    pub exchange: Exchange,
    /// Whether the programs found that the device had asked.
    pub is_asked: bool,
    /// The addresses in the answer.
    pub records: Vec<AddressRecord>,
}

/// What a frame brought.
#[derive(Debug, Default)]
pub struct Heard {
    /// Answers that became whole with it, or had when it came before, and name addresses.
    pub answers: Vec<Overheard>,
    /// Answers that became whole with it, and name none.
    pub ignored: u64,
    /// Answers that became whole with it, and cannot be read.
    pub unreadable: u64,
    /// Frames that wait for these answers. Without any answer, they wait for nothing.
    pub frames: Vec<HeldFrame>,
    /// Whether these frames are a part of something that is not known, so that nobody can tell what they complete.
    pub is_unjoined: bool,
    /// Answers before it of which a part never came.
    pub lost: u64,
    /// Frames that waited for those.
    pub given_up: Vec<HeldFrame>,
}

/// Puts together and reads what the programs hand over.
#[derive(Debug, Default)]
pub struct Listener {
    streams: Streams,
    fragments: Fragments,
}

impl Listener {
    /// Takes up one frame.
    pub fn hear(&mut self, head: &Unjudged, frame: &[u8]) -> Heard {
        let at = Moment::new(Duration::from_nanos(head.monotonic_ns));
        let mut heard = Heard::default();
        heard.frames.extend(HeldFrame::new(head, frame));
        heard.lost += self.streams.sweep(at);
        self.fragments.sweep(at, &mut heard);
        match frame::read(frame) {
            Some(Piece::Fragment(fragment)) => {
                let frames = std::mem::take(&mut heard.frames);
                match self.fragments.add((head.ifindex, between(head)), &fragment, (frames, at)) {
                    Added::Waits => {}
                    Added::Broken(frames) => {
                        heard.frames = frames;
                        heard.unreadable += 1;
                    }
                    Added::Whole(payload, frames) => {
                        heard.frames = frames;
                        self.take_up(head, frame::transport(fragment.protocol, &payload).as_ref(), &mut heard);
                    }
                }
            }
            piece => self.take_up(head, piece.as_ref(), &mut heard),
        }
        heard
    }

    /// First fragments whose others did not come while they could wait; `limit` says how long those of a group can.
    pub fn overdue(&mut self, now: Moment, limit: impl Fn(u32) -> Duration) -> Vec<HeldFrame> {
        self.fragments.overdue(now, limit)
    }

    /// When the next of them can wait no longer.
    pub fn next_due(&self, limit: impl Fn(u32) -> Duration) -> Option<Moment> {
        self.fragments.next_due(limit)
    }

    fn take_up(&mut self, head: &Unjudged, piece: Option<&Piece<'_>>, heard: &mut Heard) {
        match piece {
            Some(&Piece::Datagram { device_port, message }) => note(head, (device_port, false), message, heard),
            Some(&Piece::Segment { device_port, sequence, bytes }) => {
                let (device, resolver) = between(head);
                let key = streams::Key { ifindex: head.ifindex, device, resolver, device_port };
                let at = Moment::new(Duration::from_nanos(head.monotonic_ns));
                let segment = stream::Segment { sequence, bytes, is_held: head.held != 0 };
                let pushed = self.streams.push(key, segment, at);
                heard.lost += pushed.lost;
                heard.is_unjoined = pushed.brought.is_unjoined;
                for message in pushed.brought.messages {
                    note(head, (device_port, true), &message, heard);
                }
            }
            Some(Piece::Fragment(_)) | None => heard.unreadable += 1,
        }
    }
}

/// Reads a message, and notes what it says.
fn note(head: &Unjudged, (device_port, is_tcp): (u16, bool), bytes: &[u8], heard: &mut Heard) {
    match message::read(bytes) {
        Ok(Content::Addresses { id, name, kind, records }) => {
            let (device, resolver) = between(head);
            let exchange = Exchange { device, device_port, resolver, is_tcp, id, name, kind };
            heard.answers.push(Overheard { group: head.group, exchange, is_asked: head.asked != 0, records });
        }
        Ok(Content::Nothing) => heard.ignored += 1,
        Err(error) => {
            tracing::debug!(%error, "answer that cannot be read");
            heard.unreadable += 1;
        }
    }
}

/// Device and resolver.
fn between(head: &Unjudged) -> (IpAddr, IpAddr) {
    (Ipv6Addr::from(head.device).to_canonical(), Ipv6Addr::from(head.resolver).to_canonical())
}

#[cfg(test)]
mod tests;
