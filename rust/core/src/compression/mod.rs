//! Compressed captures as streams: bytes in, decompressed bytes out, found by content and not by name.

mod algorithm;
mod decompressor;
mod gzip;
mod lz4;
mod lz4_frame;
mod xz;
mod zstd;

pub use decompressor::Decompressor;
