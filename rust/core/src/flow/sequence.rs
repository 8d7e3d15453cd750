//! Sequence numbers modulo 2^32 (RFC 9293, section 3.4) and the parts of a byte stream that were seen.

/// True when `a` comes before `b` on the sequence circle.
#[inline]
pub fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// True when `a` comes after `b` on the sequence circle.
#[inline]
pub fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// Holes remembered per half; a capture that loses more than this in one place has larger problems,
/// and the oldest hole then counts as lost for good.
const MOST_HOLES: usize = 32;

/// What of a half's sequence space was not seen, between the lowest and the highest number.
#[derive(Debug, Default, Clone)]
pub struct Holes {
    ranges: Vec<(u32, u32)>,
    /// Bytes of holes that were forgotten because there were too many.
    forgotten: u64,
}

impl Holes {
    /// Notes that `from..to` was skipped by a segment further on.
    pub fn open(&mut self, from: u32, to: u32) {
        if self.ranges.len() == MOST_HOLES {
            let (a, b) = self.ranges.remove(0);
            self.forgotten += u64::from(b.wrapping_sub(a));
        }
        self.ranges.push((from, to));
    }

    /// Fills `from..to` where it lies in holes; returns how many bytes of it were new.
    pub fn fill(&mut self, from: u32, to: u32) -> u32 {
        let mut new = 0;
        let mut at = 0;
        while at < self.ranges.len() {
            let (a, b) = self.ranges[at];
            let start = if before(a, from) { from } else { a };
            let end = if after(b, to) { to } else { b };
            if !before(start, end) {
                at += 1;
                continue;
            }
            new += end.wrapping_sub(start);
            match (start == a, end == b) {
                (true, true) => {
                    self.ranges.remove(at);
                    continue;
                }
                (true, false) => self.ranges[at].0 = end,
                (false, true) => self.ranges[at].1 = start,
                (false, false) => {
                    self.ranges[at].1 = start;
                    if self.ranges.len() < MOST_HOLES {
                        self.ranges.insert(at + 1, (end, b));
                    } else {
                        self.forgotten += u64::from(b.wrapping_sub(end));
                    }
                }
            }
            at += 1;
        }
        new
    }

    /// True when no byte of `from..to` lies in a hole.
    pub fn covers(&self, from: u32, to: u32) -> bool {
        !self.ranges.iter().any(|&(a, b)| before(a, to) && before(from, b))
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub fn count(&self) -> u32 {
        self.ranges.len() as u32
    }

    pub fn bytes(&self) -> u64 {
        self.forgotten + self.ranges.iter().map(|&(a, b)| u64::from(b.wrapping_sub(a))).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_wraps() {
        assert!(before(0xffff_fff0, 5));
        assert!(after(5, 0xffff_fff0));
        assert!(!before(5, 5) && !after(5, 5));
    }

    proptest! {
        /// Against a plain bit per byte: holes opened at the end, filled anywhere, across the wrap.
        #[test]
        fn holes_agree_with_a_bitmap(base in any::<u32>(), steps in prop::collection::vec((0u32..40, 1u32..30), 1..20), fills in prop::collection::vec((0u32..600, 1u32..60), 0..10)) {
            let mut seen = vec![false; 2000];
            let mut holes = Holes::default();
            let mut end = 0u32;
            for (skip, length) in steps {
                if skip > 0 { holes.open(base.wrapping_add(end), base.wrapping_add(end + skip)); }
                end += skip;
                for byte in end..end + length { seen[byte as usize] = true; }
                end += length;
            }
            for (from, length) in fills {
                let (from, to) = (from.min(end), (from + length).min(end));
                let expected = (from..to).filter(|&b| !seen[b as usize]).count() as u32;
                prop_assert_eq!(holes.covers(base.wrapping_add(from), base.wrapping_add(to)), expected == 0);
                prop_assert_eq!(holes.fill(base.wrapping_add(from), base.wrapping_add(to)), expected);
                for byte in from..to { seen[byte as usize] = true; }
            }
            prop_assert_eq!(holes.bytes(), (0..end).filter(|&b| !seen[b as usize]).count() as u64);
        }
    }
}
