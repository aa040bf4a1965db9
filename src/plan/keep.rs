//! Plans that are kept from one call to the next.

use super::{Plan, Question, plan};

/// Most products of one call that are alike from call to call: forward, and of a backward pass `dA_prev` and `dw` of whole chunks
/// of the batch and of the last one.
const SLOTS: usize = 5;

/// Which product of a call a plan is for.
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    Forward,
    DAPrev,
    DW,
    /// The same of chunks of the batch before the last one.
    WholeDAPrev,
    WholeDW,
}

/// The last plan of each product.
#[derive(Clone, Default)]
pub(crate) struct Plans([Option<Kept>; SLOTS]);

#[derive(Clone)]
struct Kept {
    question: Question,
    plan: Plan,
}

impl Plans {
    /// The plan that answers the question: the last one in this slot where that was asked the same, else a new one.
    ///
    /// The question comes as fields and is put together only for a new plan: a small product would wait for its own stores.
    #[inline(always)]
    pub(crate) fn get(&mut self, slot: Slot, asked: &impl Asked) -> &Plan {
        let kept = &mut self.0[slot as usize];
        if kept.as_ref().is_none_or(|kept| !asked.is(&kept.question)) {
            *kept = Some(new(asked.question()));
        }
        match kept {
            Some(kept) => &kept.plan,
            None => unreachable!("a plan was just kept"),
        }
    }
}

/// A question that can be compared field by field.
pub(crate) trait Asked {
    fn is(&self, question: &Question) -> bool;
    fn question(&self) -> Question;
}

#[cold]
#[inline(never)]
fn new(question: Question) -> Kept {
    Kept { question, plan: plan(&question) }
}
