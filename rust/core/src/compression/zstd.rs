//! Zstandard files (RFC 8878) of one or more frames.

use super::algorithm::{Algorithm, PIECE};
use zstd::stream::raw::{Decoder, Operation};

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    /// How many bytes the decoder wants next; 0 at the end of a frame.
    wanted: usize,
    output: Vec<u8>,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, String> {
        let decoder = Decoder::new().map_err(|error| error.to_string())?;
        Ok(Zstd { decoder, wanted: 0, output: vec![0; PIECE] })
    }
}

impl Algorithm for Zstd {
    fn feed(&mut self, mut data: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let mut held_back = false;
        while !data.is_empty() || held_back {
            // Block by block, because a call that meets damage gives out nothing of the blocks before it.
            let input = data.get(..self.wanted.max(1)).unwrap_or(data);
            let status = self.decoder.run_on_buffers(input, &mut self.output).map_err(|error| error.to_string())?;
            self.wanted = status.remaining;
            data = data.get(status.bytes_read..).unwrap_or_default();
            let bytes = self.output.get(..status.bytes_written).unwrap_or_default();
            if !bytes.is_empty() {
                out(bytes);
            }
            // At the end of a frame all of it has been given out.
            held_back = status.bytes_written == PIECE && status.remaining != 0;
            if status.bytes_read == 0 && status.bytes_written == 0 && !data.is_empty() {
                return Err(String::from("no progress"));
            }
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut dyn FnMut(&[u8])) -> bool {
        self.wanted == 0
    }
}
