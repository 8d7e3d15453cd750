//! Frames to packets: one file per header.

pub mod packet;
