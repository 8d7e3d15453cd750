//! Packets to flows: the key, the two halves, TCP analysis, events.

pub mod addresses;
pub mod community;
mod copies;
pub mod digest;
pub mod events;
pub mod half;
pub mod key;
pub mod messages;
pub mod record;
mod segment;
pub mod sequence;
pub mod state;
pub mod stream;
pub mod tcp;
pub mod tracker;
