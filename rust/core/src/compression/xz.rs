//! xz files of one or more streams, padding between them included.

use super::algorithm::{Algorithm, PIECE};
use liblzma::stream::{Action, CONCATENATED, Status, Stream};

/// Enough for every preset of xz (-9 needs 65 MiB).
const MEMORY_LIMIT: u64 = 256 * 1024 * 1024;

pub(super) struct Xz {
    stream: Stream,
    output: Vec<u8>,
}

impl Xz {
    pub(super) fn new() -> Result<Self, String> {
        let stream = Stream::new_stream_decoder(MEMORY_LIMIT, CONCATENATED).map_err(|error| error.to_string())?;
        Ok(Xz { stream, output: vec![0; PIECE] })
    }

    /// Whether the end of the last stream was met.
    fn run(&mut self, mut data: &[u8], action: Action, out: &mut dyn FnMut(&[u8])) -> Result<bool, String> {
        loop {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let result = self.stream.process(data, &mut self.output, action);
            let read = self.stream.total_in().wrapping_sub(read) as usize;
            let written = self.stream.total_out().wrapping_sub(written) as usize;
            data = data.get(read..).unwrap_or_default();
            let bytes = self.output.get(..written).unwrap_or_default();
            if !bytes.is_empty() {
                out(bytes);
            }
            match result.map_err(|error| error.to_string())? {
                Status::StreamEnd => return Ok(true),
                _ if data.is_empty() && written < PIECE => return Ok(false),
                _ if read == 0 && written == 0 => return Ok(false),
                _ => {}
            }
        }
    }
}

impl Algorithm for Xz {
    fn feed(&mut self, data: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        self.run(data, Action::Run, out).map(|_| ())
    }

    fn finish(&mut self, out: &mut dyn FnMut(&[u8])) -> bool {
        self.run(&[], Action::Finish, out).unwrap_or(false)
    }
}
