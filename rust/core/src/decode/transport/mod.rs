//! Transport layers, and the errors about them.

pub(super) mod icmp;
mod quote;
pub(super) mod tcp;
mod tcp_option;
pub(super) mod udp;
