use super::*;
use crate::host::Host;
use crate::ir::{Data, Tensor as IrTensor, text};
use crate::ops;
use crate::pipeline::{CompileOptions, Silent, compile_graph};
use ternrt::format::ALIGN;
use ternrt::{Caps, Model};

/// A file's bytes at an address that the runtime accepts.
fn aligned(bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut storage = vec![0; bytes.len() + ALIGN];
    let start = storage.as_ptr().align_offset(ALIGN);
    storage[start..start + bytes.len()].copy_from_slice(bytes);
    (storage, start)
}

/// Compiles a graph and compares the file's outputs with the interpreter's.
fn round_trip(nodes: &str) {
    let text = format!("graph \"t\"\n{nodes}");
    let graph = text::parse(&text).unwrap_or_else(|e| panic!("{e:#}"));
    let compiled = compile_graph(graph, "t", &CompileOptions::default(), &Silent)
        .unwrap_or_else(|e| panic!("{e:#}"));
    let (storage, start) = aligned(&compiled.bytes);
    let model = Model::new(&storage[start..start + compiled.bytes.len()]).unwrap();
    let mut host = Host::with_caps(&model, 1, Caps::SCALAR).unwrap();
    let mut session = host.session().unwrap();
    let mut inputs = Vec::new();
    for (i, (name, id)) in compiled.graph.inputs.iter().enumerate() {
        let ty = compiled.graph.ty(*id);
        let mut bytes = vec![0; ty.bytes()];
        golden::fill(ty.dtype, i as u64, &mut bytes);
        session.input_mut(i).unwrap().copy_from_slice(&bytes);
        inputs.push(IrTensor::new(
            ty.shape.clone(),
            Data::from_le_bytes(ty.dtype, &bytes).unwrap(),
        ));
        assert_eq!(model.inputs(0).nth(i).unwrap().name, name);
    }
    let expected = ops::run_graph(&compiled.graph, &inputs).unwrap();
    session.run(0).unwrap();
    for (i, tensor) in expected.iter().enumerate() {
        assert_eq!(session.output(i).unwrap(), tensor.data.to_le_bytes());
    }
}

#[test]
fn inputs_and_constants_may_be_outputs() {
    round_trip(
        "input %x \"x\" : f32[4]\n\
         input %unused \"unused\" : i64[3]\n\
         constant %c \"c\" : f32[2] = [1.0,2.0]\n\
         %y \"y\" = unary(%x) function=relu\n\
         %r \"r\" = reshape(%x) : f32[2,2]\n\
         output \"same\" = %x\n\
         output \"c\" = %c\n\
         output \"y\" = %y\n\
         output \"again\" = %y\n\
         output \"r\" = %r\n",
    );
}

#[test]
fn a_graph_without_ops_is_a_file() {
    round_trip("input %x \"x\" : i32[4]\noutput \"y\" = %x\n");
}

#[test]
fn scalars_and_every_dtype_pass() {
    round_trip(
        "input %f \"f\" : f32[]\n\
         input %h \"h\" : f16[3]\n\
         input %b \"b\" : bool[5]\n\
         input %u \"u\" : u8[2,2]\n\
         %g \"g\" = unary(%f) function=exp\n\
         %i \"i\" = cast(%h) : f32[3]\n\
         %n \"n\" = unary(%b) function=not\n\
         %v \"v\" = cast(%u) : i64[2,2]\n\
         output \"g\" = %g\noutput \"i\" = %i\noutput \"n\" = %n\noutput \"v\" = %v\n",
    );
}

#[test]
fn layers_share_a_constant() {
    round_trip(
        "input %x \"x\" : f32[1,4,4,4]\n\
         constant %w \"w\" : f32[8,1,1,4] = random(1)\n\
         %a \"a\" = conv2d(%x, %w) kernel=[1,1] activation=relu\n\
         %b \"b\" = conv2d(%a, %w) kernel=[1,1] group=2 activation=tanh\n\
         %y \"y\" = binary(%b, %b) function=mul\n\
         output \"y\" = %y\n\
         output \"w\" = %w\n",
    );
}

#[test]
fn writing_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tern");
    write_atomically(&path, b"one").unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    let nowhere = dir.path().join("no/such/a.tern");
    let error = write_atomically(&nowhere, b"x").unwrap_err().to_string();
    assert!(error.contains("no/such/a.tern"), "{error}");
    let error = write_atomically(dir.path(), b"x").unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing is left behind: {names:?}");
}

#[cfg(unix)]
#[test]
fn devices_links_and_rights_stay() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let null = Path::new("/dev/null");
    write_atomically(null, b"gone").unwrap();
    let kind = std::fs::metadata(null).unwrap().file_type();
    assert!(kind.is_char_device(), "/dev/null was replaced");

    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("a"), dir.path().join("link"));
    write_atomically(&path, b"one").unwrap();
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    let plain = dir.path().join("plain");
    std::fs::write(&plain, b"").unwrap();
    assert_eq!(mode(&path), mode(&plain), "as a file written directly");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    write_atomically(&link, b"two").unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert_eq!(mode(&path), 0o640);
}
