//! Gemm, MatMul and Einsum.

use crate::support::compare::{compare, import_error};
use crate::support::model::{Model, Node, noise};
use proptest::prelude::*;
use ternc::ir::Graph;

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|n| n.op.name()).collect()
}

fn constant(model: Model, name: &str, shape: &[usize]) -> Model {
    model.floats(name, shape, &noise(5, shape.iter().product()))
}

#[test]
fn gemm() {
    for (ta, tb) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let x = if ta == 1 { [4, 3] } else { [3, 4] };
        let w = if tb == 1 { [5, 4] } else { [4, 5] };
        let model = constant(constant(Model::new(17).input("x", &x), "w", &w), "c", &[5])
            .node(
                Node::new("Gemm", &["x", "w", "c"], &["y"])
                    .with("transA", ta)
                    .with("transB", tb),
            )
            .output("y");
        let graph = compare(&model);
        let gemm = graph.nodes.iter().find(|n| n.op.name() == "gemm").unwrap();
        assert_eq!(gemm.name, "the_gemm");
        assert_eq!(graph.ty(gemm.inputs[1].unwrap()).shape, [5, 4]);
    }
}

#[test]
fn gemm_scales() {
    let model = constant(
        constant(Model::new(17).input("x", &[3, 4]), "w", &[4, 5]),
        "c",
        &[3, 1],
    )
    .node(
        Node::new("Gemm", &["x", "w", "c"], &["y"])
            .with("alpha", 0.5f32)
            .with("beta", 2.0f32),
    )
    .output("y");
    compare(&model);
}

#[test]
fn gemm_of_computed_operands() {
    let model = Model::new(17)
        .input("x", &[3, 4])
        .input("w", &[5, 4])
        .input("c", &[3, 5])
        .node(Node::new("Gemm", &["x", "w", "c"], &["y"]).with("transB", 1))
        .output("y");
    assert_eq!(ops(&compare(&model)), ["matmul", "binary"]);
}

fn matmul(a: &[usize], b: &[usize], constant_side: Option<usize>) -> Model {
    let mut model = Model::new(17);
    for (i, (name, shape)) in [("a", a), ("b", b)].into_iter().enumerate() {
        model = if constant_side == Some(i) {
            constant(model, name, shape)
        } else {
            model.input(name, shape)
        };
    }
    model
        .node(Node::new("MatMul", &["a", "b"], &["y"]))
        .output("y")
}

#[test]
fn matmul_with_weights_is_gemm() {
    assert_eq!(
        ops(&compare(&matmul(&[2, 3, 4], &[4, 5], Some(1)))),
        ["gemm"]
    );
    assert_eq!(ops(&compare(&matmul(&[3, 4], &[4, 5], Some(1)))), ["gemm"]);
    compare(&matmul(&[3, 4], &[4, 5], Some(0)));
    compare(&matmul(&[3, 4], &[2, 4, 5], Some(0)));
    compare(&matmul(&[4], &[4, 5], Some(1)));
    compare(&matmul(&[3, 4], &[4], Some(1)));
    compare(&matmul(&[2, 3, 4], &[1, 4, 5], Some(1)));
}

#[test]
fn matmul_of_computed_operands() {
    assert_eq!(
        ops(&compare(&matmul(&[2, 3, 4], &[2, 4, 5], None))),
        ["matmul"]
    );
    compare(&matmul(&[3, 4], &[4, 5], None));
    compare(&matmul(&[2, 3, 4], &[4, 5], None));
    compare(&matmul(&[3, 4], &[2, 4, 5], None));
    compare(&matmul(&[2, 1, 3, 4], &[1, 6, 4, 5], None));
    compare(&matmul(&[4], &[2, 4, 5], None));
    compare(&matmul(&[2, 3, 4], &[4], None));
}

#[test]
fn matmul_with_a_batch_of_weights() {
    compare(&matmul(&[2, 3, 4], &[2, 4, 5], Some(1)));
    compare(&matmul(&[1, 3, 4], &[2, 4, 5], Some(1)));
}

#[test]
fn attention_without_transpositions() {
    // Scores: q k^T, with the transposition folded into the product.
    let model = Model::new(17)
        .input("q", &[2, 3, 5, 4])
        .input("k", &[2, 3, 6, 4])
        .node(Node::new("Einsum", &["q", "k"], &["y"]).with("equation", "bhqd,bhkd->bhqk"))
        .output("y");
    assert_eq!(ops(&compare(&model)), ["matmul"]);
}

#[test]
fn quantised_weights_are_dequantised() {
    use tract_onnx::pb::TensorProto;
    use tract_onnx::pb::tensor_proto::DataType;
    let bytes = |dtype: DataType, shape: &[i64], values: Vec<i8>| TensorProto {
        dims: shape.to_vec(),
        data_type: dtype as i32,
        raw_data: values.into_iter().map(|v| v as u8).collect(),
        ..TensorProto::default()
    };
    let values: Vec<i8> = noise(1, 20).iter().map(|v| (v * 127.0) as i8).collect();
    let model = Model::new(17)
        .input("x", &[3, 4])
        .tensor("q", bytes(DataType::Int8, &[4, 5], values))
        .tensor("zero", bytes(DataType::Int8, &[], vec![3]))
        .floats("scale", &[], &[0.02])
        .node(Node::new(
            "DequantizeLinear",
            &["q", "scale", "zero"],
            &["w"],
        ))
        .node(Node::new("MatMul", &["x", "w"], &["y"]))
        .output("y");
    assert_eq!(ops(&compare(&model)), ["gemm"]);
}

fn einsum(equation: &'static str, a: &[usize], b: &[usize], constant_side: Option<usize>) -> Model {
    let mut model = Model::new(17);
    for (i, (name, shape)) in [("a", a), ("b", b)].into_iter().enumerate() {
        model = if constant_side == Some(i) {
            constant(model, name, shape)
        } else {
            model.input(name, shape)
        };
    }
    model
        .node(Node::new("Einsum", &["a", "b"], &["y"]).with("equation", equation))
        .output("y")
}

#[test]
fn einsum_equations() {
    for side in [None, Some(0), Some(1)] {
        compare(&einsum("ij,jk->ik", &[3, 4], &[4, 5], side));
        compare(&einsum("ij,jk->ki", &[3, 4], &[4, 5], side));
        compare(&einsum("ji,jk->ik", &[4, 3], &[4, 5], side));
        compare(&einsum("bij,bkj->bik", &[2, 3, 4], &[2, 5, 4], side));
        compare(&einsum("ibj,bkj->kib", &[3, 2, 4], &[2, 5, 4], side));
        compare(&einsum(
            "abcd,cdef->abef",
            &[2, 3, 4, 2],
            &[4, 2, 3, 2],
            side,
        ));
        compare(&einsum(
            "acbd,dcef->eafb",
            &[2, 4, 3, 2],
            &[2, 4, 3, 2],
            side,
        ));
        compare(&einsum("i,i->", &[4], &[4], side));
        compare(&einsum("i,j->ij", &[4], &[3], side));
        compare(&einsum("i,j->ji", &[4], &[3], side));
        compare(&einsum("bij,bij->bij", &[2, 3, 4], &[2, 3, 4], side));
    }
}

#[test]
fn einsum_sums_what_one_operand_has_alone() {
    compare(&einsum("ijx,jk->ik", &[3, 4, 2], &[4, 5], None));
    compare(&einsum("ij,jkx->ik", &[3, 4], &[4, 5, 2], Some(1)));
}

#[test]
fn einsum_of_one_operand() {
    let model = |equation: &'static str| {
        Model::new(17)
            .input("x", &[2, 3, 4])
            .node(Node::new("Einsum", &["x"], &["y"]).with("equation", equation))
            .output("y")
    };
    compare(&model("abc->cab"));
    compare(&model("abc->ca"));
    compare(&model("abc->b"));
}

#[test]
fn einsum_diagonals_are_refused() {
    let model = Model::new(17)
        .input("x", &[3, 3])
        .node(Node::new("Einsum", &["x"], &["y"]).with("equation", "ii->i"))
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_einsum\": op \"Einsum\" is not supported: the equation ii->i takes a diagonal"
    );
}

#[test]
fn einsum_of_three_is_refused() {
    let model = Model::new(17)
        .input("a", &[3, 4])
        .input("b", &[4, 5])
        .input("c", &[5, 6])
        .node(Node::new("Einsum", &["a", "b", "c"], &["y"]).with("equation", "ij,jk,kl->il"))
        .output("y");
    assert_eq!(
        import_error(&model),
        "node \"the_einsum\": op \"Einsum\" is not supported with 3 operands: split it into products of two"
    );
}

#[test]
fn integers_are_refused() {
    use tract_onnx::pb::tensor_proto::DataType;
    let model = Model::new(17)
        .input_of("a", DataType::Int64, &[3, 4])
        .input_of("b", DataType::Int64, &[4, 5])
        .node(Node::new("MatMul", &["a", "b"], &["y"]))
        .output_of("y", DataType::Int64);
    assert_eq!(
        import_error(&model),
        "node \"the_matmul\": op \"MatMul\" is not supported on I64: float32 is"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_matmul(
        batch in prop::collection::vec(1usize..4, 0..3),
        (m, k, n) in (1usize..6, 1usize..6, 1usize..6),
        drop in prop::array::uniform2(prop::array::uniform2(any::<bool>())),
        side in 0usize..3,
    ) {
        // Leading dimensions of one operand may be 1 or missing.
        let lead = |which: usize| -> Vec<usize> {
            let full: Vec<usize> = batch.iter().enumerate().map(|(i, &d)| if drop[which][i] { 1 } else { d }).collect();
            full
        };
        let (mut a, mut b) = (lead(0), lead(1));
        a.extend([m, k]);
        b.extend([k, n]);
        compare(&matmul(&a, &b, (side < 2).then_some(side)));
    }

    #[test]
    fn any_gemm((m, k, n) in (1usize..6, 1usize..8, 1usize..8), ta in any::<bool>(), tb in any::<bool>(), rows in any::<bool>()) {
        let x = if ta { [k, m] } else { [m, k] };
        let w = if tb { [n, k] } else { [k, n] };
        let c: &[usize] = if rows { &[m, n] } else { &[n] };
        let model = constant(constant(Model::new(13).input("x", &x), "w", &w), "c", c)
            .node(Node::new("Gemm", &["x", "w", "c"], &["y"]).with("transA", ta as i64).with("transB", tb as i64))
            .output("y");
        compare(&model);
    }
}
