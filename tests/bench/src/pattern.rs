//! Bodies whose every byte is known from its place, so that what arrives can be
//! checked piece by piece, without a copy of it.

/// A prime: no power of two repeats it.
const STEP: usize = 251;
/// Long enough that large bodies are written in few pieces.
const REPEATS: usize = 1024;

/// A body that repeats one period.
#[derive(Clone)]
pub struct Pattern {
    period: std::sync::Arc<[u8]>,
    pub length: usize,
}

impl Pattern {
    /// `length` bytes of `period`, over and over.
    pub fn repeat(period: Vec<u8>, length: usize) -> Self {
        Self { period: period.into(), length }
    }

    /// What callers send.
    pub fn request(length: usize) -> Self {
        Self::repeat(bytes(7, length.min(STEP * REPEATS)), length)
    }

    /// What the model answers.
    pub fn answer(length: usize) -> Self {
        Self::repeat(bytes(11, length.min(STEP * REPEATS)), length)
    }

    /// The longest piece at `offset` that lies in memory; empty at the end.
    pub fn piece(&self, offset: usize) -> &[u8] {
        let left = self.length.saturating_sub(offset);
        let piece = self.period.get(offset.checked_rem(self.period.len()).unwrap_or(0)..).unwrap_or_default();
        piece.get(..left).unwrap_or(piece)
    }

    /// Whether `bytes` are what stands at `offset`.
    pub fn holds(&self, mut offset: usize, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let piece = self.piece(offset);
            let length = piece.len().min(bytes.len());
            let (Some(expected), Some((found, rest))) = (piece.get(..length), bytes.split_at_checked(length)) else {
                return false;
            };
            if length == 0 || expected != found {
                return false;
            }
            (bytes, offset) = (rest, offset + length);
        }
        true
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.length);
        while whole.len() < self.length {
            whole.extend_from_slice(self.piece(whole.len()));
        }
        whole
    }
}

fn bytes(factor: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * factor % STEP).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_known_from_its_place() {
        for length in [0, 1, 1024, 1 << 20] {
            let (request, answer) = (Pattern::request(length), Pattern::answer(length));
            let whole = answer.to_vec();
            assert_eq!(whole.len(), length);
            assert!(answer.holds(0, &whole));
            assert!(answer.holds(length / 3, &whole[length / 3..]));
            assert!(length < 2 || !request.holds(0, &whole), "the two differ");
        }
    }

    #[test]
    fn what_is_changed_moved_or_too_long_is_seen() {
        let answer = Pattern::answer(600_000);
        let mut whole = answer.to_vec();
        assert!(!answer.holds(1, &whole[..100]));
        whole[599_999] ^= 1;
        assert!(!answer.holds(0, &whole));
        assert!(!answer.holds(599_999, &[0, 0]));
    }
}
