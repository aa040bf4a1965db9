use super::*;

/// Pieces lie one behind the other, all but the first begin at a multiple of the grain, and none is longer than the longest.
#[test]
fn pieces_fill_the_range_and_begin_at_grains() {
    const GRAIN: usize = 16;
    for (lead, len) in (0..GRAIN).flat_map(|lead| [1, 15, 16, 17, 63, 64, 65, 272, 784].map(|len| (lead, len))) {
        let range = 100..100 + len;
        let mut chunks = Chunks::within_grains(range.clone(), lead, 4 * GRAIN, GRAIN);
        let (all, longest) = (chunks.clone().collect::<Vec<_>>(), chunks.longest());
        assert_eq!((all[0].start, all[all.len() - 1].end), (range.start, range.end), "{lead}, {len}");
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start), "{lead}, {len}: {all:?}");
        assert!(all[1..].iter().all(|piece| (piece.start - range.start + lead).is_multiple_of(GRAIN)), "{all:?}");
        assert!(all.iter().all(|piece| (1..=longest).contains(&piece.len())) && longest <= 4 * GRAIN, "{all:?}");

        let cut = chunks.take_cut();
        assert_eq!(cut.is_some(), lead > 0);
        let runs = chunks.runs();
        let pieces = runs.iter().flat_map(|run| run.starts().map(|start| start..start + run.len));
        assert_eq!(cut.into_iter().chain(pieces).collect::<Vec<_>>(), all, "{lead}, {len}");
    }
}
