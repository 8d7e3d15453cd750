//! Options of a pcapng interface: name, time resolution, and what was lost there (draft-ietf-opsawg-pcapng, sections
//! 4.2 and 4.6).

use super::byte_order::ByteOrder;

const END: u16 = 0;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_ENDTIME: u16 = 3;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

/// How the 64-bit timestamps of an interface become nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    offset_seconds: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds per tick.
    Coarse(u64),
    /// Ticks per nanosecond.
    Fine(u64),
    /// Seconds divided by this power of two.
    Binary(u32),
}

impl Default for Clock {
    fn default() -> Self {
        Clock { unit: Unit::Coarse(1_000), offset_seconds: 0 }
    }
}

impl Clock {
    fn set_resolution(&mut self, value: u8) {
        let exponent = u32::from(value & 0x7f);
        self.unit = if value & 0x80 != 0 {
            Unit::Binary(exponent)
        } else if exponent <= 9 {
            Unit::Coarse(10u64.pow(9 - exponent))
        } else {
            // Finer than 10^-28 s, 64 bits hold less than a nanosecond.
            Unit::Fine(10u64.checked_pow(exponent - 9).unwrap_or(u64::MAX))
        };
    }

    /// Nanoseconds since the epoch; times beyond the years 1677 to 2262 stop there.
    #[inline]
    pub(super) fn time_ns(&self, ticks: u64) -> i64 {
        let since = match self.unit {
            Unit::Coarse(ns) => i128::from(ticks) * i128::from(ns),
            Unit::Fine(ticks_per_ns) => i128::from(ticks / ticks_per_ns),
            // 2^64 * 10^9 stays below 2^94.
            Unit::Binary(exponent) => (i128::from(ticks) * 1_000_000_000) >> exponent.min(126),
        };
        let time = since + i128::from(self.offset_seconds) * 1_000_000_000;
        i64::try_from(time).unwrap_or(if time < 0 { i64::MIN } else { i64::MAX })
    }
}

/// What an interface is called, as far as the file says so.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
}

/// Labels and clock out of the options of an interface description; a damaged option ends the list.
pub(super) fn interface_options(order: ByteOrder, mut options: &[u8]) -> (Labels, Clock) {
    let mut labels = Labels::default();
    let mut clock = Clock::default();
    while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk() {
        let length = usize::from(order.u16([l0, l1]));
        let Some(value) = rest.get(..length) else { break };
        match order.u16([c0, c1]) {
            END => break,
            IF_NAME => labels.name = text(value),
            IF_DESCRIPTION => labels.description = text(value),
            IF_TSRESOL => value.first().iter().for_each(|resolution| clock.set_resolution(**resolution)),
            IF_TSOFFSET => value.first_chunk().iter().for_each(|offset| clock.offset_seconds = order.i64(**offset)),
            _ => {}
        }
        options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (labels, clock)
}

fn text(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    Some(text.trim_end_matches('\0').to_owned()).filter(|text| !text.is_empty())
}

/// What an interface statistics block tells.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Statistics {
    /// When capturing ended.
    pub(super) until_ns: Option<i64>,
    /// Frames lost by the interface, the kernel or the program.
    pub(super) dropped: u64,
}

/// End of capture and lost frames; a damaged option ends the list.
pub(super) fn statistics_options(order: ByteOrder, mut options: &[u8], clock: &Clock) -> Statistics {
    let mut told = Statistics::default();
    while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk() {
        let length = usize::from(order.u16([l0, l1]));
        let Some(value) = rest.get(..length) else { break };
        match (order.u16([c0, c1]), value.first_chunk()) {
            (END, _) => break,
            (ISB_ENDTIME, Some(&[h0, h1, h2, h3, t0, t1, t2, t3])) => {
                let ticks = u64::from(order.u32([h0, h1, h2, h3])) << 32 | u64::from(order.u32([t0, t1, t2, t3]));
                told.until_ns = Some(clock.time_ns(ticks));
            }
            (ISB_IFDROP | ISB_OSDROP, Some(count)) => {
                told.dropped = told.dropped.saturating_add(u64::try_from(order.i64(*count)).unwrap_or(0));
            }
            _ => {}
        }
        options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(resolution: u8) -> Clock {
        let mut clock = Clock::default();
        clock.set_resolution(resolution);
        clock
    }

    #[test]
    fn every_resolution_becomes_nanoseconds() {
        assert_eq!(Clock::default().time_ns(3), 3_000);
        assert_eq!(clock(0).time_ns(3), 3_000_000_000);
        assert_eq!(clock(9).time_ns(3), 3);
        assert_eq!(clock(12).time_ns(3_999), 3);
        assert_eq!(clock(127).time_ns(u64::MAX / 2), 0);
        assert_eq!(clock(0x80 | 10).time_ns(512), 500_000_000);
        assert_eq!(clock(0xff).time_ns(u64::MAX), 0);
    }

    #[test]
    fn times_saturate() {
        assert_eq!(clock(0).time_ns(u64::MAX), i64::MAX);
        let early = Clock { offset_seconds: i64::MIN, ..clock(9) };
        assert_eq!(early.time_ns(1), i64::MIN);
    }

    #[test]
    fn name_resolution_and_offset_are_read() {
        let options = [
            2, 0, 5, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0, // if_name, padded
            3, 0, 3, 0, b'L', b'A', b'N', 0, // if_description, padded
            9, 0, 1, 0, 9, 0, 0, 0, // if_tsresol
            14, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, // if_tsoffset
            0, 0, 0, 0, 9, 0, 1, 0, 3,
        ];
        let (labels, clock) = interface_options(ByteOrder::Little, &options);
        assert_eq!(labels, Labels { name: Some("eth0".to_owned()), description: Some("LAN".to_owned()) });
        assert_eq!(clock.time_ns(7), 2_000_000_007);
    }

    #[test]
    fn cut_options_end_the_list() {
        let (labels, clock) = interface_options(ByteOrder::Little, &[2, 0, 200, 0, b'e']);
        assert_eq!((labels, clock), (Labels::default(), Clock::default()));
    }
}
