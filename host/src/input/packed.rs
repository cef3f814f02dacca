//! gzip and zstd, taken off as the bytes come: nothing is held but the decoder's window, and what comes out is bounded by the
//! same limits as any input.

use std::io::{BufRead, Read};

/// How a stream is packed, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A frame, or one to be skipped that stands before it (RFC 8878, sections 3.1.1 and 3.1.2).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// All members or frames, one after the other.
    pub(super) fn unpack(self, packed: Box<dyn BufRead + Send>) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(Unpacked { inner: flate2::bufread::MultiGzDecoder::new(packed), packing: self }),
            Self::Zstd => {
                Box::new(Unpacked { inner: zstd::stream::read::Decoder::with_buffer(packed)?, packing: self })
            }
        })
    }
}

/// Tells what a decoder's error means for a person.
struct Unpacked<R> {
    inner: R,
    packing: Packing,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            // What the system reports is no fault of the stream.
            if error.raw_os_error().is_some() || error.kind() == std::io::ErrorKind::Interrupted {
                return error;
            }
            std::io::Error::other(format!(
                "its {} stream is cut off or damaged ({error}): fetch it again, or pack it anew",
                self.packing.name()
            ))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::input::tests::{options, read};
    use crate::input::{Format, InputError, LINE_BYTES_MAX, Record, open};
    use proptest::prelude::*;
    use std::io::{Cursor, Write};

    pub(in crate::input) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 0).unwrap();
        // As the command does; without it damage can pass for content.
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_input_is_the_input_in_however_many_members() {
        let (one, two) = (&b"{\"id\":1}\n{\"i"[..], &b"d\":2}\n"[..]);
        let plain = read(&[one, two].concat(), &options(Format::JsonLines)).unwrap();
        for packed in [
            gzip(&[one, two].concat()),
            [gzip(one), gzip(b""), gzip(two)].concat(),
            zstd(&[one, two].concat()),
            [zstd(one), zstd(two)].concat(),
            [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7][..], &zstd(&[one, two].concat())].concat(),
        ] {
            assert_eq!(read(&packed, &options(Format::JsonLines)).unwrap(), plain);
        }
    }

    fn check_broken(packed: Vec<u8>, kind: &str) {
        let mut records = open(Box::new(Cursor::new(packed)), "in.x.gz", &options(Format::Lines)).unwrap();
        let mut before = 0;
        let error = loop {
            match records.next() {
                Some(Ok(_)) => before += 1,
                Some(Err(error)) => break error.to_string(),
                None => panic!("a damaged stream is no end"),
            }
        };
        assert!(before > 0, "what came before counts");
        let said = format!("cannot read in.x.gz: its {kind} stream is cut off or damaged");
        assert!(error.starts_with(&said), "{error}");
        assert!(records.next().is_none());
    }

    /// Lines that do not pack well, so that their stream has many blocks.
    fn noise() -> Vec<u8> {
        use sha2::{Digest, Sha256};
        (0..40_000_u32).flat_map(|n| (hex::encode(Sha256::digest(n.to_le_bytes())) + "\n").into_bytes()).collect()
    }

    #[test]
    fn a_stream_that_is_cut_off_or_damaged_gives_what_came_before_and_then_an_error() {
        for (packed, kind) in [(gzip(&noise()), "gzip"), (zstd(&noise()), "zstd")] {
            check_broken(packed[..packed.len() - 3].to_vec(), kind);
            check_broken(packed[..packed.len() * 2 / 3].to_vec(), kind);
            let mut damaged = packed;
            let middle = damaged.len() * 2 / 3;
            damaged[middle..middle + 64].fill(0xFF);
            check_broken(damaged, kind);
        }
    }

    #[test]
    fn what_swells_into_one_endless_line_is_one_bad_record() {
        let bomb = [&b"a\n"[..], &vec![b'x'; LINE_BYTES_MAX + 10], b"\nb\n"].concat();
        let packed = gzip(&bomb);
        assert!(packed.len() < bomb.len() / 500);
        let records: Vec<Record> = read(&packed, &options(Format::Lines)).unwrap();
        assert!(records[1].entry.as_ref().unwrap_err().message.contains("split it"));
        assert_eq!(records.len(), 3);
    }

    proptest! {
        #[test]
        fn no_bytes_behind_a_magic_number_make_a_decoder_panic(bytes: Vec<u8>, is_gzip: bool) {
            let magic: &[u8] = if is_gzip { &[0x1f, 0x8b, 8] } else { &[0x28, 0xb5, 0x2f, 0xfd] };
            match read(&[magic, &bytes].concat(), &options(Format::Lines)) {
                Ok(_) | Err(InputError::Unreadable { .. } | InputError::WrongFormat { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}
