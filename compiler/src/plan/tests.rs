use super::verify::verify;
use super::*;
use crate::ir::{Scale, Type};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use ternrt::ops::table::{BinaryOp, Reshape, UnaryOp};

fn f32s(n: usize) -> Type {
    Type::new(DType::F32, [n])
}

fn relu() -> UnaryOp {
    UnaryOp {
        function: Unary::new(UnaryKind::Relu),
    }
}

fn add() -> BinaryOp {
    BinaryOp {
        function: BinaryKind::Add,
        activation: Unary::IDENTITY,
    }
}

/// A chain of `n` ops on 16 numbers.
fn chain(n: usize) -> Graph {
    let mut g = Graph::default();
    let mut x = g.add_input("x", f32s(16));
    for i in 0..n {
        x = g.emit(&format!("n{i}"), relu(), &[Some(x)]).unwrap();
    }
    g.outputs.push(("y".into(), x));
    g
}

#[test]
fn a_chain_needs_two_buffers() {
    let g = chain(10);
    let p = plan(&g);
    verify(&g, &p).unwrap();
    assert_eq!(p.arena_bytes, 128);
    assert_eq!(p.steps.len(), 10);
}

#[test]
fn a_residual_keeps_its_operand() {
    let mut g = chain(1);
    let x = g.outputs.pop().unwrap().1;
    let a = g.emit("a", relu(), &[Some(x)]).unwrap();
    let b = g.emit("b", relu(), &[Some(a)]).unwrap();
    let y = g.emit("y", add(), &[Some(b), Some(x)]).unwrap();
    g.outputs.push(("y".into(), y));
    let p = plan(&g);
    verify(&g, &p).unwrap();
    assert_eq!(p.arena_bytes, 192);
}

#[test]
fn reshapes_vanish_but_for_input_to_output() {
    let mut g = Graph::default();
    let x = g.add_input("x", f32s(16));
    let a = g
        .emit_as("a", Reshape {}, &[Some(x)], Type::new(DType::F32, [4, 4]))
        .unwrap();
    let b = g.emit("b", relu(), &[Some(a)]).unwrap();
    let c = g.emit_as("c", Reshape {}, &[Some(b)], f32s(16)).unwrap();
    g.outputs = vec![("c".into(), c)];
    let p = plan(&g);
    verify(&g, &p).unwrap();
    assert_eq!(p.steps, [1]);
    assert_eq!(p.block(a), p.block(x));
    assert_eq!(p.arena_bytes, 128);

    g.outputs = vec![("a".into(), a), ("c".into(), c)];
    let p = plan(&g);
    verify(&g, &p).unwrap();
    assert_eq!(p.steps, [0, 1]);
}

/// What a dead reshape would rename may be gone when it comes.
#[test]
fn a_dead_reshape_keeps_nothing_alive() {
    let mut g = chain(3);
    let first = g.nodes[0].outputs[0];
    g.emit_as("dead", Reshape {}, &[Some(first)], f32s(16))
        .unwrap();
    let p = plan(&g);
    verify(&g, &p).unwrap();
    assert_eq!(p.arena_bytes, 128);
}

#[test]
fn dynamic_scales_live_as_long_as_their_values() {
    let mut g = Graph::default();
    let x = g.add_input("x", f32s(64));
    let q = g.emit_quantize("q", x, 127, None).unwrap();
    let other = g.emit("other", relu(), &[Some(x)]).unwrap();
    let back = g
        .emit("back", ternrt::ops::table::Dequantize {}, &[Some(q)])
        .unwrap();
    let y = g.emit("y", add(), &[Some(back), Some(other)]).unwrap();
    g.outputs.push(("y".into(), y));
    let p = plan(&g);
    verify(&g, &p).unwrap();
    let Scale::Dynamic(scale) = g.ty(q).quant.unwrap().scale else {
        panic!()
    };
    assert_eq!(p.block(scale).unwrap().last, p.block(q).unwrap().last);
}

#[test]
fn the_verifier_sees_damage() {
    let g = chain(4);
    let good = plan(&g);
    for damage in [
        |p: &mut Plan| p.blocks[1].offset = 0,
        |p: &mut Plan| p.blocks[2].offset += 4,
        |p: &mut Plan| p.arena_bytes -= 64,
        |p: &mut Plan| {
            p.steps.pop();
        },
        |p: &mut Plan| p.blocks.iter_mut().for_each(|b| b.offset = 0),
    ] {
        let mut bad = good.clone();
        damage(&mut bad);
        assert!(verify(&g, &bad).is_err());
    }
    let mut g = chain(1);
    let (x, a) = (g.inputs[0].1, g.outputs[0].1);
    let y = g.emit("y", add(), &[Some(a), Some(x)]).unwrap();
    g.outputs = vec![("y".into(), y)];
    let mut bad = plan(&g);
    let x_offset = bad.block(x).unwrap().offset;
    bad.blocks
        .iter_mut()
        .filter(|b| b.value == a)
        .for_each(|b| b.offset = x_offset);
    assert!(verify(&g, &bad).is_err());
}

proptest::proptest! {
    /// Graphs of random sizes and readers: the plan is sound, and never smaller
    /// than what is alive at once nor larger than everything.
    #[test]
    fn random_graphs(sizes in proptest::collection::vec(1usize..200, 1..40), seed in 0u64..1000) {
        let mut g = Graph::default();
        let mut values = vec![g.add_input("x", f32s(sizes[0]))];
        let mut s = seed;
        for (i, &n) in sizes.iter().enumerate() {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let x = values[(s >> 33) as usize % values.len()];
            let len = g.ty(x).elements();
            let y = if i % 3 == 0 {
                g.emit_as(&format!("r{i}"), Reshape {}, &[Some(x)], Type::new(DType::F32, [1, len])).unwrap()
            } else if i % 3 == 1 && g.ty(x).shape.len() < 3 {
                g.emit_as(&format!("b{i}"), ternrt::ops::table::Broadcast {}, &[Some(x)], Type::new(DType::F32, [n, 1, len])).unwrap()
            } else {
                g.emit(&format!("u{i}"), relu(), &[Some(x)]).unwrap()
            };
            if g.ty(y).elements() < 5000 { values.push(y); }
        }
        g.outputs.push(("y".into(), *values.last().unwrap()));
        let p = plan(&g);
        verify(&g, &p).unwrap();
        let (_, alive) = p.heaviest_step();
        let least: u64 = alive.iter().map(|b| b.len).sum();
        let all: u64 = p.blocks.iter().map(|b| b.len.next_multiple_of(ALIGN)).sum();
        proptest::prop_assert!(least <= p.arena_bytes && p.arena_bytes <= all);
    }
}
