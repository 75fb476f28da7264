//! The lines of all containers in the order in which they came: kept on disk, bounded, and handed to the broker.
//!
//! A restarted agent plays the tape from its beginning, which gives the same bytes at the same offsets, and then goes on where
//! it ends. Without the tape, in a state directory that did not survive, the logs are read again from their beginning.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use brokkr_api::stream;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::output::OutputSink;

/// The file in the directory of an attempt.
const FILE: &str = "tape.jsonl";
/// What a frame in memory takes beside its text, roughly.
const FRAME_BYTES: u64 = 256;
/// The most that is kept of the end of an output, which has to fit into memory.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;

/// One container of one pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) pod: String,
    pub(super) container: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod, self.container)
    }
}

/// Something that happened to the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    /// A line of a container, or a part of one.
    Line {
        source: Source,
        /// Which run of the container printed it.
        run: i32,
        at: DateTime<Utc>,
        /// Without the end of the line.
        text: String,
        /// The line ends here.
        ends: bool,
    },
    /// Lines of a container are gone.
    Gap { source: Source, at: DateTime<Utc> },
    /// So many bytes were left out, to keep the output bounded.
    Omitted { bytes: u64, at: DateTime<Utc> },
}

/// Takes frames.
pub(super) struct Tape {
    output: OutputSink,
    file: Option<File>,
    /// Whose output came last.
    source: Option<Source>,
    /// It ended in the middle of a line.
    is_mid_line: bool,
    head_room: u64,
    tail_room: u64,
    head_closed: bool,
    tail: VecDeque<Frame>,
    tail_bytes: u64,
    omitted_bytes: u64,
}

impl Tape {
    /// An empty tape that is kept nowhere, for an output of which at most so many bytes are handed on.
    pub(super) fn blank(output: OutputSink, bytes_max: u64) -> Self {
        // Both ends of an output are what people look at.
        let tail_room = (bytes_max / 16).min(TAIL_BYTES_MAX);
        Self {
            output,
            file: None,
            source: None,
            is_mid_line: false,
            head_room: bytes_max - tail_room,
            tail_room,
            head_closed: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            omitted_bytes: 0,
        }
    }

    /// Keeps it in a directory from now on, which is made when it does not exist, and plays what is there. Answers that too.
    pub(super) async fn load(&mut self, directory: &Path) -> Vec<Frame> {
        match load(directory) {
            Ok((file, frames)) => {
                let bytes: u64 = frames.iter().map(size).sum();
                self.head_room = self.head_room.saturating_sub(bytes);
                self.play(&frames).await;
                self.file = Some(file);
                frames
            }
            Err(error) => {
                warn!(path = %directory.display(), %error, "the output cannot be kept on disk: after a restart it is read again");
                Vec::new()
            }
        }
    }

    /// Takes frames that belong together.
    pub(super) async fn add(&mut self, frames: Vec<Frame>) {
        let mut fitting = Vec::new();
        for frame in frames {
            let size = size(&frame);
            self.head_closed |= self.head_room < size;
            if self.head_closed {
                self.tail_bytes += size;
                self.tail.push_back(frame);
                self.cut_tail();
            } else {
                self.head_room -= size;
                fitting.push(frame);
            }
        }
        self.keep(&fitting);
        self.play(&fitting).await;
    }

    fn cut_tail(&mut self) {
        let memory_max = 8 * TAIL_BYTES_MAX;
        while (self.tail_bytes > self.tail_room || self.tail.len() as u64 * FRAME_BYTES > memory_max)
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_bytes -= size(&oldest);
            self.omitted_bytes += size(&oldest);
        }
    }

    /// Plays what was held back.
    pub(super) async fn finish(&mut self, at: DateTime<Utc>) {
        let mut frames = Vec::new();
        if self.omitted_bytes > 0 {
            frames.push(Frame::Omitted {
                bytes: self.omitted_bytes,
                at,
            });
        }
        frames.extend(std::mem::take(&mut self.tail));
        self.keep(&frames);
        self.play(&frames).await;
    }

    /// What cannot be kept is only played.
    fn keep(&mut self, frames: &[Frame]) {
        let Some(file) = self.file.as_mut().filter(|_| !frames.is_empty()) else {
            return;
        };
        let mut text = Vec::new();
        for frame in frames {
            if serde_json::to_writer(&mut text, frame).is_ok() {
                text.push(b'\n');
            }
        }
        if let Err(error) = file.write_all(&text) {
            warn!(%error, "output could not be kept on disk: after a restart it is read again");
            self.file = None;
        }
    }

    async fn play(&mut self, frames: &[Frame]) {
        let mut pending = None;
        for frame in frames {
            match frame {
                Frame::Line {
                    source,
                    at,
                    text,
                    ends,
                    ..
                } => {
                    if self.source.as_ref() != Some(source) {
                        self.push(pending.take()).await;
                        let header = format!("==> {source} <==\n");
                        self.say(*at, header).await;
                        self.source = Some(source.clone());
                    }
                    let (_, lines) = pending.get_or_insert_with(|| (*at, String::new()));
                    lines.push_str(text);
                    if *ends {
                        lines.push('\n');
                    }
                    self.is_mid_line = !ends;
                }
                Frame::Gap { source, at } => {
                    self.push(pending.take()).await;
                    let marker =
                        format!("[output of {source} is missing here: its node does not have it any more]\n");
                    self.say(*at, marker).await;
                }
                Frame::Omitted { bytes, at } => {
                    self.push(pending.take()).await;
                    let marker = format!("[{bytes} bytes of output were left out here]\n");
                    self.say(*at, marker).await;
                }
            }
        }
        self.push(pending).await;
    }

    /// Adds a line of our own.
    async fn say(&mut self, at: DateTime<Utc>, line: String) {
        let line = match std::mem::take(&mut self.is_mid_line) {
            true => format!("\n{line}"),
            false => line,
        };
        self.output.push(stream::SYSTEM, at, line).await;
    }

    async fn push(&self, lines: Option<(DateTime<Utc>, String)>) {
        if let Some((at, lines)) = lines {
            self.output.push(stream::STDOUT, at, lines).await;
        }
    }
}

fn size(frame: &Frame) -> u64 {
    match frame {
        Frame::Line { text, ends, .. } => text.len() as u64 + u64::from(*ends),
        Frame::Gap { .. } | Frame::Omitted { .. } => 0,
    }
}

/// The file, ready for more, and the frames in it. A last one that was not written to its end is cut off.
fn load(directory: &Path) -> io::Result<(File, Vec<Frame>)> {
    fs::create_dir_all(directory)?;
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(directory.join(FILE))?;
    let mut frames = Vec::new();
    let mut length = 0;
    let mut reader = BufReader::new(&file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let Ok(frame) = serde_json::from_slice::<Frame>(&line) else {
            break;
        };
        if line.last() != Some(&b'\n') {
            break;
        }
        length += line.len() as u64;
        frames.push(frame);
        line.clear();
    }
    file.set_len(length)?;
    Ok((file, frames))
}

#[cfg(test)]
mod tests;
