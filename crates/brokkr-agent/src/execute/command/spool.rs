//! The file in which a supervisor keeps a command's output, in the order in which it came, until the broker has it.
//!
//! A frame is `stream: u8, at: i64 microseconds, length: u32, bytes`, little-endian. The beginning of the output goes to the
//! file at once. When the file is full, the newest output is kept in memory, and follows when the command has ended,
//! behind a gap frame that says how many bytes are missing in between: both ends of an output are what people look at.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use chrono::{DateTime, Utc};

/// The most payload bytes of one frame.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024;
const HEADER_BYTES: usize = 13;
/// How much is read at once.
const READ_BYTES: usize = 8 * (FRAME_BYTES_MAX + HEADER_BYTES);

/// Where a frame's bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Stdout,
    Stderr,
    /// Not output: the payload is the number of bytes that were left out, as a `u64`.
    Gap,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) origin: Origin,
    pub(crate) at: DateTime<Utc>,
    pub(crate) bytes: Vec<u8>,
}

/// How much output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Caps {
    /// Bytes from the beginning.
    pub(crate) head_bytes: u64,
    /// Bytes from the end.
    pub(crate) tail_bytes: u64,
}

/// The supervisor's side.
pub(crate) struct SpoolWriter {
    file: File,
    length: u64,
    caps: Caps,
    head_bytes: u64,
    tail: VecDeque<Frame>,
    tail_bytes: u64,
    omitted_bytes: u64,
    head_closed: bool,
}

impl SpoolWriter {
    pub(crate) fn create(path: &Path, caps: Caps) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let (tail, head_bytes, tail_bytes) = (VecDeque::new(), 0, 0);
        Ok(Self {
            file,
            length: 0,
            caps,
            head_bytes,
            tail,
            tail_bytes,
            omitted_bytes: 0,
            head_closed: false,
        })
    }

    /// Keeps the frame. A disk that takes no more is treated like a cap that is reached.
    pub(crate) fn append(&mut self, frame: Frame) {
        let size = frame.bytes.len() as u64;
        self.head_closed |= self.head_bytes + size > self.caps.head_bytes;
        if !self.head_closed {
            if self.write(&frame).is_ok() {
                self.head_bytes += size;
                return;
            }
            self.head_closed = true;
        }
        self.tail_bytes += size;
        self.tail.push_back(frame);
        self.cut_tail();
    }

    fn cut_tail(&mut self) {
        while let Some(excess) = self
            .tail_bytes
            .checked_sub(self.caps.tail_bytes)
            .filter(|excess| *excess > 0)
        {
            let Some(oldest) = self.tail.front_mut() else {
                break;
            };
            let cut = oldest
                .bytes
                .len()
                .min(usize::try_from(excess).unwrap_or(usize::MAX));
            oldest.bytes.drain(..cut);
            if oldest.bytes.is_empty() {
                self.tail.pop_front();
            }
            self.tail_bytes -= cut as u64;
            self.omitted_bytes += cut as u64;
        }
    }

    /// Writes what was kept back. Answers how many bytes are missing.
    pub(crate) fn finish(mut self, at: DateTime<Utc>) -> u64 {
        let gap = Frame {
            origin: Origin::Gap,
            at,
            bytes: self.omitted_bytes.to_le_bytes().to_vec(),
        };
        if self.omitted_bytes > 0 && self.write(&gap).is_err() {
            return self.omitted_bytes + self.tail_bytes;
        }
        let mut unwritten = 0;
        for frame in std::mem::take(&mut self.tail) {
            if unwritten > 0 || self.write(&frame).is_err() {
                unwritten += frame.bytes.len() as u64;
            }
        }
        // What is lost when the host dies now is output, not the outcome.
        let _ = self.file.sync_data();
        self.omitted_bytes + unwritten
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        let encoded = encode(frame);
        if let Err(error) = self.file.write_all_at(&encoded, self.length) {
            // A torn frame would make everything behind it unreadable.
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += encoded.len() as u64;
        self.file.flush()
    }
}

/// The agent's side. Follows the file while it grows.
#[derive(Debug)]
pub(crate) struct SpoolReader {
    file: File,
    position: u64,
}

/// A spool whose bytes make no frames: it was damaged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("could not read the kept output")]
    Read(#[from] io::Error),
    #[error("the kept output is damaged at byte {0}")]
    Damaged(u64),
}

impl SpoolReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            position: 0,
        })
    }

    /// The complete frames that come next; none at the present end of the file.
    pub(crate) fn read(&mut self) -> Result<Vec<Frame>, SpoolError> {
        let mut buffer = vec![0; READ_BYTES];
        let filled = self.file.read_at(&mut buffer, self.position)?;
        let mut rest = &buffer[..filled];
        let mut frames = Vec::new();
        while let Some((frame, size)) = decode(rest).map_err(|()| SpoolError::Damaged(self.position))? {
            frames.push(frame);
            self.position += size as u64;
            rest = &rest[size..];
        }
        Ok(frames)
    }
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(HEADER_BYTES + frame.bytes.len());
    encoded.push(match frame.origin {
        Origin::Gap => 0,
        Origin::Stdout => 1,
        Origin::Stderr => 2,
    });
    encoded.extend(frame.at.timestamp_micros().to_le_bytes());
    encoded.extend((frame.bytes.len() as u32).to_le_bytes());
    encoded.extend(&frame.bytes);
    encoded
}

/// The first frame and its size, or nothing while it is incomplete.
fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, ()> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let [origin, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
    let origin = match origin {
        0 => Origin::Gap,
        1 => Origin::Stdout,
        2 => Origin::Stderr,
        _ => return Err(()),
    };
    let micros = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    let at = DateTime::from_timestamp_micros(micros).ok_or(())?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(());
    }
    let frame = rest.get(..length).map(|payload| Frame {
        origin,
        at,
        bytes: payload.to_vec(),
    });
    Ok(frame.map(|frame| (frame, HEADER_BYTES + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps {
        head_bytes: 10,
        tail_bytes: 6,
    };

    fn frame(origin: Origin, text: &str) -> Frame {
        Frame {
            origin,
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            bytes: text.into(),
        }
    }

    fn texts(frames: &[Frame]) -> Vec<String> {
        frames
            .iter()
            .map(|frame| String::from_utf8_lossy(&frame.bytes).into_owned())
            .collect()
    }

    #[test]
    fn frames_are_read_as_they_were_written_even_while_the_file_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool");
        let mut writer = SpoolWriter::create(&path, CAPS).unwrap();
        let mut reader = SpoolReader::open(&path).unwrap();
        assert_eq!(reader.read().unwrap(), []);
        writer.append(frame(Origin::Stdout, "out"));
        writer.append(frame(Origin::Stderr, "err"));
        assert_eq!(
            reader.read().unwrap(),
            [frame(Origin::Stdout, "out"), frame(Origin::Stderr, "err")]
        );
        assert_eq!(writer.finish(DateTime::UNIX_EPOCH), 0);
        assert_eq!(reader.read().unwrap(), []);
    }

    #[test]
    fn an_incomplete_frame_is_not_there_yet() {
        let encoded = encode(&frame(Origin::Stdout, "hello"));
        for cut in 0..encoded.len() {
            assert_eq!(decode(&encoded[..cut]), Ok(None));
        }
        assert!(decode(&encoded).unwrap().is_some());
    }

    #[test]
    fn beyond_the_cap_both_ends_stay_and_the_gap_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool");
        let mut writer = SpoolWriter::create(&path, CAPS).unwrap();
        for text in ["aaaaa", "bbbbb", "ccccc", "dddd", "eee"] {
            writer.append(frame(Origin::Stdout, text));
        }
        assert_eq!(writer.finish(DateTime::UNIX_EPOCH), 6);
        let frames = SpoolReader::open(&path).unwrap().read().unwrap();
        assert_eq!(frames[2].origin, Origin::Gap);
        assert_eq!(frames[2].bytes, 6_u64.to_le_bytes());
        assert_eq!(
            texts(&[&frames[..2], &frames[3..]].concat()),
            ["aaaaa", "bbbbb", "ddd", "eee"]
        );
    }

    #[test]
    fn what_fits_behind_a_full_head_leaves_no_gap() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool");
        let mut writer = SpoolWriter::create(&path, CAPS).unwrap();
        writer.append(frame(Origin::Stdout, "aaaaaaaaa"));
        writer.append(frame(Origin::Stdout, "bbb"));
        assert_eq!(writer.finish(DateTime::UNIX_EPOCH), 0);
        assert_eq!(
            texts(&SpoolReader::open(&path).unwrap().read().unwrap()),
            ["aaaaaaaaa", "bbb"]
        );
    }

    #[test]
    fn damage_is_told_and_not_read_as_output() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool");
        std::fs::write(&path, [7; 40]).unwrap();
        assert!(matches!(
            SpoolReader::open(&path).unwrap().read(),
            Err(SpoolError::Damaged(0))
        ));
    }
}
