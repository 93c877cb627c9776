//! The file's checksum: XXH64 with seed 0 (Yann Collet's xxHash specification,
//! version 0.1.1) of all bytes, with the checksum field itself taken as zero.

use super::header::Header;
use super::le::{put, u32_at, u64_at};
use crate::Error;

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;
/// Bytes that the four lanes take together.
const STRIPE: usize = 32;

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(PRIME_2))
        .rotate_left(31)
        .wrapping_mul(PRIME_1)
}

/// Four lanes that take a stripe each turn.
struct Lanes([u64; 4]);

impl Lanes {
    fn new() -> Lanes {
        Lanes([
            PRIME_1.wrapping_add(PRIME_2),
            PRIME_2,
            0,
            0u64.wrapping_sub(PRIME_1),
        ])
    }

    fn stripe(&mut self, stripe: &[u8]) {
        for (lane, input) in self.0.iter_mut().zip(stripe.as_chunks().0) {
            *lane = round(*lane, u64::from_le_bytes(*input));
        }
    }

    fn merge(&self) -> u64 {
        let [a, b, c, d] = self.0;
        let sum = a
            .rotate_left(1)
            .wrapping_add(b.rotate_left(7))
            .wrapping_add(c.rotate_left(12))
            .wrapping_add(d.rotate_left(18));
        self.0.iter().fold(sum, |h, &lane| {
            (h ^ round(0, lane))
                .wrapping_mul(PRIME_1)
                .wrapping_add(PRIME_4)
        })
    }
}

/// The last bytes, fewer than a stripe, and the final mixing. `h` is what the
/// stripes gave.
fn finish(mut h: u64, len: usize, mut tail: &[u8]) -> u64 {
    h = h.wrapping_add(len as u64);
    while let Some(v) = u64_at(tail, 0) {
        h = (h ^ round(0, v))
            .rotate_left(27)
            .wrapping_mul(PRIME_1)
            .wrapping_add(PRIME_4);
        tail = &tail[8..];
    }
    if let Some(v) = u32_at(tail, 0) {
        h = (h ^ u64::from(v).wrapping_mul(PRIME_1))
            .rotate_left(23)
            .wrapping_mul(PRIME_2)
            .wrapping_add(PRIME_3);
        tail = &tail[4..];
    }
    for &byte in tail {
        h = (h ^ u64::from(byte).wrapping_mul(PRIME_5))
            .rotate_left(11)
            .wrapping_mul(PRIME_1);
    }
    h = (h ^ h >> 33).wrapping_mul(PRIME_2);
    h = (h ^ h >> 29).wrapping_mul(PRIME_3);
    h ^ h >> 32
}

/// XXH64, seed 0, of `bytes`.
pub fn xxh64(bytes: &[u8]) -> u64 {
    if bytes.len() < STRIPE {
        return finish(PRIME_5, bytes.len(), bytes);
    }
    let mut lanes = Lanes::new();
    let stripes = bytes.chunks_exact(STRIPE);
    let tail = stripes.remainder();
    stripes.for_each(|s| lanes.stripe(s));
    finish(lanes.merge(), bytes.len(), tail)
}

/// The checksum that a file with these bytes must state. The field itself is
/// the end of the first stripe; what it holds does not matter.
///
/// # Errors
/// [`Error::Truncated`] for fewer bytes than a header.
pub fn checksum(file: &[u8]) -> Result<u64, Error> {
    let (first, rest) = file
        .split_first_chunk::<STRIPE>()
        .filter(|_| file.len() >= Header::LEN)
        .ok_or(Error::Truncated)?;
    let mut first = *first;
    put(&mut first, Header::CHECKSUM, &[0; 8]);
    let mut lanes = Lanes::new();
    lanes.stripe(&first);
    let stripes = rest.chunks_exact(STRIPE);
    let tail = stripes.remainder();
    stripes.for_each(|s| lanes.stripe(s));
    Ok(finish(lanes.merge(), file.len(), tail))
}

/// Writes the checksum into a file that is complete otherwise.
///
/// # Errors
/// [`Error::Truncated`] for fewer bytes than a header.
pub fn seal(file: &mut [u8]) -> Result<(), Error> {
    let sum = checksum(file)?;
    put(file, Header::CHECKSUM, &sum.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_published_values() {
        assert_eq!(xxh64(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(xxh64(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(xxh64(b"abc"), 0x44BC_2CF5_AD77_0999);
        assert_eq!(
            xxh64(b"Nobody inspects the spammish repetition"),
            0xFBCE_A83C_8A37_8BF1
        );
    }

    #[test]
    fn the_field_counts_as_zero() {
        let mut file: [u8; 300] = core::array::from_fn(|i| (i * 7) as u8);
        let sum = checksum(&file);
        file[Header::CHECKSUM..Header::CHECKSUM + 8].fill(0);
        assert_eq!(sum, Ok(xxh64(&file)));
        seal(&mut file).unwrap();
        assert_eq!(sum, checksum(&file));
        assert_eq!(u64_at(&file, Header::CHECKSUM), sum.ok());
        file[299] ^= 1;
        assert_ne!(sum, checksum(&file));
        assert_eq!(checksum(&file[..191]), Err(Error::Truncated));
    }
}
