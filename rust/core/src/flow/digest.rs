//! A 64-bit digest of the first bytes of a payload: the same bytes at two points give the same number.

/// Bytes that go into a digest; long enough for a request line, short enough to cost nothing.
pub const DIGEST_BYTES: usize = 64;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Digest of at most the first [`DIGEST_BYTES`] bytes; never 0 for a payload that is not empty, 0 for an empty one.
///
/// Not keyed on purpose: the number is stored, compared between runs and machines, and used only as
/// evidence beside sequence numbers, so a forged collision gains nothing.
#[inline]
pub fn digest(payload: &[u8]) -> u64 {
    if payload.is_empty() {
        return 0;
    }
    let bytes = &payload[..payload.len().min(DIGEST_BYTES)];
    let mut state = (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0u8; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = mix(state ^ u64::from_le_bytes(word));
    }
    state.max(1)
}

#[inline]
fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ MULTIPLIER) * u128::from(0xd6e8_feb8_6659_fd93_u64);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_bytes_count() {
        let long = [7u8; 200];
        assert_eq!(digest(&long), digest(&long[..DIGEST_BYTES]));
        assert_ne!(digest(&long[..63]), digest(&long[..64]));
        assert_eq!(digest(&[]), 0);
        assert_ne!(digest(&[0]), digest(&[0, 0]));
    }
}
