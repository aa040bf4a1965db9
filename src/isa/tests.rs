use super::spec::{ISA_SPECS, IsaSpec};
use super::*;
use crate::tuning::Tuning;

/// The specification's rows that belong in this build's table: those of the target, down to the first that every CPU
/// of the target has; under Miri those of no target.
fn rows() -> Vec<&'static IsaSpec> {
    let is_of_arch = |spec: &&IsaSpec| spec.arch.is_none_or(|arch| !cfg!(miri) && arch == std::env::consts::ARCH);
    let of_arch = ISA_SPECS.iter().filter(is_of_arch);
    let mut rows = Vec::new();
    for spec in of_arch {
        rows.push(spec);
        if spec.features.iter().all(|feature| is_baseline(feature)) {
            break;
        }
    }
    rows
}

/// Whether the build may use a target feature without detection.
fn is_baseline(feature: &str) -> bool {
    match feature {
        "neon" => cfg!(target_feature = "neon"),
        "avx2" => cfg!(target_feature = "avx2"),
        "fma" => cfg!(target_feature = "fma"),
        "avx512f" => cfg!(target_feature = "avx512f"),
        "avx512vl" => cfg!(target_feature = "avx512vl"),
        other => panic!("a feature that this test must learn: {other}"),
    }
}

#[test]
fn the_table_is_what_the_specification_says() {
    let rows = rows();
    assert_eq!(TABLE.len(), rows.len());
    for (kernels, spec) in TABLE.iter().zip(rows) {
        assert_eq!(kernels.isa.name(), spec.name);
        assert_eq!(format!("{:?}", kernels.isa), spec.variant);
        assert_eq!(spec.token, spec.variant, "the token bears the instruction set's name");
        assert_eq!((kernels.lanes, kernels.panel_vectors), (spec.lanes, spec.panel_vectors));
        let rows = Tuning::all().iter().filter(|tuning| tuning.isa == spec.name);
        assert!(rows.clone().any(Tuning::is_general), "a general tuning row");
        // Kernels that mask the last vector of every tile at no cost have no reason to copy rows of broken vectors, unless a CPU's
        // row has one.
        let mut general = rows.clone().filter(|tuning| tuning.is_general());
        assert!(general.all(|tuning| (tuning.copy_broken_min_len == usize::MAX) == spec.masked_loads_are_free));
        assert_eq!(kernels.narrow.is_some(), spec.has_quads);
        assert_eq!(kernels.outer_by_halves.is_some(), spec.half.is_some());
        assert_eq!(kernels.half_last_tiles.is_some(), spec.half.is_some());
        for half in ISA_SPECS.iter().filter(|other| Some(other.token) == spec.half) {
            assert_eq!(2 * half.lanes, spec.lanes);
        }
        let rungs = |ladder: &[&[TilesKernel]]| ladder.iter().map(|rung| rung.len()).collect::<Vec<_>>();
        assert_eq!(rungs(kernels.tiles), spec.masked_tile_rows);
        assert_eq!(rungs(kernels.padded_tiles), spec.tile_rows);
        // They take the place of either table.
        if let Some(tiles) = kernels.half_last_tiles {
            assert_eq!((rungs(tiles).as_slice(), spec.masked_tile_rows), (spec.tile_rows, spec.tile_rows));
        }
        let dots: Vec<usize> = kernels.dot_tiles.iter().map(|rung| rung.len()).collect();
        assert_eq!((dots.as_slice(), kernels.tall_dot_rows), (spec.dot_cols, spec.tall_dot_rows));
        let rungs = |ladder: &[&[ColumnsKernel]]| ladder.iter().map(|rung| rung.len()).collect::<Vec<_>>();
        assert_eq!(rungs(kernels.short_dots), spec.short_dot_vectors);
        assert_eq!(rungs(kernels.cut_short_dots), spec.cut_short_dot_vectors);
        assert_eq!(SUM_LANES % kernels.lanes, 0);
    }
}

#[test]
fn the_best_comes_first() {
    assert!(TABLE.windows(2).all(|pair| pair[0].isa > pair[1].isa));
    assert!(Isa::ALL.is_sorted());
    assert!(Isa::available().is_sorted_by(|a, b| a > b));
}

#[test]
fn the_last_row_runs_everywhere() {
    let last = TABLE[TABLE.len() - 1];
    assert!((last.detect)());
    assert_eq!(select(last.isa).map(|target| target.kernels.isa), Ok(last.isa));
}

#[test]
fn selection_takes_the_best_below_the_cap() {
    for &cap in Isa::ALL {
        let best = Isa::available().into_iter().find(|isa| *isa <= cap);
        assert_eq!(select(cap).ok().map(|target| target.kernels.isa), best, "{cap}");
    }
}

#[test]
fn activations_stand_at_their_index() {
    for (index, activation) in ACTIVATIONS.iter().enumerate() {
        assert_eq!(activation.index(), index);
    }
}
