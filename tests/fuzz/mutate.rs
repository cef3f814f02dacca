//! Mutations of a corpus, the same ones for the same seed.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Bytes that parsers look for.
const TELLING: &[u8] = b"\0\n\r\t \"'\\,:;{}[]()=+-@<>/?#%&0129.eE\x1b\x7f\x80\xc2\xff";
/// Texts of more than one byte that do.
const WORDS: [&str; 14] = [
    "\u{202e}",
    "\u{2028}",
    "\u{feff}",
    "\u{9b}",
    "\u{e0041}",
    "\\ud800",
    "1e999",
    "-0",
    "18446744073709551615",
    "null",
    "\r\n",
    "\"\"",
    "{\"a\":",
    "../",
];

pub(crate) struct Mutator {
    corpus: Vec<Vec<u8>>,
    random: ChaCha8Rng,
}

impl Mutator {
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { corpus, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub(crate) fn seeds(&self) -> usize {
        self.corpus.len()
    }

    /// The corpus as it is, then mutations of it.
    pub(crate) fn input(&mut self, nth: u64, bytes_max: usize) -> Vec<u8> {
        if let Some(seed) = usize::try_from(nth).ok().and_then(|nth| self.corpus.get(nth)) {
            return seed.clone();
        }
        let mut input = self.any_seed();
        for _ in 0..self.random.random_range(1..=6) {
            self.mutate(&mut input);
        }
        input.truncate(bytes_max);
        input
    }

    fn any_seed(&mut self) -> Vec<u8> {
        let nth = self.random.random_range(0..self.corpus.len());
        self.corpus[nth].clone()
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        let end = (at + self.random.random_range(0..=16_usize)).min(input.len());
        match self.random.random_range(0..8) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, self.telling()),
            2 if at < input.len() => input[at] = self.telling(),
            3 if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            4 => {
                let word = WORDS[self.random.random_range(0..WORDS.len())];
                input.splice(at..end, word.bytes());
            }
            5 => {
                let piece = input[at..end].to_vec();
                let times = self.random.random_range(1..=40);
                input.splice(at..at, piece.repeat(times));
            }
            6 => {
                let other = self.any_seed();
                let from = self.random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let byte = (self.random.next_u32() & 0xFF) as u8;
                input.insert(at, byte);
            }
        }
    }

    fn telling(&mut self) -> u8 {
        TELLING[self.random.random_range(0..TELLING.len())]
    }
}
