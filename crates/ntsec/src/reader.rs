//! A bounds-checked little-endian cursor: the only way this crate touches foreign bytes.

use crate::error::{Error, Structure};

/// Reads forward through `bytes`; every failure names `what` and the offset.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    what: Structure,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: Structure) -> Self {
        Reader { bytes, position: 0, what }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let rest = self.rest();
        let taken = rest.get(..count).ok_or(Error::Truncated {
            what: self.what,
            offset: self.position,
            needed: count,
            available: rest.len(),
        })?;
        self.position += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn guid(&mut self) -> Result<[u8; 16], Error> {
        self.array()
    }
}
