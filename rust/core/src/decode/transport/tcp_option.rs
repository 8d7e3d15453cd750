//! TCP options (RFC 9293, section 3.2; RFC 7323; RFC 2018).

use super::super::packet::{CUT_LAYOUT, TcpOptions};

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// FNV-1a, 32 bits.
const BASIS: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// Layout of the options that nearly every segment with timestamps has: two paddings, timestamps.
const PADDED_TIMESTAMPS: u32 = mix(mix(mix(BASIS, NO_OPERATION), NO_OPERATION), TIMESTAMPS);

const fn mix(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(PRIME)
}

/// Reads options until one is damaged; `options` holds one byte at least.
#[inline]
pub(super) fn parse(options: &[u8]) -> TcpOptions {
    if let &[NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, v0, v1, v2, v3, e0, e1, e2, e3] = options {
        let timestamps = Some((u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([e0, e1, e2, e3])));
        return TcpOptions { timestamps, layout: PADDED_TIMESTAMPS, ..TcpOptions::default() };
    }
    walk(options)
}

fn walk(mut rest: &[u8]) -> TcpOptions {
    let mut found = TcpOptions::default();
    let mut layout = BASIS;
    while let Some((&kind, after)) = rest.split_first() {
        layout = mix(layout, kind);
        match kind {
            END => break,
            NO_OPERATION => {
                rest = after;
                continue;
            }
            _ => {}
        }
        // The length counts kind and length bytes too.
        let Some((&length, values)) = after.split_first() else { break };
        let Some((value, next)) = usize::from(length).checked_sub(2).and_then(|n| values.split_at_checked(n)) else {
            break;
        };
        match (kind, value) {
            (MAXIMUM_SEGMENT_SIZE, &[high, low]) => found.mss = Some(u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => {
                found.window_scale = Some(shift);
                layout = mix(layout, shift);
            }
            (SACK_PERMITTED, []) => found.sack_permitted = true,
            (SACK, &[l0, l1, l2, l3, r0, r1, r2, r3, ..]) => {
                found.sack = Some((u32::from_be_bytes([l0, l1, l2, l3]), u32::from_be_bytes([r0, r1, r2, r3])));
            }
            (TIMESTAMPS, &[v0, v1, v2, v3, e0, e1, e2, e3]) => {
                found.timestamps = Some((u32::from_be_bytes([v0, v1, v2, v3]), u32::from_be_bytes([e0, e1, e2, e3])));
            }
            _ => {}
        }
        rest = next;
    }
    found.layout = layout.clamp(1, CUT_LAYOUT - 1);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];

    #[test]
    fn options_of_a_linux_syn() {
        let found = parse(&SYN);
        assert_eq!((found.mss, found.window_scale, found.sack_permitted), (Some(1460), Some(7), true));
        assert_eq!(found.timestamps, Some((1, 2)));
    }

    #[test]
    fn the_fast_path_agrees_with_the_walk() {
        let options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(parse(&options), walk(&options));
    }

    #[test]
    fn layout_is_about_kinds_order_and_scale() {
        let layout = |at: usize, value: u8| {
            let mut options = SYN;
            options[at] = value;
            parse(&options).layout
        };
        assert_eq!(layout(3, 100), parse(&SYN).layout, "MSS value");
        assert_eq!(layout(9, 100), parse(&SYN).layout, "timestamp");
        assert_ne!(layout(19, 8), parse(&SYN).layout, "window scale");
        assert_ne!(layout(4, 99), parse(&SYN).layout, "kind");
        assert_ne!(parse(&[0]).layout, 0);
    }

    #[test]
    fn sack_blocks_keep_the_first() {
        let options = [1, 1, 5, 18, 0, 0, 0, 9, 0, 0, 0, 12, 0, 0, 0, 20, 0, 0, 0, 30];
        assert_eq!(parse(&options).sack, Some((9, 12)));
    }

    #[test]
    fn damage_ends_the_list_and_keeps_what_was_read() {
        for tail in [&[8, 200, 1][..], &[8, 1, 0], &[8, 0], &[3]] {
            let mut options = vec![2, 4, 5, 180];
            options.extend_from_slice(tail);
            assert_eq!(parse(&options).mss, Some(1460));
            assert_eq!(parse(&options).timestamps, None);
        }
    }
}
