//! An optimiser's kind and settings as metadata.

use crate::files::{File, FileError};
use crate::optimizer::{Adam, Optimizer, Sgd};
use core::str::FromStr;

const KIND: &str = "optimizer";
const SGD: &str = "sgd";
const ADAM: &str = "adam";

const LEARNING_RATE: &str = "learning_rate";
const WEIGHT_DECAY: &str = "weight_decay";
const MOMENTUM: &str = "momentum";
const NESTEROV: &str = "nesterov";
const BETA1: &str = "beta1";
const BETA2: &str = "beta2";
const EPSILON: &str = "epsilon";
const IS_DECOUPLED: &str = "decoupled";

/// Keys and values. A number is written with the digits that tell it from all others, so that its bits come back.
pub(super) fn of(optimizer: &Optimizer) -> Vec<(&'static str, String)> {
    let number = |value: f32| format!("{value:?}");
    match *optimizer {
        Optimizer::Sgd(Sgd { learning_rate, momentum, nesterov, weight_decay }) => vec![
            (KIND, SGD.into()),
            (LEARNING_RATE, number(learning_rate)),
            (WEIGHT_DECAY, number(weight_decay)),
            (MOMENTUM, number(momentum)),
            (NESTEROV, nesterov.to_string()),
        ],
        Optimizer::Adam(Adam { learning_rate, betas, epsilon, weight_decay, is_decoupled }) => vec![
            (KIND, ADAM.into()),
            (LEARNING_RATE, number(learning_rate)),
            (WEIGHT_DECAY, number(weight_decay)),
            (IS_DECOUPLED, is_decoupled.to_string()),
            (BETA1, number(betas.0)),
            (BETA2, number(betas.1)),
            (EPSILON, number(epsilon)),
        ],
    }
}

/// The optimiser that a file tells of, its settings checked.
///
/// # Errors
/// [`FileError::Metadata`], and [`FileError::Network`] for a number that a setting cannot be.
pub(super) fn read(file: &File) -> Result<Optimizer, FileError> {
    let number = |key| value::<f32>(file, key, "a number");
    let switch = |key| value::<bool>(file, key, "true or false");
    let optimizer: Optimizer = match file.metadata(KIND) {
        Some(SGD) => Sgd {
            learning_rate: number(LEARNING_RATE)?,
            momentum: number(MOMENTUM)?,
            nesterov: switch(NESTEROV)?,
            weight_decay: number(WEIGHT_DECAY)?,
        }
        .into(),
        Some(ADAM) => Adam {
            learning_rate: number(LEARNING_RATE)?,
            betas: (number(BETA1)?, number(BETA2)?),
            epsilon: number(EPSILON)?,
            weight_decay: number(WEIGHT_DECAY)?,
            is_decoupled: switch(IS_DECOUPLED)?,
        }
        .into(),
        other => {
            return Err(FileError::Metadata { key: KIND, expected: "sgd or adam", found: other.map(str::to_string) });
        }
    };
    optimizer.check()?;
    Ok(optimizer)
}

fn value<T: FromStr>(file: &File, key: &'static str, expected: &'static str) -> Result<T, FileError> {
    let found = file.metadata(key);
    found.and_then(|text| text.parse().ok()).ok_or_else(|| FileError::Metadata {
        key,
        expected,
        found: found.map(str::to_string),
    })
}
