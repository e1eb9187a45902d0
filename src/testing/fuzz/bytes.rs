//! Structured input out of arbitrary bytes: a cursor that never fails. Knows nothing of what is fuzzed.

/// What is left of the input. At its end it gives zeros, so that every input means something.
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

    /// The next `n` bytes, or what there is.
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

/// Cuts `input` into pieces of these sizes, over and over; a size of 0 is an empty piece. In one piece if there are
/// none that would get anywhere.
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

/// The bits of a size that are the size; the others are the target's.
pub const SIZE: u8 = 0x7f;
