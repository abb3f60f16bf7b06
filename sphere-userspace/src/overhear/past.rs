//! The latest whole messages of a stream, kept for the segments that they came in: what is not delivered is sent again,
//! and must be judged again.

use super::stream::LENGTH_BYTES;

/// Bytes that are kept: the longest message and its length, twice.
pub(super) const MAX_PAST_BYTES: usize = 2 * (LENGTH_BYTES + u16::MAX as usize);

/// Whole messages, each behind its length, as they stood in the stream.
#[derive(Debug)]
pub(super) struct Past(Vec<u8>);

impl Past {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Bytes that are kept.
    pub(super) const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Takes up what follows, whole messages only; the oldest go when there is no more room.
    pub(super) fn extend(&mut self, messages: &[u8]) {
        self.0.extend(messages);
        let mut gone = 0;
        while self.0.len() - gone > MAX_PAST_BYTES
            && let Some(message) = message_at(&self.0, gone)
        {
            gone += LENGTH_BYTES + message.len();
        }
        self.0.drain(..gone);
    }

    /// The messages that bytes which stood `before` the end of what is kept had a part in; `begun` is what followed.
    /// [`None`] when not all of the bytes are known any more, or they are not what stood there.
    pub(super) fn messages_of(&self, bytes: &[u8], before: usize, begun: &[u8]) -> Option<Vec<Vec<u8>>> {
        let from = self.0.len().checked_sub(before)?;
        let mut known = self.0.iter().skip(from).chain(begun);
        if !bytes.iter().all(|byte| known.next() == Some(byte)) {
            return None;
        }
        let (mut messages, mut at) = (Vec::new(), 0);
        while let Some(message) = message_at(&self.0, at).filter(|_| at < from + bytes.len()) {
            at += LENGTH_BYTES + message.len();
            if at > from {
                messages.push(message.to_vec());
            }
        }
        Some(messages)
    }
}

/// The message whose length stands at an offset, if it is whole.
pub(super) fn message_at(stream: &[u8], at: usize) -> Option<&[u8]> {
    let (length, rest) = stream.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}
