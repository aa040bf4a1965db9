//! Activations read from text.

use super::{ACTIVATIONS, Activation};
use core::fmt;
use core::str::FromStr;

/// A text that names no [`Activation`].
///
/// ```
/// let error = "softmax".parse::<fused_dense::Activation>().unwrap_err();
/// assert_eq!(error.found, "softmax");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseActivationError {
    /// The text.
    pub found: String,
}

impl fmt::Display for ParseActivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("activation: expected ")?;
        let last = ACTIVATIONS.len() - 1;
        for (index, activation) in ACTIVATIONS.iter().enumerate() {
            let before = match index {
                0 => "",
                _ if index == last => " or ",
                _ => ", ",
            };
            write!(f, "{before}{activation}")?;
        }
        write!(f, ", a parameter of 0 or more in parentheses behind those that have one, found {:?}", self.found)
    }
}

impl core::error::Error for ParseActivationError {}

/// Reads what `Display` writes: a name, and the parameter in parentheses, without which it is the usual one. Case,
/// blanks, `_` and `-` do not matter.
///
/// ```
/// use fused_dense::Activation;
/// assert_eq!("Leaky_ReLU".parse(), Ok(Activation::LeakyRelu { slope: 0.01 }));
/// assert_eq!("leaky relu(0.02)".parse(), Ok(Activation::LeakyRelu { slope: 0.02 }));
/// assert!("relu(0.02)".parse::<Activation>().is_err());
/// ```
impl FromStr for Activation {
    type Err = ParseActivationError;

    fn from_str(text: &str) -> Result<Self, ParseActivationError> {
        read(text).ok_or_else(|| ParseActivationError { found: text.to_string() })
    }
}

fn read(text: &str) -> Option<Activation> {
    let (name, parameter) = match text.split_once('(') {
        None => (text, None),
        Some((name, rest)) => (name, Some(rest.trim_end().strip_suffix(')')?)),
    };
    let name = plain(name);
    let named = ACTIVATIONS.iter().copied().find(|activation| plain(&activation.to_string()) == name)?;
    match parameter {
        None => Some(named),
        Some(parameter) => {
            let parameter = parameter.trim().parse().ok()?;
            named.with_parameter(parameter).filter(|activation| activation.is_valid())
        }
    }
}

/// The letters alone, none of them a capital.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && !"_-".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}
