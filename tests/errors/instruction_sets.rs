//! Instruction sets that a build does not hold, or whose names nobody knows.

use crate::support::isas;
use crate::support::stored::{CANARY, is_canary};
use fused_dense::{Activation, Dense, Error, Isa};

/// A build for a newer CPU holds no kernels for older ones, and says so when they are asked for.
#[test]
fn a_cap_below_what_the_build_holds() {
    let lowest = *isas::all().last().expect("an instruction set");
    for &cap in Isa::ALL {
        let layer = Dense::new(1, 1, Activation::Sigmoid).with_isa(cap);
        let mut a = [CANARY];
        let forward = layer.clone().forward(&[1.0], &[1.0], &[0.0], &mut a);
        if cap < lowest {
            let error = Error::IsaNotBuilt { cap, lowest };
            assert_eq!((layer.isa(), layer.workspace_len()), (Err(error.clone()), Err(error.clone())));
            assert_eq!(layer.describe(1).err(), Some(error.clone()));
            assert_eq!(forward, Err(error.clone()));
            assert_eq!(Activation::Tanh.forward_with_isa(cap, &[1.0], &mut a), Err(error));
            assert!(is_canary(a[0]));
        } else {
            let best = Isa::available().into_iter().find(|isa| *isa <= cap).expect("one at or below the cap");
            assert_eq!((layer.isa(), forward), (Ok(best), Ok(())));
        }
    }
    if cfg!(all(target_feature = "avx512f", target_feature = "avx512vl")) {
        assert_eq!(Isa::available(), [Isa::Avx512], "one row is left of the kernel table");
    }
    if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
        assert_eq!(Isa::available(), [Isa::Neon], "one row is left of the kernel table");
    }
}

#[test]
fn instruction_sets_are_read_from_their_names() {
    for &isa in Isa::ALL {
        let name = isa.name();
        for text in [name.to_string(), name.to_uppercase(), format!(" {name}\t")] {
            assert_eq!(text.parse(), Ok(isa), "{text:?}");
        }
    }
    for text in ["", " ", "avx", "avx2x", "avx 2", "sse"] {
        let error = text.parse::<Isa>().expect_err("no instruction set");
        assert_eq!(error.found, text);
        let message = error.to_string();
        assert!(Isa::ALL.iter().all(|isa| message.contains(isa.name())), "{message}");
        assert!(message.ends_with(&format!("found {text:?}")), "{message}");
    }
}
