use super::*;
use crate::host::Aligned;
use crate::ir::text::parse;
use crate::pipeline::{CompileOptions, Silent, compile_graph};

/// Two layers that share ternary weights, a dense one, and a reshape between.
fn compiled() -> Aligned {
    let graph = parse(
        "graph \"t\"\n\
         input %x \"x\" : f32[4,64]\n\
         constant %w \"w\" : ternary[64,64] = ternary(2)\n\
         constant %c \"c\" : f32[10,256] = random(3)\n\
         constant %b \"b\" : f32[10] = random(4)\n\
         %i \"first\" = gemm(%x, %w)\n\
         %j \"second\" = gemm(%i, %w)\n\
         %r \"flat\" = reshape(%j) : f32[1,256]\n\
         %k \"head\" = gemm(%r, %c, %b)\n\
         output \"y\" = %k\n",
    )
    .unwrap();
    let compiled = compile_graph(graph, "t", &CompileOptions::default(), &Silent).unwrap();
    Aligned::new(&compiled.bytes)
}

#[test]
fn bytes_add_up() {
    let file = compiled();
    let model = Model::new(file.bytes()).unwrap();
    let m = measure(&model, "t", Caps::SCALAR, 1);
    assert_eq!(m.file_bytes, file.bytes().len() as u64);
    let names: Vec<&str> = m.layers.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "head"]);
    // Shared weights count once: 4096 trits, 2560 floats and 10 biases.
    assert_eq!(
        m.layers.iter().map(|l| l.shared).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(m.parameter_count, 4096 + 2560 + 10);
    assert_eq!(m.parameters.f32, 4 * m.parameter_count);
    assert_eq!(m.parameters.int8, 4096 + 4 * 64 + 2560 + 4 * 20);
    assert_eq!(m.layers[0].weight_bytes, 1024);
    assert_eq!(m.layers[0].scale_bytes, 256);
    let c = m.constants;
    let sum = c.weights + c.scales + c.biases + c.other;
    assert_eq!(sum, m.sections["data"]);
    // Rows of 1 KiB: input and first result, then first and second.
    let live: Vec<u64> = m.arena.steps.iter().map(|s| s.live_bytes).collect();
    assert_eq!(live, [1024, 2048, 2048, 1024 + 40]);
    assert_eq!((m.arena.peak_step, m.arena.live.here), (1, 2048));
    assert_eq!(m.arena.live.int8, 512);
    assert!(m.arena.live.here <= m.arena.plan_bytes);
    assert_eq!(
        m.arena.total_bytes,
        m.arena.plan_bytes + m.arena.scratch_bytes
    );
}

#[test]
fn text_and_page_name_every_layer() {
    let file = compiled();
    let model = Model::new(file.bytes()).unwrap();
    let m = measure(&model, "t", Caps::SCALAR, 1);
    for text in [m.to_text(), m.to_html(&model)] {
        for layer in &m.layers {
            assert!(text.contains(&layer.name), "{text}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
