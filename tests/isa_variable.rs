//! The environment variable that caps the instruction set, which a process reads once: each value in a process of its
//! own.

#![cfg(not(miri))]

mod support;

use fused_dense::{Activation, Dense, Error, ISA_VARIABLE, Isa};
use std::ffi::OsStr;
use std::process::Command;

/// Set in a process that is to report.
const REPORT: &str = "FUSED_DENSE_TEST_REPORTS_ISA";

/// The answers of a layer and a stand-alone activation, in words.
fn report() -> String {
    let layer = Dense::new(2, 2, Activation::Sigmoid);
    let mut a = [0.0];
    let alone = Activation::Tanh.forward(&[1.0], &mut a);
    let raised = layer.clone().with_isa(Isa::Avx512).isa();
    format!("layer {:?}, alone {alone:?}, raised {raised:?}", layer.isa())
}

/// The report that a process must give whose variable caps at `cap`, or is wrong.
fn expected(cap: Result<Isa, Error>) -> String {
    let isas = support::isas::promised();
    let best = |cap: Isa| match isas.iter().find(|isa| **isa <= cap) {
        Some(isa) => Ok(*isa),
        None => Err(Error::IsaNotBuilt { cap, lowest: isas[isas.len() - 1] }),
    };
    let layer = cap.and_then(best);
    let alone = layer.clone().map(|_| ());
    format!("layer {layer:?}, alone {alone:?}, raised {:?}", best(Isa::Avx512))
}

#[test]
fn the_variable_caps_the_default_alone() {
    if std::env::var_os(REPORT).is_some() {
        println!("{}", report());
        return;
    }
    let check = |value: Option<&OsStr>, cap: Result<Isa, Error>| {
        let mut process = Command::new(std::env::current_exe().expect("this test's path"));
        process.args(["the_variable_caps_the_default_alone", "--exact", "--nocapture"]);
        process.env(REPORT, "1").env_remove(ISA_VARIABLE).envs(value.map(|value| (ISA_VARIABLE, value)));
        let output = process.output().expect("a process");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{value:?}: {text}");
        let expected = expected(cap);
        assert!(text.contains(&expected), "{value:?}: expected {expected:?} in {text:?}");
    };
    let highest = Isa::ALL[Isa::ALL.len() - 1];
    check(None, Ok(highest));
    for blank in ["", " ", "\t \n"] {
        check(Some(blank.as_ref()), Ok(highest));
    }
    for (value, cap) in [
        ("portable", Isa::Portable),
        ("neon", Isa::Neon),
        ("avx2", Isa::Avx2),
        ("avx512", Isa::Avx512),
        ("AVX2", Isa::Avx2),
        ("avx2 ", Isa::Avx2),
        ("\tPortable\n", Isa::Portable),
    ] {
        check(Some(value.as_ref()), Ok(cap));
    }
    for found in ["nonsense", "avx", "avx2,avx512", " sse"] {
        check(Some(found.as_ref()), Err(Error::UnknownIsa { found }));
    }
    #[cfg(unix)]
    check(
        Some(std::os::unix::ffi::OsStrExt::from_bytes(b"avx2\xff")),
        Err(Error::UnknownIsa { found: "avx2\u{fffd}" }),
    );
}
