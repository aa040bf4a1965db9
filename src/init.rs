//! Initial values of a layer's weights.

use crate::activation::Activation;
use crate::error::{Error, Operand};
use crate::random::{Purpose, generator};
use core::f64::consts::TAU;
use core::fmt;
use core::str::FromStr;
use rand_core::Rng;

/// How the weights of a layer are set before it is trained. Biases usually start at zero.
///
/// A layer of `i` inputs and `o` outputs gets weights of mean 0, independent of each other:
///
/// | | variance `v` | source |
/// |---|---|---|
/// | Glorot | `2/(i+o)` | Glorot and Bengio, 2010, equations 12 and 16 |
/// | He | `2/i` | He, Zhang, Ren and Sun, 2015, equation 10 |
/// | LeCun | `1/i` | LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6 |
///
/// A uniform distribution of variance `v` goes from `-√(3v)` to `√(3v)`; a normal one has the deviation `√v` and is not
/// cut off.
///
/// # Values
///
/// They are the same on every platform, for they are made by operations that are exactly specified. `r` are the numbers of
/// xoshiro256++, 64 bits each. Its state is made of numbers of SplitMix64, the first four from the seed (`p`) and the first
/// two from the stream (`q`). The limit and the deviation are computed in `f64` and rounded to `f32`.
///
/// ```text
/// state    p[0], p[1], p[2] xor q[0], p[3] xor q[1]
/// uniform  w[j] = limit · (2k + 1 - 2^24)/2^24
///          k = r[j] / 2^40, rounded down: 24 bits
/// normal   w[2j]     = deviation · √(-2 ln u) · cos(2π v)
///          w[2j + 1] = deviation · √(-2 ln u) · sin(2π v)
///          u = (r[2j] / 2^11 + 1)/2^53, v = (r[2j+1] / 2^11)/2^53
///          both quotients rounded down: 53 bits
/// ```
///
/// The uniform values keep within the limit and never are zero. The normal ones, by the transform of Box and Muller
/// (1958), keep within 8.6 deviations; they are computed in `f64`, with the logarithm, cosine and sine of the crate `libm`,
/// and rounded once.
///
/// ```
/// use fused_dense::{Activation, Init};
///
/// let (inputs, outputs) = (784, 30);
/// let init = Init::for_activation(Activation::Sigmoid);
/// assert_eq!(init, Init::GlorotUniform);
///
/// let mut w = vec![0.0; outputs * inputs];
/// init.fill(inputs, outputs, 7, 0, &mut w)?;
/// let limit = (6.0 / (inputs + outputs) as f32).sqrt();
/// assert!(w.iter().all(|w| w.abs() <= limit));
/// # Ok::<(), fused_dense::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// All zero. Layers between others learn nothing from it: their outputs stay equal to each other.
    Zeros,
    /// Uniform within `±√(6/(i+o))`.
    GlorotUniform,
    /// Normal of deviation `√(2/(i+o))`.
    GlorotNormal,
    /// Uniform within `±√(6/i)`.
    HeUniform,
    /// Normal of deviation `√(2/i)`.
    HeNormal,
    /// Uniform within `±√(3/i)`.
    LecunUniform,
    /// Normal of deviation `√(1/i)`.
    LecunNormal,
    /// Uniform within `±limit`.
    Uniform {
        /// The limit: finite, 0 or more.
        limit: f32,
    },
    /// Normal of this deviation.
    Normal {
        /// The standard deviation: finite, 0 or more. Above 10³⁷, values may be infinite.
        deviation: f32,
    },
}

/// The distributions without a number of their own, and their names.
const NAMED: &[(Init, &str)] = &[
    (Init::Zeros, "zeros"),
    (Init::GlorotUniform, "glorot-uniform"),
    (Init::GlorotNormal, "glorot-normal"),
    (Init::HeUniform, "he-uniform"),
    (Init::HeNormal, "he-normal"),
    (Init::LecunUniform, "lecun-uniform"),
    (Init::LecunNormal, "lecun-normal"),
];

/// The distribution that is left when a layer's shape is known.
enum Distribution {
    Zeros,
    Uniform(f32),
    Normal(f32),
}

impl Init {
    /// The one that the activation's layers start well from: of those activations that are zero or nearly so for negative
    /// `z`, which halve the variance of what passes through, [`HeNormal`](Self::HeNormal); of all others
    /// [`GlorotUniform`](Self::GlorotUniform).
    ///
    /// ```
    /// use fused_dense::{Activation, Init};
    /// assert_eq!(Init::for_activation(Activation::Relu), Init::HeNormal);
    /// assert_eq!(Init::for_activation(Activation::Tanh), Init::GlorotUniform);
    /// ```
    #[must_use]
    pub fn for_activation(activation: Activation) -> Self {
        match activation {
            Activation::Identity | Activation::Sigmoid | Activation::Tanh => Self::GlorotUniform,
            _ => Self::HeNormal,
        }
    }

    /// Fills `w`: `outputs × inputs`, row by row, as [`Dense::forward`](crate::Dense::forward) takes it. Layers of one
    /// network take the same seed and a stream each, say their number.
    ///
    /// # Errors
    /// [`Error::Length`] where `w` has another length, [`Error::TooLarge`] where no memory holds so many weights, and
    /// [`Error::Distribution`] where the limit or the deviation is negative, infinite or NaN. Then nothing is written.
    pub fn fill(self, inputs: usize, outputs: usize, seed: u64, stream: u64, w: &mut [f32]) -> Result<(), Error> {
        let operand = Operand::W;
        let expected = inputs.checked_mul(outputs).ok_or(Error::TooLarge { operand })?;
        if w.len() != expected {
            return Err(Error::Length { operand, expected, found: w.len() });
        }
        let distribution = self.distribution(inputs, outputs)?;
        let mut generator = generator(Purpose::InitialValues, seed, stream);
        match distribution {
            Distribution::Zeros => w.fill(0.0),
            Distribution::Uniform(limit) => w.fill_with(|| limit * centred(generator.next_u64())),
            Distribution::Normal(deviation) => {
                for pair in w.chunks_mut(2) {
                    let values = normal_pair(generator.next_u64(), generator.next_u64());
                    for (w, value) in pair.iter_mut().zip(values) {
                        *w = (f64::from(deviation) * value) as f32;
                    }
                }
            }
        }
        Ok(())
    }

    /// By the layer's shape. Where a side is 0 there are no weights, and it does not matter that numbers are infinite.
    fn distribution(self, inputs: usize, outputs: usize) -> Result<Distribution, Error> {
        let (inputs, both) = (inputs as f64, inputs as f64 + outputs as f64);
        let root = |square: f64| square.sqrt() as f32;
        let checked = |parameter, found: f32| match found.is_finite() && found >= 0.0 {
            true => Ok(found),
            false => Err(Error::Distribution { parameter, found }),
        };
        Ok(match self {
            Self::Zeros => Distribution::Zeros,
            Self::GlorotUniform => Distribution::Uniform(root(6.0 / both)),
            Self::GlorotNormal => Distribution::Normal(root(2.0 / both)),
            Self::HeUniform => Distribution::Uniform(root(6.0 / inputs)),
            Self::HeNormal => Distribution::Normal(root(2.0 / inputs)),
            Self::LecunUniform => Distribution::Uniform(root(3.0 / inputs)),
            Self::LecunNormal => Distribution::Normal(root(1.0 / inputs)),
            Self::Uniform { limit } => Distribution::Uniform(checked("limit", limit)?),
            Self::Normal { deviation } => Distribution::Normal(checked("deviation", deviation)?),
        })
    }
}

/// The first 24 bits of `random` as an odd multiple of `2^-24` between -1 and 1: exact, and symmetric.
fn centred(random: u64) -> f32 {
    let odd = 2 * (random >> 40) as i32 + 1 - (1 << 24);
    odd as f32 / (1 << 24) as f32
}

/// Two independent values of the standard normal distribution.
fn normal_pair(first: u64, second: u64) -> [f64; 2] {
    let unit = |bits: u64| bits as f64 / (1_u64 << 53) as f64;
    // Above 0, where the logarithm is finite.
    let radius = (-2.0 * libm::log(unit((first >> 11) + 1))).sqrt();
    let angle = TAU * unit(second >> 11);
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}

/// The name that [`from_str`](FromStr::from_str) takes.
impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform { limit } => f.pad(&format!("uniform({limit})")),
            Self::Normal { deviation } => f.pad(&format!("normal({deviation})")),
            named => f.pad(NAMED.iter().find(|(init, _)| init == named).map_or("", |(_, name)| name)),
        }
    }
}

/// Reads `zeros`, `glorot-uniform`, `glorot-normal`, `he-uniform`, `he-normal`, `lecun-uniform`, `lecun-normal`,
/// `uniform(limit)` or `normal(deviation)`. Neither case nor blanks around it matter.
///
/// ```
/// use fused_dense::Init;
/// assert_eq!("He-Normal".parse(), Ok(Init::HeNormal));
/// assert_eq!("uniform(0.05)".parse(), Ok(Init::Uniform { limit: 0.05 }));
/// assert_eq!("he".parse::<Init>().unwrap_err().found, "he");
/// ```
impl FromStr for Init {
    type Err = ParseInitError;

    fn from_str(text: &str) -> Result<Self, ParseInitError> {
        let name = text.trim().to_ascii_lowercase();
        let number = |of: &str| name.strip_prefix(of)?.strip_prefix('(')?.strip_suffix(')')?.trim().parse().ok();
        let named = NAMED.iter().find(|(_, its)| *its == name).map(|(init, _)| *init);
        named
            .or_else(|| number("uniform").map(|limit| Self::Uniform { limit }))
            .or_else(|| number("normal").map(|deviation| Self::Normal { deviation }))
            .ok_or_else(|| ParseInitError { found: text.to_string() })
    }
}

/// A text that names no [`Init`].
///
/// ```
/// let error = "xavier".parse::<fused_dense::Init>().unwrap_err();
/// assert!(error.to_string().contains("glorot-uniform"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseInitError {
    /// The text.
    pub found: String,
}

impl fmt::Display for ParseInitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = NAMED.iter().map(|(_, name)| *name).collect();
        let found = &self.found;
        write!(f, "initial values: expected {}, uniform(limit) or normal(deviation), found {found:?}", names.join(", "))
    }
}

impl core::error::Error for ParseInitError {}
