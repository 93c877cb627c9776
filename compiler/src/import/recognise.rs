//! Functions that exporters and tract spell out, as one node again.
//!
//! A pattern is rewritten at its last node, in place; what it leaves unread is
//! removed. Constants must be the function's own up to rounding.

use crate::ir::{Constant, Graph, Op, ValueId};
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::table::{Reduce, Softmax, UnaryOp};

/// A rewritten node.
type Rewrite = (Op, Vec<ValueId>);
type Rule = fn(&Matcher<'_>, ValueId) -> Option<Rewrite>;

/// In this order: later rules build on what earlier ones made of earlier nodes.
const RULES: &[Rule] = &[
    clip,
    square,
    mean,
    sum_of_squares,
    log_softmax,
    hard_sigmoid,
    gated,
];

pub(super) fn recognise(graph: &mut Graph) {
    let producers: Vec<Option<usize>> = graph
        .producers()
        .into_iter()
        .map(|p| p.map(|n| n.0))
        .collect();
    for n in 0..graph.nodes.len() {
        let [result] = graph.nodes[n].outputs[..] else {
            continue;
        };
        let matcher = Matcher {
            graph,
            producers: &producers,
        };
        let rewrite = RULES.iter().find_map(|rule| {
            let (op, inputs) = rule(&matcher, result)?;
            // Scalars never enlarge a result; a pattern that does is left alone.
            let same = matches!(op, Op::Reduce(_))
                || inputs.iter().all(|&i| graph.ty(i) == graph.ty(result));
            same.then_some((op, inputs))
        });
        if let Some((op, inputs)) = rewrite {
            graph.nodes[n].op = op;
            graph.nodes[n].inputs = inputs.into_iter().map(Some).collect();
        }
    }
    graph.remove_dead();
}

struct Matcher<'g> {
    graph: &'g Graph,
    producers: &'g [Option<usize>],
}

impl Matcher<'_> {
    fn producer(&self, v: ValueId) -> Option<(&Op, Vec<ValueId>)> {
        let node = &self.graph.nodes[self.producers[v.0]?];
        Some((&node.op, node.inputs.iter().flatten().copied().collect()))
    }

    fn unary(&self, v: ValueId) -> Option<(Unary, ValueId)> {
        match self.producer(v)? {
            (Op::UnaryOp(op), inputs) => Some((op.function, *inputs.first()?)),
            _ => None,
        }
    }

    fn of(&self, v: ValueId, kind: UnaryKind) -> Option<ValueId> {
        self.unary(v)
            .filter(|(f, _)| f.kind == kind)
            .map(|(_, x)| x)
    }

    fn binary(&self, v: ValueId, kind: BinaryKind) -> Option<(ValueId, ValueId)> {
        match self.producer(v)? {
            (Op::BinaryOp(op), inputs) if op.function == kind => match inputs[..] {
                [a, b] => Some((a, b)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The one f32 element of a constant.
    fn scalar(&self, v: ValueId) -> Option<f32> {
        match self.graph.constant(v)?.as_ref() {
            Constant::Dense(t) => match t.as_f32()? {
                [one] => Some(*one),
                _ => None,
            },
            Constant::Scaled(_) => None,
        }
    }

    /// A commutative function with one scalar operand: the other and the scalar.
    fn with_scalar(&self, v: ValueId, kind: BinaryKind) -> Option<(ValueId, f32)> {
        let (a, b) = self.binary(v, kind)?;
        match (self.scalar(a), self.scalar(b)) {
            (None, Some(c)) => Some((a, c)),
            (Some(c), None) => Some((b, c)),
            _ => None,
        }
    }

    /// A product taken apart: its scalars together, and its other factors.
    fn factors(&self, v: ValueId) -> (f32, Vec<ValueId>) {
        let (mut scalar, mut factors) = (1.0, vec![]);
        self.collect(v, 4, &mut scalar, &mut factors);
        (scalar, factors)
    }

    fn collect(&self, v: ValueId, depth: usize, scalar: &mut f32, factors: &mut Vec<ValueId>) {
        if let Some(c) = self.scalar(v) {
            *scalar *= c;
        } else if let (Some((a, b)), 1..) = (self.binary(v, BinaryKind::Mul), depth) {
            self.collect(a, depth - 1, scalar, factors);
            self.collect(b, depth - 1, scalar, factors);
        } else if let (Some((a, b)), 1..) = (self.binary(v, BinaryKind::Div), depth)
            && let Some(c) = self.scalar(b)
        {
            *scalar /= c;
            self.collect(a, depth - 1, scalar, factors);
        } else if let (Some(x), 1..) = (self.of(v, UnaryKind::Square), depth) {
            self.collect(x, depth - 1, scalar, factors);
            self.collect(x, depth - 1, scalar, factors);
        } else if let (Some((x, 3.0)), 1..) = (self.power(v), depth) {
            for _ in 0..3 {
                self.collect(x, depth - 1, scalar, factors);
            }
        } else {
            factors.push(v);
        }
    }

    fn power(&self, v: ValueId) -> Option<(ValueId, f32)> {
        let (x, exponent) = self.binary(v, BinaryKind::Pow)?;
        Some((x, self.scalar(exponent)?))
    }
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * b.abs()
}

fn function(kind: UnaryKind, alpha: f32, beta: f32, x: ValueId) -> Option<Rewrite> {
    Some((
        UnaryOp {
            function: Unary { kind, alpha, beta },
        }
        .into(),
        vec![x],
    ))
}

/// `min(max(x, a), b)`, either alone, and Relu.
fn clip(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let (x, low, high) = match (
        m.with_scalar(v, BinaryKind::Max),
        m.with_scalar(v, BinaryKind::Min),
    ) {
        (Some((x, low)), _) => (x, low, f32::INFINITY),
        (_, Some((x, high))) => (x, f32::NEG_INFINITY, high),
        _ => return None,
    };
    let (x, low, high) = match m.unary(x) {
        Some((
            Unary {
                kind: UnaryKind::Relu,
                ..
            },
            before,
        )) => (before, low.max(0.0), high),
        Some((
            Unary {
                kind: UnaryKind::Clip,
                alpha,
                beta,
            },
            before,
        )) => (before, low.max(alpha), high.min(beta)),
        _ => (x, low, high),
    };
    // Otherwise the order of the two would matter, and NaN says nothing.
    if low > high || low.is_nan() || high.is_nan() {
        return None;
    }
    match (low, high) {
        (0.0, f32::INFINITY) => function(UnaryKind::Relu, 0.0, 0.0, x),
        _ => function(UnaryKind::Clip, low, high, x),
    }
}

/// `x ^ 2` and `x * x`.
fn square(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let x = match (m.power(v), m.binary(v, BinaryKind::Mul)) {
        (Some((x, 2.0)), _) => x,
        (_, Some((a, b))) if a == b && m.graph.ty(a).dtype == DType::F32 => a,
        _ => return None,
    };
    function(UnaryKind::Square, 0.0, 0.0, x)
}

fn reduction(m: &Matcher<'_>, v: ValueId) -> Option<(Reduce, ValueId)> {
    match m.producer(v)? {
        (Op::Reduce(op), inputs) => Some((*op, *inputs.first()?)),
        _ => None,
    }
}

/// A sum divided by the number of its terms.
fn mean(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let (sum, count) = m.binary(v, BinaryKind::Div)?;
    let count = m.scalar(count)?;
    let (op, x) = reduction(m, sum).filter(|(op, _)| op.function == ReduceKind::Sum)?;
    let shape = &m.graph.ty(x).shape;
    let terms: usize = shape
        .iter()
        .enumerate()
        .filter(|(i, _)| op.axes >> i & 1 == 1)
        .map(|(_, d)| d)
        .product();
    if terms as f32 != count || m.graph.ty(sum) != m.graph.ty(v) {
        return None;
    }
    Some((
        Reduce {
            function: ReduceKind::Mean,
            ..op
        }
        .into(),
        vec![x],
    ))
}

fn sum_of_squares(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let (op, squares) = reduction(m, v).filter(|(op, _)| op.function == ReduceKind::Sum)?;
    let x = m.of(squares, UnaryKind::Square)?;
    Some((
        Reduce {
            function: ReduceKind::SumSquare,
            ..op
        }
        .into(),
        vec![x],
    ))
}

fn log_softmax(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    match m.producer(m.of(v, UnaryKind::Log)?)? {
        (Op::Softmax(op), inputs) if !op.log => Some((Softmax { log: true, ..*op }.into(), inputs)),
        _ => None,
    }
}

/// `clip(x + 3, 0, 6)` as x.
fn shifted_relu6(m: &Matcher<'_>, v: ValueId) -> Option<ValueId> {
    let (f, shifted) = m.unary(v)?;
    let (x, shift) = m.with_scalar(shifted, BinaryKind::Add)?;
    (f == Unary {
        kind: UnaryKind::Clip,
        alpha: 0.0,
        beta: 6.0,
    } && shift == 3.0)
        .then_some(x)
}

/// `clip(x + 3, 0, 6) / 6`.
fn hard_sigmoid(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let (scalar, factors) = m.factors(v);
    match factors[..] {
        [f] if f != v && near(scalar, 1.0 / 6.0) => {
            function(UnaryKind::HardSigmoid, 1.0 / 6.0, 0.5, shifted_relu6(m, f)?)
        }
        _ => None,
    }
}

/// `x * gate(x)`: SiLU, HardSwish, Mish, and GELU with its half.
fn gated(m: &Matcher<'_>, v: ValueId) -> Option<Rewrite> {
    let (scalar, factors) = m.factors(v);
    let [a, b] = factors[..] else { return None };
    for (x, gate) in [(a, b), (b, a)] {
        let kind = gate_kind(m, scalar, x, gate);
        if let Some(kind) = kind {
            return function(kind, 0.0, 0.0, x);
        }
    }
    None
}

fn gate_kind(m: &Matcher<'_>, scalar: f32, x: ValueId, gate: ValueId) -> Option<UnaryKind> {
    if near(scalar, 1.0 / 6.0) && shifted_relu6(m, gate) == Some(x) {
        return Some(UnaryKind::HardSwish);
    }
    if scalar == 0.5 {
        let (inner, 1.0) = m.with_scalar(gate, BinaryKind::Add)? else {
            return None;
        };
        if let Some(u) = m.of(inner, UnaryKind::Erf) {
            return (scaled(m, u, x, FRAC_1_SQRT_2) || scaled(m, u, x, 1.0 / SQRT_2))
                .then_some(UnaryKind::Gelu);
        }
        return is_gelu_argument(m, m.of(inner, UnaryKind::Tanh)?, x)
            .then_some(UnaryKind::GeluTanh);
    }
    let (f, u) = m.unary(gate)?;
    match f.kind {
        _ if scalar != 1.0 => None,
        UnaryKind::Sigmoid if u == x => Some(UnaryKind::Silu),
        UnaryKind::HardSigmoid if u == x && near(f.alpha, 1.0 / 6.0) && f.beta == 0.5 => {
            Some(UnaryKind::HardSwish)
        }
        UnaryKind::Tanh if m.of(u, UnaryKind::Softplus) == Some(x) => Some(UnaryKind::Mish),
        _ => None,
    }
}

/// Whether `v` is `x * factor`.
fn scaled(m: &Matcher<'_>, v: ValueId, x: ValueId, factor: f32) -> bool {
    let (scalar, factors) = m.factors(v);
    factors == [x] && near(scalar, factor)
}

/// Whether `v` is `sqrt(2 / pi) * (x + 0.044715 * x^3)`, as written or multiplied out.
fn is_gelu_argument(m: &Matcher<'_>, v: ValueId, x: ValueId) -> bool {
    let (outer, factors) = m.factors(v);
    let [sum] = factors[..] else { return false };
    let Some((a, b)) = m.binary(sum, BinaryKind::Add) else {
        return false;
    };
    let cubic = |v| {
        let (scalar, factors) = m.factors(v);
        near(scalar, 0.044715) && factors == [x, x, x]
    };
    near(outer, 0.797_884_6) && ((a == x && cubic(b)) || (b == x && cubic(a)))
}
