//! Two samples: can they be told apart? Each test gives a standard score, to be held against [`CRITICAL`] or
//! [`CRITICAL_OF_MANY`], which equal sources exceed once in a million runs.
//!
//! Both are tested themselves: that they stay below it for equal sources, and that they find a planted difference of the
//! size that is claimed for them.

/// One score, two-sided: alpha = 1e-6.
pub const CRITICAL: f64 = 4.892;
/// The largest of several hundred scores, each one-sided at 1e-9: together below 1e-6.
pub const CRITICAL_OF_MANY: f64 = 6.0;

/// Rank sum of Mann and Whitney, ties counted half: how far the times of `left` lie above those of `right`, in standard
/// deviations. Nothing is assumed of the times but that their order was drawn at random, so a busy machine makes it blind,
/// never wrong.
///
/// With n in each sample it finds, nine times in ten at [`CRITICAL`], a chance of `left` being the later one that differs
/// from a half by 6.2 / sqrt(6 n): by 0.057 for n = 2,000. For normal noise that is a fifth of its standard deviation.
pub fn rank_sum(left: &[f64], right: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        left.iter().map(|time| (*time, true)).chain(right.iter().map(|time| (*time, false))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (n, m) = (left.len() as f64, right.len() as f64);
    let (mut ranks, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let equal = all[at..].iter().take_while(|(time, _)| *time == all[at].0).count();
        let rank = at as f64 + (equal as f64 + 1.0) / 2.0;
        ranks += rank * all[at..at + equal].iter().filter(|(_, is_left)| *is_left).count() as f64;
        ties += (equal as f64).powi(3) - equal as f64;
        at += equal;
    }
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    (ranks - n * (total + 1.0) / 2.0) / variance.sqrt()
}

/// Chi-squared of two samples of byte strings of one length, for the upper and the lower half of the byte at each
/// position, and for all of them together: the largest standard score among these (Wilson and Hilferty's cube root). It
/// is the largest of many, so it is held against [`CRITICAL_OF_MANY`].
///
/// With 2,000 in each sample it finds, nine times in ten, one bit anywhere that is set in 65 of a hundred of one sample
/// and in 50 of a hundred of the other.
pub fn chi_squared(left: &[Vec<u8>], right: &[Vec<u8>]) -> f64 {
    let (mut largest, mut all) = (f64::NEG_INFINITY, (0.0, 0.0));
    for position in 0..left[0].len() {
        for shift in [0, 4] {
            let (left, right) = (histogram(left, position, shift), histogram(right, position, shift));
            let (n, m): (f64, f64) = (left.iter().sum(), right.iter().sum());
            let (mut statistic, mut cells) = (0.0, 0.0_f64);
            for (left, right) in left.iter().zip(&right).filter(|(left, right)| *left + *right > 0.0) {
                statistic += ((m / n).sqrt() * left - (n / m).sqrt() * right).powi(2) / (left + right);
                cells += 1.0;
            }
            if cells > 1.0 {
                largest = largest.max(standard_score(statistic, cells - 1.0));
                all = (all.0 + statistic, all.1 + cells - 1.0);
            }
        }
    }
    largest.max(standard_score(all.0, all.1))
}

fn standard_score(statistic: f64, freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

fn histogram(sample: &[Vec<u8>], position: usize, shift: u32) -> [f64; 16] {
    let mut counts = [0.0; 16];
    for bytes in sample {
        counts[usize::from(bytes[position] >> shift & 15)] += 1.0;
    }
    counts
}

mod of_itself {
    use attest_core::random::{Random as _, SeededRandom, array};

    use super::*;

    const N: usize = 2_000;

    fn uniform(random: &SeededRandom) -> f64 {
        u64::from_be_bytes(array(random).unwrap()) as f64 / u64::MAX as f64
    }

    /// Noise with a long tail, as times have.
    fn noise(seed: u64) -> Vec<f64> {
        let random = SeededRandom::new(seed);
        (0..N).map(|_| -uniform(&random).max(1e-9).ln()).collect()
    }

    fn strings(seed: u64) -> Vec<Vec<u8>> {
        let random = SeededRandom::new(seed);
        let one = || {
            let mut bytes = vec![0; 32];
            random.fill(&mut bytes).unwrap();
            bytes
        };
        (0..N).map(|_| one()).collect()
    }

    #[test]
    fn equal_sources_are_not_told_apart() {
        for seed in 0..40 {
            let z = rank_sum(&noise(seed), &noise(seed + 1_000));
            assert!(z.abs() < CRITICAL, "{z}");
            let z = chi_squared(&strings(seed), &strings(seed + 1_000));
            assert!(z < CRITICAL_OF_MANY, "{z}");
        }
        assert!(rank_sum(&[1.0; 50], &[1.0; 50]).is_nan(), "all equal: no score, and no difference");
    }

    #[test]
    fn a_planted_difference_in_time_is_found() {
        for seed in 0..20 {
            // The median of the noise is 0.69: a shift of a quarter of it.
            let later: Vec<f64> = noise(seed).into_iter().map(|time| time + 0.18).collect();
            let z = rank_sum(&later, &noise(seed + 1_000));
            assert!(z > CRITICAL, "{z}");
        }
        // One in five leaves a step later.
        let stepped: Vec<f64> =
            noise(1).into_iter().enumerate().map(|(n, time)| time + if n % 5 == 0 { 5.0 } else { 0.0 }).collect();
        assert!(rank_sum(&stepped, &noise(2)) > CRITICAL);
    }

    #[test]
    fn a_planted_difference_in_one_bit_is_found() {
        for seed in 0..20 {
            let random = SeededRandom::new(seed + 5_000);
            let mut biased = strings(seed);
            for bytes in &mut biased {
                if uniform(&random) < 0.4 {
                    bytes[7] |= 0x20;
                }
            }
            let z = chi_squared(&biased, &strings(seed + 1_000));
            assert!(z > CRITICAL_OF_MANY, "{z}");
        }
    }
}
