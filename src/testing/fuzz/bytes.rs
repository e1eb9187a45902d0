//! Draws structured input from arbitrary bytes, and never fails. Knows no fuzz target.

/// The rest of the input. After its end come zeros, so that every input is valid.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// One of the choices.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// The next `n` bytes, or all if there are fewer.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// A list of sizes for [`cut`].
    pub fn sizes(&mut self) -> &'a [u8] {
        let n = self.below(16);
        self.take(n)
    }
}

/// Cuts `input` into pieces, cycling through `sizes`; each piece comes with its entry of `sizes`. A size of 0 is an
/// empty piece. If all sizes are 0, the whole input is one piece.
pub fn cut<'a>(mut input: &'a [u8], sizes: &[u8]) -> Vec<(&'a [u8], u8)> {
    let mut pieces = Vec::new();
    if sizes.iter().all(|&size| size & SIZE == 0) {
        return vec![(input, 0)];
    }
    for &size in sizes.iter().cycle() {
        if input.is_empty() {
            break;
        }
        let (front, rest) = input.split_at(usize::from(size & SIZE).min(input.len()));
        pieces.push((front, size));
        input = rest;
    }
    pieces
}

/// The bits of an entry that are the size of a piece; the top bit has a meaning of the target's own.
pub const SIZE: u8 = 0x7f;
