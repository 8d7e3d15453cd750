//! Captured bytes in, tables out.
//!
//! The core opens no file, reads no clock and knows no rule: the caller hands over bytes and
//! gets rows. However the bytes are split, the rows are the same.
#![forbid(unsafe_code)]

pub mod compression;
pub mod container;
pub mod decode;
pub mod engine;
pub mod flow;
pub mod issue;
pub mod message;
pub mod selection;
mod sink;
pub mod table;
