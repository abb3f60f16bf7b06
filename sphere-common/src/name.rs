//! Domain names as keys: lower-case, reversed, so that a suffix is a prefix.
//!
//! `prod.update.example` becomes `elpmaxe.etadpu.dorp` and a zero byte behind it. A rule for exactly this name is the
//! whole key with the zero; a rule for `*.example` is `elpmaxe.`: label boundaries are part of the key. Upper case
//! becomes lower case (RFC 4343). The question of a message is written backwards into the key as it is read, so that
//! one pass over its bytes is enough.

/// Longest name in bytes of text, without the final dot, that the tables hold: the kernel's prefix tries take keys of up
/// to 256 bytes, the group stands before the name, a zero behind it. (The longest DNS name has 253, RFC 1035
/// section 3.1.)
pub const MAX_NAME_BYTES: usize = 247;
/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const MAX_LABEL_BYTES: u8 = 63;

/// Bytes of a key's name part: the longest name and its zero.
pub const KEY_BYTES: usize = MAX_NAME_BYTES + 1;

/// A name being read: text, reversed key and hash grow together.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NameBuffer {
    /// Keyed FNV-1a over the lower-case text. It only ties an answer to the query it belongs to; the tables are asked
    /// for the name itself.
    pub hash: u64,
    /// Bytes of text.
    pub bytes: u32,
    /// Bytes that the current label still has.
    pub label_left: u32,
    /// Lower-case text, dots between labels.
    pub text: [u8; 256],
    /// The text reversed: its first byte stands at [`KEY_END`], the others before it, behind it a zero.
    pub reversed: [u8; REVERSED_BYTES],
}

/// Where the first byte of the text stands in [`NameBuffer::reversed`]; all bits set.
pub const KEY_END: usize = 255;
/// Room for a reversed name that may begin anywhere, with a whole key behind its beginning.
pub const REVERSED_BYTES: usize = 512;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl NameBuffer {
    /// Nothing read yet.
    pub const EMPTY: Self =
        Self { hash: FNV_OFFSET, bytes: 0, label_left: 0, text: [0; 256], reversed: [0; REVERSED_BYTES] };

    /// Begins anew. `seed` keys the hash.
    #[inline(always)]
    pub fn clear(&mut self, seed: u64) {
        self.hash = FNV_OFFSET ^ seed;
        self.bytes = 0;
        self.label_left = 0;
    }

    /// Takes the next byte of a name on the wire (uncompressed).
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, byte: u8) -> Taken {
        if self.label_left == 0 {
            if byte == 0 {
                return Taken::End;
            }
            if byte > MAX_LABEL_BYTES {
                return Taken::Refused;
            }
            self.label_left = u32::from(byte);
            if self.bytes == 0 { Taken::More } else { self.put(b'.') }
        } else {
            self.label_left -= 1;
            // A dot or a zero inside a label would look like a boundary: no rule can mean such a name.
            if byte == b'.' || byte == 0 {
                return Taken::Refused;
            }
            self.put(byte.to_ascii_lowercase())
        }
    }

    #[inline(always)]
    fn put(&mut self, byte: u8) -> Taken {
        let at = self.bytes as usize;
        if at >= MAX_NAME_BYTES {
            return Taken::Refused;
        }
        if let Some(slot) = self.text.get_mut(at) {
            *slot = byte;
        }
        // `KEY_END - at`, written so that the verifier sees an offset that is added and never negative.
        if let Some(slot) = self.reversed.get_mut(at ^ KEY_END) {
            *slot = byte;
        }
        self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        self.bytes += 1;
        Taken::More
    }

    /// Where the reversed name begins.
    #[must_use]
    #[inline(always)]
    pub fn reversed_at(&self) -> usize {
        (self.bytes as usize & KEY_END ^ KEY_END) + 1
    }
}

/// What became of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Taken {
    /// The name goes on.
    More,
    /// The name is whole.
    End,
    /// The name is too long, malformed, or none that a rule can mean.
    Refused,
}

/// The key of a rule: the reversed name with what tells an exact name from a suffix behind it, and its length in
/// bytes. `None` when the name does not fit.
#[must_use]
pub fn rule_key(name: &str, matches_below: bool) -> Option<([u8; KEY_BYTES], usize)> {
    let mut key = [0; KEY_BYTES];
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return None;
    }
    for (slot, byte) in key.iter_mut().zip(name.bytes().rev()) {
        *slot = byte.to_ascii_lowercase();
    }
    if let Some(slot) = key.get_mut(name.len()) {
        *slot = if matches_below { b'.' } else { 0 };
    }
    Some((key, name.len() + 1))
}
