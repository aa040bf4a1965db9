//! Ranges cut into pieces, and pieces that are alike taken together.

use core::ops::Range;

/// A range cut into the fewest pieces of at most `most` elements, as equal as multiples of `grain` allow.
#[derive(Clone)]
pub(super) struct Chunks {
    next: usize,
    end: usize,
    count: usize,
    /// Length of a piece, and how many pieces are one grain longer.
    len: usize,
    longer: usize,
    grain: usize,
    /// Elements that the first piece lacks.
    lead: usize,
}

impl Chunks {
    /// `grain` is a power of two.
    #[inline(always)]
    pub(super) fn new(range: Range<usize>, most: usize, grain: usize) -> Self {
        Self::within_grains(range, 0, most, grain)
    }

    /// The same of a range that begins `lead` elements, less than a grain, behind a multiple of `grain`, at which all pieces but the
    /// first begin.
    #[inline(always)]
    pub(super) fn within_grains(range: Range<usize>, lead: usize, most: usize, grain: usize) -> Self {
        // A tile or less is the common case of small layers, to which a division is worth as much as a tile.
        let shift = grain.trailing_zeros();
        let grains = (lead + range.len() + grain - 1) >> shift;
        let most = most >> shift;
        let (count, each) = if grains <= most { (usize::from(grains > 0), grains) } else { Self::shares(grains, most) };
        let longer = grains - each * count;
        Self { next: range.start, end: range.end, count, len: each * grain, longer, grain, lead }
    }

    /// Chunks of `len` elements, the last of what is left.
    pub(super) fn of_len(range: Range<usize>, len: usize) -> Self {
        let count = range.len().div_ceil(len);
        Self { next: range.start, end: range.end, count, len, longer: 0, grain: len, lead: 0 }
    }

    fn shares(grains: usize, most: usize) -> (usize, usize) {
        let count = grains.div_ceil(most);
        (count, grains / count)
    }

    /// Chunks that are left.
    pub(super) fn left(&self) -> usize {
        self.count
    }

    /// Length of the longest piece.
    pub(super) fn longest(&self) -> usize {
        (self.len + if self.longer > 0 { self.grain } else { 0 }).min(self.end - self.next)
    }

    /// The first piece, if it is shorter than the others because of where it begins.
    #[inline(always)]
    pub(super) fn take_cut(&mut self) -> Option<Range<usize>> {
        if self.lead == 0 { None } else { self.next() }
    }

    /// The pieces in runs of one length, but for [the first](Self::take_cut), which has to be taken before; the last of all may be
    /// cut, and then is a run of its own. Runs may be empty.
    #[inline(always)]
    pub(super) fn runs(&self) -> [Run; 3] {
        debug_assert_eq!(self.lead, 0);
        let first = Run { start: self.next, count: self.longer, len: self.len + self.grain };
        let (start, count) = (first.start + first.count * first.len, self.count - self.longer);
        let is_cut = start + count * self.len > self.end;
        let second = Run { start, count: count - usize::from(is_cut), len: self.len };
        let start = start + second.count * second.len;
        [first, second, Run { start, count: usize::from(is_cut), len: self.end.wrapping_sub(start) }]
    }
}

impl Iterator for Chunks {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.count == 0 {
            return None;
        }
        self.count -= 1;
        let extra = if self.longer > 0 { self.grain } else { 0 };
        self.longer = self.longer.saturating_sub(1);
        let start = self.next;
        self.next = (start + self.len + extra - self.lead).min(self.end);
        self.lead = 0;
        Some(start..self.next)
    }
}

/// Rows cut into tiles, in runs of tiles of one height.
pub(super) struct Runs {
    next: usize,
    counts: [usize; 2],
    lens: [usize; 2],
    width: usize,
    max_len: usize,
    last: usize,
}

/// Chunks of one length, one behind the other.
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) len: usize,
}

impl Run {
    /// One piece.
    #[inline(always)]
    pub(super) fn of_one(range: &Range<usize>) -> Self {
        Self { start: range.start, count: 1, len: range.len() }
    }

    /// Where its pieces start.
    #[inline(always)]
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        let (start, len) = (self.start, self.len);
        (0..self.count).map(move |index| start + index * len)
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.count * self.len
    }
}

impl Runs {
    /// The pieces, of which each is a tile, in runs of at most `max_len` elements of an output `width` across, or of one tile.
    /// No run has both any of the `last` tiles and others.
    #[inline(always)]
    pub(super) fn activated(pieces: Chunks, width: usize, max_len: usize, last: usize) -> Self {
        let counts = [pieces.longer, pieces.count - pieces.longer];
        Self { next: pieces.next, counts, lens: [pieces.len + 1, pieces.len], width, max_len, last }
    }
}

impl Iterator for Runs {
    type Item = Run;

    #[inline(always)]
    fn next(&mut self) -> Option<Run> {
        let kind = usize::from(self.counts[0] == 0);
        let (len, left) = (self.lens[kind], self.counts[kind]);
        if left == 0 {
            return None;
        }
        // The division only where it decides.
        let tile_len = len * self.width;
        let count = match left * tile_len <= self.max_len {
            true => left,
            false => (self.max_len / tile_len).clamp(1, left),
        };
        let before_last = (self.counts[0] + self.counts[1]).saturating_sub(self.last);
        let count = if before_last > 0 { count.min(before_last) } else { count };
        let start = self.next;
        self.counts[kind] -= count;
        self.next += count * len;
        Some(Run { start, count, len })
    }
}

#[cfg(test)]
mod tests;
