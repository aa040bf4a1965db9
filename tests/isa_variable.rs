//! The environment variable that caps the instruction set, which a process reads once: each value in a process of its
//! own.

mod support;

use fused_dense::{Activation, Dense, Error, ISA_VARIABLE, Isa};
use std::process::Command;

/// Set in a process that is to report.
const REPORT: &str = "FUSED_DENSE_TEST_REPORTS_ISA";

/// What a layer and a stand-alone activation answer, in words.
fn report() -> String {
    let layer = Dense::new(2, 2, Activation::Sigmoid);
    let mut a = [0.0];
    let alone = Activation::Tanh.forward(&[1.0], &mut a);
    let raised = layer.clone().with_isa(Isa::Avx512).isa();
    format!("layer {:?}, alone {alone:?}, raised {raised:?}", layer.isa())
}

/// What a process with this value of the variable must report.
fn expected(value: Option<&str>) -> String {
    let isas = support::isas::promised();
    let best = |cap: Isa| match isas.iter().find(|isa| **isa <= cap) {
        Some(isa) => Ok(*isa),
        None => Err(Error::IsaNotBuilt { cap, lowest: isas[isas.len() - 1] }),
    };
    let layer = match value {
        None => best(Isa::Avx512),
        Some("portable") => best(Isa::Portable),
        Some("neon") => best(Isa::Neon),
        Some("avx2") => best(Isa::Avx2),
        Some("avx512") => best(Isa::Avx512),
        Some(other) => Err(Error::UnknownIsa { found: other.to_string().leak() }),
    };
    let alone = layer.clone().map(|_| ());
    format!("layer {layer:?}, alone {alone:?}, raised {:?}", best(Isa::Avx512))
}

#[test]
fn the_variable_caps_the_default_alone() {
    if std::env::var_os(REPORT).is_some() {
        println!("{}", report());
        return;
    }
    let values =
        [None, Some("portable"), Some("neon"), Some("avx2"), Some("avx512"), Some("nonsense"), Some(""), Some("AVX2")];
    for value in values {
        let mut process = Command::new(std::env::current_exe().expect("this test's path"));
        process.args(["the_variable_caps_the_default_alone", "--exact", "--nocapture"]);
        process.env(REPORT, "1").env_remove(ISA_VARIABLE).envs(value.map(|value| (ISA_VARIABLE, value)));
        let output = process.output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{value:?}: {text}");
        assert!(text.contains(&expected(value)), "{value:?}: expected {:?} in {text:?}", expected(value));
    }
}
