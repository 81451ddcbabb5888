//! What a disk holds, and what it would still hold without power.
//!
//! It has a cache, as disks have: a write is safe when a flush that was asked for after it is
//! answered. Of what was written since then, each sector may have come to rest or not, in any order.

use std::collections::BTreeMap;

use rand::{Rng, rngs::StdRng};

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR: usize = 512;

/// A disk as its user sees it, and as it is without power.
#[derive(Debug)]
pub struct Platter {
    /// What is read: everything that was written.
    seen: Vec<u8>,
    /// What was there at the last flush, of sectors that were written since: the versions since
    /// then, the oldest first.
    since_flush: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    is_on: bool,
    /// After how many more writes the power goes, and what chooses what is left then.
    doom: Option<(u64, StdRng)>,
    flushes: u64,
    lost: usize,
}

/// The power is off: nothing is read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Off;

impl Platter {
    /// A disk with this on it, at rest. Its length is a multiple of [`SECTOR`].
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Self {
            seen: content,
            since_flush: BTreeMap::new(),
            is_on: true,
            doom: None,
            flushes: 0,
            lost: 0,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How often it was flushed.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes
    }

    /// How many sectors were not left as they were written last when the power went.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Reads; less at the end.
    ///
    /// # Errors
    /// [`Off`] without power.
    pub fn read(&self, offset: usize, length: usize) -> Result<&[u8], Off> {
        self.powered()?;
        let from = offset.min(self.len());
        Ok(&self.seen[from..(from + length).min(self.len())])
    }

    /// Writes into the cache; what is beyond the end is dropped. How many bytes fitted.
    ///
    /// # Errors
    /// [`Off`] without power.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<usize, Off> {
        self.powered()?;
        let from = offset.min(self.len());
        let fits = bytes.len().min(self.len() - from);
        let sectors = (from / SECTOR)..(from + fits).div_ceil(SECTOR);
        for sector in sectors.clone() {
            // What rests there, before anything is written over it.
            let resting = self.sector(sector);
            let versions = self.since_flush.entry(sector);
            versions.or_insert_with(|| vec![resting]);
        }
        self.seen[from..from + fits].copy_from_slice(&bytes[..fits]);
        for sector in sectors {
            let now = self.sector(sector);
            self.since_flush.entry(sector).or_default().push(now);
        }
        if let Some((left, random)) = self.doom.as_mut() {
            if *left == 0 {
                let mut random = random.clone();
                self.cut(&mut random);
                return Err(Off);
            }
            *left -= 1;
        }
        Ok(fits)
    }

    fn sector(&self, sector: usize) -> [u8; SECTOR] {
        let mut bytes = [0; SECTOR];
        bytes.copy_from_slice(&self.seen[sector * SECTOR..(sector + 1) * SECTOR]);
        bytes
    }

    /// Lets everything that was written come to rest.
    ///
    /// # Errors
    /// [`Off`] without power.
    pub fn flush(&mut self) -> Result<(), Off> {
        self.powered()?;
        self.since_flush.clear();
        self.flushes += 1;
        Ok(())
    }

    /// Takes the power away in the middle of a write, after so many others.
    pub fn cut_after(&mut self, writes: u64, random: StdRng) {
        self.doom = Some((writes, random));
    }

    /// Takes the power away. Each sector that was written since the last flush is left in any of its
    /// versions.
    pub fn cut(&mut self, random: &mut StdRng) {
        self.is_on = false;
        for (sector, versions) in std::mem::take(&mut self.since_flush) {
            let picked = random.random_range(0..versions.len());
            self.lost += usize::from(picked + 1 < versions.len());
            self.seen[sector * SECTOR..(sector + 1) * SECTOR].copy_from_slice(&versions[picked]);
        }
    }

    /// Gives the power back.
    pub fn power_on(&mut self) {
        self.is_on = true;
        self.doom = None;
    }

    fn powered(&self) -> Result<(), Off> {
        if self.is_on { Ok(()) } else { Err(Off) }
    }
}
