//! The optimiser's state shared out: each rank's slices.

use crate::engine::Engine;
use crate::error::Error;
use crate::layout::{Array, Piece, slice};
use crate::tags;
use core::ops::Range;
use fused_dense::{Layer, Network, Operand};

impl Engine<'_> {
    /// A rank's slices of the parameters.
    fn slices(&self, rank: usize) -> Vec<Range<usize>> {
        let ranks = self.links.size();
        let stretches = self.buckets.iter().flat_map(|layers| self.layout.stretches(layers, ranks));
        stretches.map(|stretch| slice(&stretch, rank, ranks)).filter(|slice| !slice.is_empty()).collect()
    }

    /// A rank's slices by arrays.
    fn pieces(&self, rank: usize) -> Vec<Piece> {
        self.slices(rank).iter().flat_map(|slice| self.layout.pieces(slice)).collect()
    }

    /// The values of the memory that stand at a piece, behind `totals`.
    fn place(totals: usize, piece: &Piece) -> Range<usize> {
        totals + piece.at..totals + piece.at + piece.range.len()
    }

    /// The first gradient of this rank's slices that is not finite.
    pub(crate) fn first_not_finite(&mut self, totals: usize) -> Option<(usize, Operand)> {
        let mut pieces = self.pieces(self.links.rank());
        pieces.sort_by_key(|piece| piece.at);
        let is_finite = |piece: &Piece| {
            // SAFETY: no request is under way.
            let gradient = unsafe { self.links.memory().values(Self::place(totals, piece)) };
            gradient.iter().all(|value| value.is_finite())
        };
        let piece = pieces.into_iter().find({
            let mut is_finite = is_finite;
            move |piece| !is_finite(piece)
        })?;
        Some((piece.layer, if piece.array == Array::Weights { Operand::DW } else { Operand::DB }))
    }

    /// A step of the optimiser along the totals, by each rank in its slices, which all others get.
    pub(crate) fn update_slices(&mut self, network: &mut Network, totals: usize) -> Result<(), Error> {
        let step = network.steps() + 1;
        for piece in self.pieces(self.links.rank()) {
            // SAFETY: no request is under way.
            let values = unsafe { self.links.memory().values_mut(Self::place(totals, &piece)) };
            let parameters = update(network, &piece, step, values)?;
            values.copy_from_slice(&parameters);
        }
        self.gather(totals, None)?;
        for rank in 0..self.links.size() {
            for piece in self.pieces(rank) {
                // SAFETY: no request is under way.
                let values = unsafe { self.links.memory().values(Self::place(totals, &piece)) };
                let layer = &mut network.layers_mut()[piece.layer];
                let array = match piece.array {
                    Array::Weights => layer.w_mut(),
                    Array::Bias => layer.b_mut(),
                };
                array[piece.range.clone()].copy_from_slice(values);
            }
        }
        network.set_steps(step);
        network.forget_gradients();
        Ok(())
    }

    /// Gets every rank's slices of the optimiser's arrays: on all ranks, or on one.
    pub(crate) fn gather_state(&mut self, network: &mut Network, to: Option<usize>) -> Result<(), Error> {
        self.links.make_room(self.layout.len())?;
        let (rank, size) = (self.links.rank(), self.links.size());
        for array in 0..network.optimizer().state_arrays() {
            for piece in self.pieces(rank) {
                // SAFETY: no request is under way.
                let values = unsafe { self.links.memory().values_mut(Self::place(0, &piece)) };
                if let Some(state) = state_of(&mut network.layers_mut()[piece.layer], &piece).nth(array) {
                    values.copy_from_slice(state);
                }
            }
            self.gather(0, to)?;
            let senders = if to.is_none_or(|to| to == rank) { 0..size } else { 0..0 };
            let senders = senders.filter(|sender| *sender != rank);
            for piece in senders.flat_map(|sender| self.pieces(sender)).collect::<Vec<_>>() {
                // SAFETY: no request is under way.
                let values = unsafe { self.links.memory().values(Self::place(0, &piece)) };
                if let Some(state) = state_of(&mut network.layers_mut()[piece.layer], &piece).nth(array) {
                    state.copy_from_slice(values);
                }
            }
        }
        Ok(())
    }

    /// Sends this rank's slices of the memory to all others, or to one, and gets theirs.
    fn gather(&mut self, totals: usize, to: Option<usize>) -> Result<(), Error> {
        let at = |slice: Range<usize>| totals + slice.start..totals + slice.end;
        let rank = self.links.rank();
        for peer in self.links.others() {
            for slice in self.slices(peer).into_iter().filter(|_| to.is_none_or(|to| to == rank)) {
                // SAFETY: nobody looks at other ranks' slices before `finish`.
                unsafe { self.links.receive(at(slice), peer, tags::SLICES)? };
            }
            for slice in self.slices(rank).into_iter().filter(|_| to.is_none_or(|to| to == peer)) {
                // SAFETY: nobody writes before `finish`.
                unsafe { self.links.send(at(slice), peer, tags::SLICES)? };
            }
        }
        self.links.finish()
    }
}

/// The optimiser's arrays at a piece.
fn state_of<'l>(layer: &'l mut Layer, piece: &Piece) -> impl Iterator<Item = &'l mut [f32]> {
    let (array, range) = (piece.array, piece.range.clone());
    layer.optimizer_state_mut().map(move |[of_w, of_b]| match array {
        Array::Weights => &mut of_w[range.clone()],
        Array::Bias => &mut of_b[range.clone()],
    })
}

/// The parameters of a piece after a step along their gradients, and the optimiser's arrays with them.
fn update(network: &mut Network, piece: &Piece, step: u64, gradients: &[f32]) -> Result<Vec<f32>, Error> {
    let optimizer = network.optimizer();
    let layer = &mut network.layers_mut()[piece.layer];
    let (optimizer, values) = match piece.array {
        Array::Weights => (optimizer, layer.w()),
        Array::Bias => (optimizer.without_weight_decay(), layer.b()),
    };
    let mut parameters = values[piece.range.clone()].to_vec();
    let isa = layer.dense().isa()?;
    let mut state: Vec<&mut [f32]> = state_of(layer, piece).collect();
    optimizer.apply_with_isa(isa, step, &mut parameters, gradients, &mut state)?;
    Ok(parameters)
}
