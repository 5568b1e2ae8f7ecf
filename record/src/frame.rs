//! Frames of bytes, each with its length and a checksum.

use std::io::{self, Read, Write};

use serde::Serialize;

use crate::RecordError;

/// What every record begins with.
const MAGIC: &[u8; 7] = b"HFREC\n\0";
/// How records are written; raised with every change of what stands in them.
const FORMAT: u8 = 1;
/// Longest payload: what a disk may give back to Raft, and what surrounds it.
const LONGEST: u32 = 130 << 20;
/// Length and checksum.
const OVERHEAD: usize = 8;

/// Writes frames.
pub struct Writer<W> {
    to: W,
    length: u64,
    frame: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a record.
    ///
    /// # Errors
    /// What the writer said; there is no record.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(&[FORMAT])?;
        Ok(Self { to, length: MAGIC.len() as u64 + 1, frame: Vec::new() })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// What the writer said, or that the frame is too long to be read again. The record ends before it, or in it.
    pub fn put(&mut self, what: &impl Serialize) -> io::Result<()> {
        self.frame.clear();
        self.frame.resize(OVERHEAD, 0);
        let frame = std::mem::take(&mut self.frame);
        let mut frame = postcard::to_extend(what, frame).map_err(io::Error::other)?;
        let (head, payload) = frame.split_at_mut(OVERHEAD);
        let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("a frame is too long"))?;
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
        self.to.write_all(&frame)?;
        self.length += frame.len() as u64;
        self.frame = frame;
        Ok(())
    }

    /// Hands on what is buffered below.
    ///
    /// # Errors
    /// What the writer said.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Where it was written to.
    pub fn into_inner(self) -> W {
        self.to
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// A frame that is not whole. What came before it is good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (at byte {at})")]
pub struct Broken {
    /// Where the frame begins.
    pub at: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Reads frames.
pub struct Reader<R> {
    from: R,
    at: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// [`RecordError`]: it is no record, or one of another format.
    pub fn new(mut from: R) -> Result<Self, RecordError> {
        let mut begin = Vec::new();
        let most = MAGIC.len() + 1;
        from.by_ref().take(most as u64).read_to_end(&mut begin).map_err(RecordError::Read)?;
        match begin.strip_prefix(MAGIC) {
            Some([FORMAT]) => Ok(Self { from, at: most as u64 }),
            Some([found, ..]) => Err(RecordError::Format { found: *found, ours: FORMAT }),
            Some([]) | None => Err(RecordError::NoRecord),
        }
    }

    /// The next payload; `None` at an end between two frames. Takes no more memory than there are bytes, whatever a
    /// length says.
    ///
    /// # Errors
    /// [`Broken`]: nothing more can be read.
    pub fn payload(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let at = self.at;
        let broken = |why: String| Broken { at, why };
        let head = self.bytes(OVERHEAD as u64).map_err(|error| broken(error.to_string()))?;
        let (length, sum) = match head.as_slice() {
            [] => return Ok(None),
            [a, b, c, d, sum @ ..] if sum.len() == 4 => (u32::from_le_bytes([*a, *b, *c, *d]), sum),
            _ => return Err(broken("it ends in the middle of a frame".to_owned())),
        };
        if length > LONGEST {
            return Err(broken(format!("a frame of {length} bytes cannot be")));
        }
        let payload = self.bytes(u64::from(length)).map_err(|error| broken(error.to_string()))?;
        if payload.len() as u64 != u64::from(length) {
            return Err(broken("it ends in the middle of a frame".to_owned()));
        }
        if crc32fast::hash(&payload).to_le_bytes() != sum {
            return Err(broken("a frame is damaged".to_owned()));
        }
        Ok(Some(payload))
    }

    /// Bytes read so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Up to so many bytes; fewer only at the end.
    fn bytes(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(most).read_to_end(&mut bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }
}
