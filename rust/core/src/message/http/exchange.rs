//! What the two halves of a connection must know of each other.

/// Requests told apart; of those further back in a pipeline nothing is remembered.
const REMEMBERED: u32 = 32;

/// What a request asked for, as far as its response's length depends on it (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Other = 0,
    Head = 1,
    Connect = 2,
}

impl Asked {
    pub(super) fn by(method: &str) -> Asked {
        match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        }
    }
}

/// Requests that wait for their response: one per connection, given to the parsers of both halves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Two bits each, the oldest lowest.
    asked: u64,
    waiting: u32,
    /// The server changed the protocol (RFC 9110, section 15.2.2).
    pub(super) switched: bool,
}

impl Exchange {
    pub(super) fn push(&mut self, asked: Asked) {
        if self.waiting < REMEMBERED {
            self.asked |= (asked as u64) << (2 * self.waiting);
        }
        self.waiting = self.waiting.saturating_add(1);
    }

    /// The request that the next response answers; one that was never seen counts as [`Asked::Other`].
    pub(super) fn pop(&mut self) -> Asked {
        let asked = match self.asked & 3 {
            1 => Asked::Head,
            2 => Asked::Connect,
            _ => Asked::Other,
        };
        self.asked >>= 2;
        self.waiting = self.waiting.saturating_sub(1);
        asked
    }

    /// Responses were missed: without pipelining the next one answers the newest request.
    pub(super) fn keep_newest(&mut self) {
        if self.waiting > REMEMBERED {
            *self = Exchange { switched: self.switched, ..Exchange::default() };
        }
        while self.waiting > 1 {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_in_order() {
        let mut exchange = Exchange::default();
        assert_eq!(exchange.pop(), Asked::Other);
        for method in ["GET", "HEAD", "CONNECT"] {
            exchange.push(Asked::by(method));
        }
        assert_eq!([exchange.pop(), exchange.pop(), exchange.pop()], [Asked::Other, Asked::Head, Asked::Connect]);
        assert_eq!(exchange, Exchange::default());
    }

    #[test]
    fn missed_responses_leave_the_newest_request() {
        let mut exchange = Exchange::default();
        for method in ["GET", "GET", "HEAD"] {
            exchange.push(Asked::by(method));
        }
        exchange.keep_newest();
        assert_eq!((exchange.waiting, exchange.pop()), (1, Asked::Head));
    }

    #[test]
    fn a_long_pipeline_is_bounded() {
        let mut exchange = Exchange::default();
        for _ in 0..100 {
            exchange.push(Asked::Head);
        }
        let heads = (0..100).filter(|_| exchange.pop() == Asked::Head).count();
        assert_eq!((heads, exchange.waiting), (REMEMBERED as usize, 0));
        exchange.push(Asked::Head);
        assert_eq!(exchange.pop(), Asked::Head);
    }
}
