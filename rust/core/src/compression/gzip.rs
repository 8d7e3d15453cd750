//! gzip files (RFC 1952) of one or more members.

use super::algorithm::{Algorithm, PIECE};
use flate2::{Decompress, FlushDecompress, Status};

const WINDOW_BITS: u8 = 15;

pub(super) struct Gzip {
    /// `None` between members.
    member: Option<Decompress>,
    output: Vec<u8>,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Gzip { member: Some(Decompress::new_gzip(WINDOW_BITS)), output: vec![0; PIECE] }
    }
}

impl Algorithm for Gzip {
    fn feed(&mut self, mut data: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        loop {
            let Some(member) = &mut self.member else {
                // Tapes and some writers pad with zeros; anything else has to be the next member.
                let padding = data.iter().take_while(|byte| **byte == 0).count();
                data = data.get(padding..).unwrap_or_default();
                if data.is_empty() {
                    return Ok(());
                }
                self.member = Some(Decompress::new_gzip(WINDOW_BITS));
                continue;
            };
            let (read, written) = (member.total_in(), member.total_out());
            let result = member.decompress(data, &mut self.output, FlushDecompress::None);
            let read = (member.total_in() - read) as usize;
            let written = (member.total_out() - written) as usize;
            data = data.get(read..).unwrap_or_default();
            let bytes = self.output.get(..written).unwrap_or_default();
            if !bytes.is_empty() {
                out(bytes);
            }
            match result {
                Err(error) => return Err(error.to_string()),
                Ok(Status::StreamEnd) => self.member = None,
                // Room in the output means that nothing is held back.
                Ok(_) if data.is_empty() && written < PIECE => return Ok(()),
                Ok(_) if read == 0 && written == 0 => return Err(String::from("no progress")),
                Ok(_) => {}
            }
        }
    }

    fn finish(&mut self, _out: &mut dyn FnMut(&[u8])) -> bool {
        self.member.is_none()
    }
}
