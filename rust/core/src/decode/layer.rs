//! The part of a frame that one header sees: what was captured of it, and how long it was on the wire.

use super::packet::{Bad, Outcome};

/// How many headers may carry another packet or frame inside each other.
const DEEPEST: u8 = 16;

/// The bytes from one header on, up to the end that the header around it states.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    /// Captured bytes, never more than `wire`.
    pub(super) bytes: &'a [u8],
    /// Where the bytes start in the frame.
    pub(super) offset: u32,
    /// Length on the wire.
    pub(super) wire: u32,
    depth: u8,
}

impl<'a> Layer<'a> {
    #[inline]
    pub(super) fn new(frame: &'a [u8], wire_length: u32) -> Self {
        let captured = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        Layer { bytes: frame, offset: 0, wire: wire_length.max(captured), depth: 0 }
    }

    /// The first `N` bytes, when they were captured.
    #[inline]
    pub(super) fn head<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.first_chunk()
    }

    /// The byte at `at`, when it was captured.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// What follows the first `length` bytes; `None` when the capture ends before.
    #[inline]
    pub(super) fn skip(self, length: usize) -> Option<Self> {
        let bytes = self.bytes.get(length..)?;
        let passed = length as u32;
        Some(Layer { bytes, offset: self.offset + passed, wire: self.wire - passed, depth: self.depth })
    }

    /// At most `wire` bytes of it: what lies beyond is padding or belongs to somebody else.
    #[inline]
    pub(super) fn limit(self, wire: u32) -> Self {
        let bytes = self.bytes.get(..wire as usize).unwrap_or(self.bytes);
        Layer { bytes, wire: self.wire.min(wire), ..self }
    }

    /// The same bytes, one level further in; `None` when there are absurdly many levels.
    #[inline]
    pub(super) fn deeper(self) -> Option<Self> {
        let depth = self.depth + 1;
        (depth <= DEEPEST).then_some(Layer { depth, ..self })
    }

    /// A header of this layer does not hold what its length promises.
    #[cold]
    pub(super) fn bad(&self, kind: &'static str, layer: &'static str, needed: usize) -> Outcome {
        let had = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        Outcome::Bad(Bad { kind, layer, offset: self.offset, needed: needed as u32, had })
    }

    /// Too many headers inside each other.
    #[cold]
    pub(super) fn too_deep(&self) -> Outcome {
        self.bad("too-many-layers", "tunnel", 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_skips_keep_both_lengths() {
        let layer = Layer::new(&[1, 2, 3, 4], 10).limit(8).skip(3).unwrap();
        assert_eq!((layer.bytes, layer.offset, layer.wire), (&[4][..], 3, 5));
        assert_eq!(layer.limit(0).bytes, &[] as &[u8]);
        assert!(layer.skip(2).is_none());
    }

    #[test]
    fn wire_length_is_at_least_what_was_captured() {
        assert_eq!(Layer::new(&[0; 4], 2).wire, 4);
    }

    #[test]
    fn depth_ends() {
        let mut layer = Layer::new(&[], 0);
        for _ in 0..DEEPEST {
            layer = layer.deeper().unwrap();
        }
        assert!(layer.deeper().is_none());
    }
}
