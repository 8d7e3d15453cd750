//! Zeek's names for how a connection went: `conn_state` and `history`
//! (Zeek manual, base/protocols/conn/main.zeek).

use crate::decode::packet::{Packet, flag};

/// Longest history: every letter once per half.
const LONGEST: usize = 18;

/// What each half did, as one bit per letter, and the letters in the order they first came.
#[derive(Debug, Clone, Default)]
pub struct History {
    letters: [u8; LONGEST],
    length: u8,
    seen: [u16; 2],
    /// The initiator was found out only from the answer, not from its own SYN.
    orig_fin_first: bool,
    any_fin: bool,
}

const SYN: u16 = 1;
const SYN_ACK: u16 = 1 << 1;
const ACK: u16 = 1 << 2;
const DATA: u16 = 1 << 3;
const FIN: u16 = 1 << 4;
const RST: u16 = 1 << 5;
const CONTENT_GAP: u16 = 1 << 6;
const RETRANSMISSION: u16 = 1 << 7;
const ZERO_WINDOW: u16 = 1 << 8;

/// Letters by bit; upper case stands for the initiator. Zeek writes a lone SYN as S and a SYN-ACK as h.
const LETTERS: [u8; 9] = *b"shadfrgtw";

impl History {
    /// Takes one TCP segment of `half` (0 from the initiator).
    #[inline]
    pub fn segment(&mut self, half: usize, packet: &Packet) {
        let flags = packet.flags;
        if flags & flag::SYN != 0 {
            self.note(half, if flags & flag::ACK != 0 { SYN_ACK } else { SYN });
        } else if flags & flag::ACK != 0 && packet.payload_length == 0 && flags & (flag::FIN | flag::RST) == 0 {
            self.note(half, ACK);
        }
        if packet.payload_length > 0 {
            self.note(half, DATA);
        }
        if flags & flag::FIN != 0 {
            if !self.any_fin {
                self.any_fin = true;
                self.orig_fin_first = half == 0;
            }
            self.note(half, FIN);
        }
        if flags & flag::RST != 0 {
            self.note(half, RST);
        }
    }

    pub fn gap(&mut self, half: usize) {
        self.note(half, CONTENT_GAP);
    }

    pub fn retransmission(&mut self, half: usize) {
        self.note(half, RETRANSMISSION);
    }

    pub fn zero_window(&mut self, half: usize) {
        self.note(half, ZERO_WINDOW);
    }

    /// Data of a protocol without connections (UDP, ICMP).
    #[inline]
    pub fn datagram(&mut self, half: usize) {
        self.note(half, DATA);
    }

    #[inline]
    fn note(&mut self, half: usize, what: u16) {
        if self.seen[half] & what != 0 {
            return;
        }
        self.seen[half] |= what;
        if usize::from(self.length) < LONGEST {
            let letter = LETTERS[what.trailing_zeros() as usize];
            self.letters[usize::from(self.length)] = if half == 0 { letter.to_ascii_uppercase() } else { letter };
            self.length += 1;
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.letters[..usize::from(self.length)]).unwrap_or("")
    }

    /// Zeek's `conn_state` of a TCP connection.
    pub fn tcp_state(&self) -> &'static str {
        let [orig, resp] = self.seen;
        let both = |what: u16| orig & what != 0 && resp & what != 0;
        if orig & SYN == 0 {
            if resp & SYN_ACK == 0 {
                return "OTH";
            }
            if resp & RST != 0 {
                return "RSTRH";
            }
            if resp & FIN != 0 && orig == 0 {
                return "SHR";
            }
            return "OTH";
        }
        if resp & SYN_ACK == 0 {
            if resp & RST != 0 {
                return "REJ";
            }
            if orig & RST != 0 {
                return "RSTOS0";
            }
            if orig & FIN != 0 {
                return "SH";
            }
            return if resp & (ACK | DATA | FIN) != 0 { "OTH" } else { "S0" };
        }
        if both(FIN) {
            return "SF";
        }
        if orig & RST != 0 {
            return "RSTO";
        }
        if resp & RST != 0 {
            return "RSTR";
        }
        if self.any_fin {
            return if self.orig_fin_first { "S2" } else { "S3" };
        }
        "S1"
    }

    /// Zeek's `conn_state` of a flow without connections: answered, unanswered, or only answers.
    pub fn datagram_state(&self) -> &'static str {
        match self.seen {
            [0, _] => "SHR",
            [_, 0] => "S0",
            _ => "SF",
        }
    }

    /// The connection is over as far as its packets tell.
    pub fn closed(&self) -> bool {
        self.seen[0] & self.seen[1] & FIN != 0 || (self.seen[0] | self.seen[1]) & RST != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(steps: &[(usize, u8, u32)]) -> (String, &'static str) {
        let mut history = History::default();
        for &(half, flags, payload_length) in steps {
            history.segment(half, &Packet { flags, payload_length, ..Packet::default() });
        }
        (history.text().to_owned(), history.tcp_state())
    }

    #[test]
    fn zeeks_names() {
        use flag::{ACK as A, FIN as F, RST as R, SYN as S};
        let full = [(0, S, 0), (1, S | A, 0), (0, A, 0), (0, A, 5), (1, A, 0), (1, A, 9), (0, F | A, 0), (1, F | A, 0)];
        assert_eq!(play(&full), ("ShADadFf".into(), "SF"));
        assert_eq!(play(&full[..1]), ("S".into(), "S0"));
        assert_eq!(play(&full[..4]).1, "S1");
        assert_eq!(play(&full[..7]).1, "S2");
        assert_eq!(play(&[(0, S, 0), (1, R | A, 0)]), ("Sr".into(), "REJ"));
        assert_eq!(play(&[(0, S, 0), (0, R, 0)]).1, "RSTOS0");
        assert_eq!(play(&[(1, S | A, 0), (1, R, 0)]).1, "RSTRH");
        assert_eq!(play(&[(0, A, 3)]).1, "OTH");
        assert_eq!(play(&[(0, S, 0), (1, S | A, 0), (0, A, 0), (1, R, 0)]).1, "RSTR");
    }
}
