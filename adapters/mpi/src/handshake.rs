//! Ranks compare how they are set up, before they work together.

use crate::call::fingerprint;
use crate::error::{Difference, Error};
use crate::links::Links;
use crate::options::Options;
use crate::tags;
use fused_dense::{Isa, Layer, Network};

/// Parts a line into a name and a value. Neither has it.
const BETWEEN: char = '\t';

/// Compares this rank with rank 0, and hears how the others differ.
///
/// # Errors
/// [`Error::Disagree`], the same on every rank, and those of waiting.
pub(crate) fn compare(links: &mut Links<'_>, network: &Network, options: &Options) -> Result<(), Error> {
    let own = description(network, options);
    let text =
        if links.rank() == 0 { lines(own.iter().map(|(what, value)| [&what[..], value])) } else { String::new() };
    let first = &talk(links, text)?[0];
    let found = differences(&parse(first), &own);
    let texts = talk(links, lines(found.iter().map(|[what, expected, found]| [&what[..], expected, found])))?;
    let differences: Vec<Difference> = texts
        .iter()
        .enumerate()
        .flat_map(|(rank, text)| parse(text).into_iter().map(move |line| difference(rank, line)))
        .collect();
    if differences.is_empty() { Ok(()) } else { Err(Error::Disagree { differences }) }
}

/// Each rank's text.
fn talk(links: &mut Links<'_>, text: String) -> Result<Vec<String>, Error> {
    let lens = links.exchange(vec![text.len() as u64], |_| 1, tags::HANDSHAKE)?;
    let texts = links.exchange(text.into_bytes(), |rank| lens[rank][0] as usize, tags::HANDSHAKE)?;
    Ok(texts.iter().map(|text| String::from_utf8_lossy(text).into()).collect())
}

/// A line for each of these.
fn lines<'t, const FIELDS: usize>(rows: impl Iterator<Item = [&'t str; FIELDS]>) -> String {
    rows.map(|fields| fields.map(|field| field.replace([BETWEEN, '\n'], " ")).join(&BETWEEN.to_string()) + "\n")
        .collect()
}

fn parse(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(BETWEEN).map(String::from).collect()).collect()
}

fn difference(rank: usize, line: Vec<String>) -> Difference {
    let [what, expected, found] = [0, 1, 2].map(|field| line.get(field).cloned().unwrap_or_default());
    Difference { rank, what, expected, found }
}

/// Each thing that is not as it is expected: its name, the expected value and the found one.
fn differences(expected: &[Vec<String>], found: &[(String, String)]) -> Vec<[String; 3]> {
    const NONE: &str = "nothing of this name";
    let value = |what: &str| expected.iter().find(|line| line[0] == what).and_then(|line| line.get(1));
    let mut differences = Vec::new();
    for (what, found) in found {
        let expected = value(what).map_or(NONE, |value| value);
        if expected != found {
            differences.push([what.clone(), expected.into(), found.clone()]);
        }
    }
    for line in expected.iter().filter(|line| found.iter().all(|(what, _)| *what != line[0])) {
        differences.push([line[0].clone(), line.get(1).cloned().unwrap_or_default(), NONE.into()]);
    }
    differences
}

/// All that must be the same on all ranks, as names and values.
fn description(network: &Network, options: &Options) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = vec![
        ("version of fused-dense-mpi".into(), env!("CARGO_PKG_VERSION").into()),
        ("version of fused-dense".into(), fused_dense::VERSION.into()),
        (
            "type of values".into(),
            format!("f32, {} endian", if cfg!(target_endian = "big") { "big" } else { "little" }),
        ),
        ("multiply-adds".into(), multiply_adds(network.layers()).into()),
        ("number of layers".into(), network.layers().len().to_string()),
        ("cost".into(), network.cost().to_string()),
        ("class weights".into(), format!("{:?}", network.class_weights())),
        ("positive weight".into(), network.positive_weight().to_string()),
        ("guard".into(), network.is_guarded().to_string()),
        ("optimizer".into(), network.optimizer().to_string()),
        ("steps taken".into(), network.steps().to_string()),
        ("next epoch and batch".into(), format!("{} and {}", network.next_epoch(), network.next_batch())),
    ];
    all.extend(options.description());
    for (index, layer) in network.layers().iter().enumerate() {
        all.extend(of_layer(index, layer));
    }
    all
}

/// Results with fused multiply-adds and without have different bits.
fn multiply_adds(layers: &[Layer]) -> &'static str {
    let are_portable = |layer: &Layer| layer.dense().isa() == Ok(Isa::Portable);
    match (layers.iter().any(are_portable), layers.iter().all(are_portable)) {
        (false, _) => "fused",
        (_, true) => "portable",
        _ => "fused in some layers, portable in others",
    }
}

fn of_layer(index: usize, layer: &Layer) -> Vec<(String, String)> {
    let dense = layer.dense();
    let name = |what: &str| format!("layer {index}: {what}");
    let bits = |values: &[f32]| format!("{:016x}", fingerprint(values.iter().map(|value| u64::from(value.to_bits()))));
    let parameters = format!("{} and {}", bits(layer.w()), bits(layer.b()));
    let state: Vec<String> = layer.optimizer_state().flatten().map(bits).collect();
    vec![
        (name("shape"), format!("{}×{}", dense.outputs(), dense.inputs())),
        (name("activation"), dense.activation().to_string()),
        (name("summation"), format!("{:?}", dense.summation())),
        (name("parameters, which follow from the seed or a file"), parameters),
        (name("optimiser's arrays"), state.join(", ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fused_dense::{Activation, Adam, NetworkBuilder};

    fn builder() -> NetworkBuilder {
        Network::builder(3).layer(2, Activation::Tanh).optimizer(Adam::new(0.1))
    }

    fn found(other: NetworkBuilder) -> Vec<String> {
        let own = |builder: NetworkBuilder| description(&builder.build().unwrap(), &Options::new());
        let expected = parse(&lines(own(builder()).iter().map(|(what, value)| [&what[..], value])));
        differences(&expected, &own(other)).into_iter().map(|[what, ..]| what).collect()
    }

    #[test]
    fn every_difference_is_named() {
        assert_eq!(found(builder()), [""; 0]);
        assert_eq!(found(builder().optimizer(Adam::new(0.2))), ["optimizer"]);
        assert_eq!(found(builder().seed(1)), ["layer 0: parameters, which follow from the seed or a file"]);
        assert_eq!(found(builder().unguarded()), ["guard"]);
        assert_eq!(found(builder().class_weights([1.0, 2.0])), ["class weights"]);
        assert_eq!(found(builder().summation(fused_dense::Summation::Chain)), ["layer 0: summation"]);
        let deeper = found(builder().layer(2, Activation::Identity));
        assert!(deeper.contains(&"number of layers".into()) && deeper.contains(&"layer 1: shape".into()), "{deeper:?}");
        assert!(found(builder().isa(Isa::Portable)).contains(&"multiply-adds".into()) || cfg!(miri));
    }
}
