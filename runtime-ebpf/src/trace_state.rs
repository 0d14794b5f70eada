//! A `tracestate` as the programs keep it: which lists go on, and the number by which one is known.

/// Bytes of the longest list that goes on: the least that everybody has to carry (W3C Trace Context, 3.3.1.5). Longer ones are left out rather
/// than cut.
pub const LIST_BYTES: usize = 512;
/// Words of it.
pub const LIST_WORDS: u64 = LIST_BYTES as u64 / 8;

/// What the number of a list begins with: whose it is, and how many bytes it has.
#[inline(always)]
pub fn begun(trace_id: [u64; 2], process: u64, len: u64) -> u64 {
    let [first, second] = trace_id;
    mixed(mixed(mixed(mixed(0, first), second), process), len)
}

/// The number with one more word.
#[inline(always)]
pub fn mixed(number: u64, word: u64) -> u64 {
    /// An odd number with many bits (2^64 divided by the golden ratio).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let number = (number.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    // A product's upper bits say nothing of the lower ones.
    number ^ number >> 32
}

/// The bytes of a word that so many bytes reach into: all from 8 on, none up to 0. Without a branch, which `hidden` keeps LLVM from making.
#[inline(always)]
pub fn mask(left: u64, hidden: impl Fn(u64) -> u64) -> u64 {
    // All ones for a negative number.
    let negative = |number: u64| hidden((number as i64 >> 63) as u64);
    let left = left & !negative(left);
    let less = 8u64.wrapping_sub(left);
    let half = 4 * left.wrapping_add(less & negative(less));
    // Twice by half: by 64 at once there is no shift.
    (1u64 << half << half).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bit_of_a_list_counts() {
        let number = |words: &[u64], trace: [u64; 2], process, len| {
            words.iter().fold(begun(trace, process, len), |number, word| mixed(number, *word))
        };
        let words = *b"k00=0123456789abcde,k01=ffffffffffffffff";
        let words: [u64; 5] = core::array::from_fn(|at| {
            u64::from_le_bytes(words[8 * at..8 * at + 8].try_into().expect("eight"))
        });
        let (trace, process, len) = ([0x0af7_6519_16cd_43dd, 0x8448_eb21_1c80_319c], 0x1234_0000_0007, 40);
        let mut seen = BTreeSet::from([number(&words, trace, process, len)]);
        for bit in 0..64 {
            for at in 0..words.len() {
                let mut other = words;
                other[at] ^= 1 << bit;
                assert!(seen.insert(number(&other, trace, process, len)), "word {at}, bit {bit}");
            }
            let bit = 1 << bit;
            let others = [
                number(&words, [trace[0] ^ bit, trace[1]], process, len),
                number(&words, [trace[0], trace[1] ^ bit], process, len),
                number(&words, trace, process ^ bit, len),
                number(&words, trace, process, len ^ bit),
            ];
            assert!(others.into_iter().all(|other| seen.insert(other)), "{bit:#x}");
        }
    }

    #[test]
    fn a_mask_has_the_bytes_that_are_there() {
        for left in -600i64..600 {
            let due = match left {
                ..=0 => 0,
                1..=7 => (1u64 << (8 * left)) - 1,
                _ => u64::MAX,
            };
            assert_eq!(mask(left as u64, |number| number), due, "{left}");
        }
    }
}
