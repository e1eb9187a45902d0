//! How many lines a client has said, in the three bytes that its record has to spare.

/// A count that stops at 16,777,215.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaidLines([u8; 3]);

impl SaidLines {
    /// Counts one line.
    pub fn add_one(&mut self) {
        let [low, middle, high, rest] = (self.count() + 1).to_le_bytes();
        if rest == 0 {
            self.0 = [low, middle, high];
        }
    }

    /// So many lines.
    pub fn count(self) -> u32 {
        let [low, middle, high] = self.0;
        u32::from_le_bytes([low, middle, high, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_carries_and_stops_at_its_end() {
        let mut lines = SaidLines::default();
        (0..1000).for_each(|_| lines.add_one());
        assert_eq!(lines.count(), 1000);
        let mut lines = SaidLines([0xfe, 0xff, 0xff]);
        (0..3).for_each(|_| lines.add_one());
        assert_eq!(lines.count(), 0x00ff_ffff);
    }
}
