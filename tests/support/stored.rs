//! Operands in memory: a matrix of any layout, with canaries wherever a call has no business.

use super::compare::same_bits;
use core::mem::MaybeUninit;
use core::ops::DerefMut;
use fused_dense::{Input, MatrixView, MatrixViewMut, Operand, Output};

/// Fills every place that a call must not read or write, and every output that it must overwrite. A NaN, so that a
/// call which computes with it shows; with a payload of its own, so that a call which writes another NaN shows too.
pub(crate) const CANARY: f32 = f32::from_bits(0x7fc0_dead);

pub(crate) fn is_canary(x: f32) -> bool {
    x.to_bits() == CANARY.to_bits()
}

/// Memory that holds an operand.
pub(crate) type Memory = Box<dyn DerefMut<Target = [f32]>>;

/// How a matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layout {
    /// A plain slice.
    Slice,
    /// A view of row-major memory: `step` from column to column, `gap` behind each row.
    Rows { step: usize, gap: usize },
    /// A view of column-major memory: `step` from row to row, `gap` behind each column.
    Columns { step: usize, gap: usize },
    /// A view of one row, repeated by a stride of 0.
    RepeatedRow,
    /// A view of one column, repeated by a stride of 0.
    RepeatedColumn,
    /// A view of a plain slice with this stride wherever nothing stands a stride further on.
    Unused(usize),
}

impl Layout {
    /// `(row_stride, col_stride)` of a `rows × cols` matrix.
    pub(crate) fn strides(self, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Self::Slice => (cols, 1),
            Self::Rows { step, gap } => (cols * step + gap, step),
            Self::Columns { step, gap } => (step, rows * step + gap),
            Self::RepeatedRow => (0, 1),
            Self::RepeatedColumn => (1, 0),
            Self::Unused(stride) => {
                let is_empty = rows == 0 || cols == 0;
                (if is_empty || rows == 1 { stride } else { cols }, if is_empty || cols == 1 { stride } else { 1 })
            }
        }
    }
}

/// Where a call's operands are put.
#[derive(Clone, Copy)]
pub(crate) struct Placement<'p> {
    pub(crate) layout: &'p dyn Fn(Operand) -> Layout,
    pub(crate) allocate: fn(usize) -> Memory,
    /// Canaries on both sides of each operand.
    pub(crate) margin: usize,
}

impl<'p> Placement<'p> {
    /// Plain slices on the heap.
    pub(crate) const PLAIN: Placement<'static> = Placement::views(&|_| Layout::Slice);

    /// Views on the heap.
    pub(crate) const fn views(layout: &'p dyn Fn(Operand) -> Layout) -> Self {
        Self { layout, allocate: |len| Box::new(vec![0.0; len]), margin: 64 }
    }
}

/// One operand in memory.
pub(crate) struct Stored {
    memory: Memory,
    margin: usize,
    len: usize,
    layout: Layout,
    rows: usize,
    cols: usize,
}

impl Stored {
    /// Memory for an output, all canaries.
    pub(crate) fn canaries(placement: &Placement<'_>, operand: Operand, rows: usize, cols: usize) -> Self {
        let layout = (placement.layout)(operand);
        let (row_stride, col_stride) = layout.strides(rows, cols);
        let is_empty = rows == 0 || cols == 0;
        let len = if is_empty { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 };
        let mut memory = (placement.allocate)(len + 2 * placement.margin);
        memory.fill(CANARY);
        Self { memory, margin: placement.margin, len, layout, rows, cols }
    }

    /// An operand with these elements, given row by row.
    pub(crate) fn new(placement: &Placement<'_>, operand: Operand, rows: usize, cols: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), rows * cols, "{operand}");
        let mut stored = Self::canaries(placement, operand, rows, cols);
        for (at, &value) in values.iter().enumerate() {
            let place = stored.place(at);
            stored.memory[place] = value;
        }
        stored
    }

    pub(crate) fn strides(&self) -> (usize, usize) {
        self.layout.strides(self.rows, self.cols)
    }

    /// The strides of the view that a call is given, or of the slice.
    pub(crate) fn counting_strides(&self) -> (usize, usize) {
        match self.input() {
            Input::View(view) => (view.row_stride(), view.col_stride()),
            _ => self.strides(),
        }
    }

    /// Where element `at`, counted row by row, stands in memory.
    fn place(&self, at: usize) -> usize {
        let (row_stride, col_stride) = self.strides();
        self.margin + at / self.cols * row_stride + at % self.cols * col_stride
    }

    fn view(&self) -> core::ops::Range<usize> {
        self.margin..self.margin + self.len
    }

    pub(crate) fn input(&self) -> Input<'_> {
        let (data, (row_stride, col_stride)) = (&self.memory[self.view()], self.strides());
        match self.layout {
            Layout::Slice => data.into(),
            _ => MatrixView::new(data, self.rows, self.cols, row_stride, col_stride).expect("a valid view").into(),
        }
    }

    pub(crate) fn output(&mut self) -> Output<'_> {
        let ((row_stride, col_stride), view) = (self.strides(), self.view());
        let data = &mut self.memory[view];
        match self.layout {
            Layout::Slice => data.into(),
            _ => MatrixViewMut::new(data, self.rows, self.cols, row_stride, col_stride).expect("a valid view").into(),
        }
    }

    /// The same for a call that overwrites: a view of memory that it must take for uninitialised.
    pub(crate) fn overwritten(&mut self) -> Output<'_> {
        let ((row_stride, col_stride), view) = (self.strides(), self.view());
        let data = &mut self.memory[view];
        if self.layout == Layout::Slice {
            return data.into();
        }
        // SAFETY: the same memory, where a call writes nothing but `f32`s.
        let data = unsafe { &mut *(core::ptr::from_mut(data) as *mut [MaybeUninit<f32>]) };
        MatrixViewMut::from_uninit(data, self.rows, self.cols, row_stride, col_stride).expect("a valid view").into()
    }

    /// The elements, row by row.
    ///
    /// Fails where one was never written, or where anything beside them was.
    #[track_caller]
    pub(crate) fn written(&self, operand: Operand) -> Vec<f32> {
        let mut is_element = vec![false; self.memory.len()];
        let elements = (0..self.rows * self.cols).map(|at| {
            let place = self.place(at);
            is_element[place] = true;
            self.memory[place]
        });
        let elements: Vec<f32> = elements.collect();
        let unwritten = elements.iter().position(|&x| is_canary(x));
        assert_eq!(unwritten, None, "{operand}: element that was not written");
        let outside = (0..self.memory.len()).find(|&at| !is_element[at] && !is_canary(self.memory[at]));
        let from_first = outside.map(|at| at as isize - self.margin as isize);
        assert_eq!(from_first, None, "{operand}: place beside the elements that was written");
        elements
    }

    /// Overwrites one place, counted from the first element.
    pub(crate) fn poke(&mut self, place: isize, x: f32) {
        let at = self.margin.checked_add_signed(place).expect("a place in memory");
        self.memory[at] = x;
    }

    /// Fails where anything but these elements stands in memory.
    #[track_caller]
    pub(crate) fn assert_holds(&self, operand: Operand, values: &[f32]) {
        let elements = self.written(operand);
        assert!(elements.iter().zip(values).all(|(&a, &b)| same_bits(a, b)), "{operand} was written");
    }
}
