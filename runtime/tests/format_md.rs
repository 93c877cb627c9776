//! The part of FORMAT.md that follows from the tables is what the tables say.
//! `TERN_BLESS=1` writes it anew.

use std::fmt::{self, Display, Write};
use std::path::Path;
use std::{env, fs};
use ternrt::kernels::eltwise::{BinaryKind, UnaryKind};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::attr::Attr;
use ternrt::ops::table::{Row, TABLE};

struct Printed<T>(T);

impl<T: Attr> Display for Printed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.print(f)
    }
}

fn codes<T: Attr>() -> Vec<(u8, String)> {
    let of = |code| Some((code, Printed(T::get(&[code])?).to_string()));
    (0..=u8::MAX).filter_map(of).collect()
}

fn list(out: &mut String, title: &str, codes: Vec<(u8, String)>) {
    assert!(!codes.is_empty());
    let names: Vec<_> = codes.iter().map(|(c, n)| format!("{c} `{n}`")).collect();
    writeln!(out, "\n**{title}.** {}.", names.join(", ")).unwrap();
}

fn op(out: &mut String, row: &Row) {
    let names = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
        names.join(", ")
    };
    writeln!(out, "\n### {:#06x} {}\n", row.code, row.name).unwrap();
    writeln!(out, "{}", row.docs.trim()).unwrap();
    writeln!(
        out,
        "Operands: {}. Results: {}.",
        names(row.operands),
        names(row.results)
    )
    .unwrap();
    if row.attributes.is_empty() {
        return;
    }
    out.push_str("\n| attribute | type | meaning |\n| --- | --- | --- |\n");
    for (i, name) in row.attributes.iter().enumerate() {
        let (kind, doc) = (row.attribute_types[i], row.attribute_docs[i].trim());
        writeln!(out, "| `{name}` | `{kind}` | {doc} |").unwrap();
    }
}

fn generated() -> String {
    let mut out = String::new();
    let unary = (0..=u8::MAX).filter_map(UnaryKind::from_code);
    let unary = unary.map(|k| (k as u8, k.name().into())).collect();
    list(&mut out, "Functions of `Unary`", unary);
    list(&mut out, "BinaryKind", codes::<BinaryKind>());
    list(&mut out, "ReduceKind", codes::<ReduceKind>());
    list(&mut out, "PadMode", codes::<PadMode>());
    list(&mut out, "ResizeMode", codes::<ResizeMode>());
    list(&mut out, "ResizeCoordinates", codes::<ResizeCoordinates>());
    out.push_str(
        "\nFunctions are those of the ONNX operators of the same names; the documentation of\n\
         the kernels gives each as a formula.\n\n## The ops\n\n\
         An operand or result whose name ends in `?` may be absent.\n",
    );
    TABLE.iter().for_each(|row| op(&mut out, row));
    out.push('\n');
    out
}

#[test]
fn generated_part_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/format/FORMAT.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("--test format_md` -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    let expected = generated();
    if env::var_os("TERN_BLESS").is_some() {
        let text = format!("{head}--test format_md` -->\n{expected}<!-- end -->{tail}");
        fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        found == expected,
        "FORMAT.md is stale: run `TERN_BLESS=1 cargo test -p ternrt --test format_md`"
    );
}
