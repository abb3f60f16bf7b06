//! A DNS answer read as the programs read it: the question, and every address of the answer section.
//!
//! Owners of records are skipped, not followed: only the asked name counts, and aliases may lead anywhere. Records of
//! other types are stepped over unread, so that none that is new or broken hides the addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_proto::op::{Header, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::DNSClass;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use sphere_common::dns::{CLASS_IN, TYPE_A, TYPE_AAAA};

use crate::resolve::AddressRecord;

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Addresses.
    Addresses {
        /// Transaction identifier.
        id: u16,
        /// The asked name, in lower case, without the final dot.
        name: String,
        /// The asked record type.
        kind: u16,
        /// The addresses, in the order of the message.
        records: Vec<AddressRecord>,
    },
    /// Nothing to learn: an error, no addresses, or so many that they are to be asked for over TCP.
    Nothing,
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    /// It is no answer to a standard query with one question.
    #[error("the message is no answer to one question")]
    NoAnswer,
    /// It is cut off or malformed.
    #[error("the message is malformed")]
    Malformed(#[from] DecodeError),
    /// The owner of a record.
    #[error("a record has a malformed owner")]
    Owner,
    /// An address record whose data is no address.
    #[error("an address record has {0} bytes of data")]
    Address(usize),
}

/// Reads an answer.
pub(super) fn read(message: &[u8]) -> Result<Content, MessageError> {
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder)?;
    let is_answer = header.message_type == MessageType::Response && header.op_code == OpCode::Query;
    if !is_answer || header.counts.queries != 1 {
        return Err(MessageError::NoAnswer);
    }
    let question = Query::read(&mut decoder)?;
    // A truncated answer is no answer (RFC 2181 section 9).
    if header.response_code != ResponseCode::NoError || header.truncation || question.query_class != DNSClass::IN {
        return Ok(Content::Nothing);
    }
    let mut records = Vec::new();
    for _ in 0..header.counts.answers {
        records.extend(record(&mut decoder)?);
    }
    if records.is_empty() {
        return Ok(Content::Nothing);
    }
    let name = question.name.to_lowercase().to_ascii();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    Ok(Content::Addresses { id: header.id, name, kind: question.query_type.into(), records })
}

/// Reads a record; [`None`] when it holds no address.
fn record(decoder: &mut BinDecoder<'_>) -> Result<Option<AddressRecord>, MessageError> {
    skip_name(decoder)?;
    let kind = decoder.read_u16()?.unverified(/* any value is one */);
    let class = decoder.read_u16()?.unverified(/* any value is one */);
    let ttl = decoder.read_i32()?.unverified(/* any value is one */);
    let length = usize::from(decoder.read_u16()?.unverified(/* the slice is checked */));
    let data = decoder.read_slice(length)?.unverified(/* its length is checked */);
    let address: IpAddr = match (kind, class) {
        (TYPE_A, CLASS_IN) => Ipv4Addr::from(array(data)?).into(),
        (TYPE_AAAA, CLASS_IN) => Ipv6Addr::from(array(data)?).into(),
        _ => return Ok(None),
    };
    // With the highest bit set it counts as zero (RFC 2181 section 8).
    let ttl = Duration::from_secs(u64::try_from(ttl).unwrap_or(0));
    Ok(Some(AddressRecord { address, ttl }))
}

fn array<const BYTES: usize>(data: &[u8]) -> Result<[u8; BYTES], MessageError> {
    data.try_into().map_err(|_wrong_length| MessageError::Address(data.len()))
}

/// Steps over a name up to its end or its first pointer (RFC 1035 section 4.1.4).
fn skip_name(decoder: &mut BinDecoder<'_>) -> Result<(), MessageError> {
    loop {
        match decoder.pop()?.unverified(/* every value has its arm */) {
            0 => return Ok(()),
            0xc0.. => {
                decoder.pop()?;
                return Ok(());
            }
            length @ 1..=63 => {
                decoder.read_slice(usize::from(length))?;
            }
            64..=0xbf => return Err(MessageError::Owner),
        }
    }
}
