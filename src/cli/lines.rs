//! Lines of a file, read by a thread ahead of who takes them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use tokio::sync::mpsc;

/// Longest line, in bytes: the longest body of a request.
pub(super) const LONGEST_LINE: usize = 64 * 1024;
/// Most lines of a chunk.
const LINES: usize = 500;
/// From how many bytes on a chunk takes no further line.
const BYTES: usize = 4 * 1024 * 1024;

/// A line that is not blank.
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// What it says; `None` where it is too long.
    pub(super) text: Option<Vec<u8>>,
}

/// Lines, and how many bytes of the file end with them.
pub(super) struct Chunk {
    pub(super) lines: Vec<Line>,
    pub(super) end: u64,
}

/// Reads a file, or standard input; its length, where it has one.
pub(super) fn read(
    source: Option<&Path>,
) -> io::Result<(mpsc::Receiver<io::Result<Chunk>>, Option<u64>)> {
    let (reader, length): (Box<dyn BufRead + Send>, _) = match source {
        None => (Box::new(BufReader::new(io::stdin())), None),
        Some(path) => {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            (Box::new(BufReader::with_capacity(256 * 1024, file)), Some(length))
        }
    };
    let (chunks, taken) = mpsc::channel(1);
    std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
        let mut lines = Lines { reader, number: 0, end: 0 };
        loop {
            let chunk = lines.chunk();
            let last = !matches!(&chunk, Ok(chunk) if !chunk.lines.is_empty());
            if matches!(&chunk, Ok(chunk) if chunk.lines.is_empty())
                || chunks.blocking_send(chunk).is_err()
                || last
            {
                return;
            }
        }
    })?;
    Ok((taken, length))
}

struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    end: u64,
}

impl Lines {
    /// The next lines; none at the end.
    fn chunk(&mut self) -> io::Result<Chunk> {
        let (mut lines, mut bytes) = (Vec::with_capacity(LINES), 0);
        while lines.len() < LINES && bytes < BYTES {
            let Some(line) = self.line()? else { break };
            bytes += line.text.as_ref().map_or(0, Vec::len);
            if line.text.as_ref().is_none_or(|text| !text.trim_ascii().is_empty()) {
                lines.push(line);
            }
        }
        Ok(Chunk { lines, end: self.end })
    }

    /// The next line, blank or not; of one that is too long only so much is held.
    fn line(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut read_any = false;
        loop {
            let buffered = self.reader.fill_buf()?;
            if buffered.is_empty() {
                break;
            }
            read_any = true;
            let newline = buffered.iter().position(|byte| *byte == b'\n');
            let part = &buffered[..newline.unwrap_or(buffered.len())];
            let room = (LONGEST_LINE + 1).saturating_sub(text.len());
            text.extend_from_slice(&part[..part.len().min(room)]);
            let used = part.len() + usize::from(newline.is_some());
            self.reader.consume(used);
            self.end += used as u64;
            if newline.is_some() {
                break;
            }
        }
        if !read_any {
            return Ok(None);
        }
        self.number += 1;
        let text = (text.len() <= LONGEST_LINE).then_some(text);
        Ok(Some(Line { number: self.number, text }))
    }
}
