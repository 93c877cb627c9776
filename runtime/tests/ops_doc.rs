//! `src/ops/OPS.md` is what the op table says. `TERN_BLESS=1` writes it anew.

use std::fmt::Write as _;
use ternrt::kernels::eltwise::{BinaryKind, UnaryKind};
use ternrt::kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use ternrt::kernels::reduce::ReduceKind;
use ternrt::ops::attr::Attr;
use ternrt::ops::table::TABLE;

const HEAD: &str = "\
<!-- Written by runtime/tests/ops_doc.rs from src/ops/table.rs: edit that one, then run that test with TERN_BLESS=1. -->

# Ops

Codes are never reused or changed. Operands and results whose name ends in `?` may be absent.
Images are NHWC. No dimension is 0, and shapes are known when the file is written.

A tensor is *quantised* if its record has a `qmax` and a scale tensor; it is i8 or i16 then, and its
elements stand for themselves times the scale. Ops that only move elements, `max_pool` and
`unary identity` take quantised tensors if operand and result share the scale tensor and `qmax`;
others refuse them unless they say otherwise.

Attributes follow each other in the record, in the order given, without padding, little-endian.
`[T; N]` is N values of T, height before width; `bool` is one byte, 0 or 1. The types of one byte
with named values are listed at the end. `Unary` has 12 bytes: the code of the function, three bytes
of 0, then its parameters `alpha` and `beta` as f32, 0 where the function has none.
";

fn codes(out: &mut String, title: &str, text: &str, name: impl Fn(u8) -> Option<String>) {
    writeln!(
        out,
        "\n### `{title}`\n\n{text}\n\n| code | name |\n| --- | --- |"
    )
    .unwrap();
    for code in 0..=u8::MAX {
        if let Some(name) = name(code) {
            writeln!(out, "| {code} | `{name}` |").unwrap();
        }
    }
}

/// The name under which an attribute of one byte is printed.
fn printed<T: Attr>(code: u8) -> Option<String> {
    struct Shown<T>(T);
    impl<T: Attr> std::fmt::Display for Shown<T> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.print(f)
        }
    }
    T::get(&[code]).map(|v| Shown(v).to_string())
}

fn names(list: &[&str]) -> String {
    list.iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn document() -> String {
    let mut out = String::from(HEAD);
    out.push_str("\n| code | op | operands | results | |\n| --- | --- | --- | --- | --- |\n");
    for row in TABLE {
        let operands = match row.operands {
            [first, .., last] if row.operands.len() > 4 => format!("`{first}`, ... `{last}`"),
            few => names(few),
        };
        let (results, doc) = (names(row.results), row.doc[0].trim());
        writeln!(
            out,
            "| 0x{:04x} | [`{}`](#{}) | {operands} | {results} | {doc} |",
            row.code, row.name, row.name
        )
        .unwrap();
    }
    for row in TABLE {
        writeln!(out, "\n## {}\n", row.name).unwrap();
        for line in row.doc {
            writeln!(out, "{}", line.trim()).unwrap();
        }
        if row.attributes.is_empty() {
            continue;
        }
        out.push_str("\n| at | attribute | type | |\n| --- | --- | --- | --- |\n");
        let mut at = 0;
        for a in row.attributes {
            let doc: Vec<&str> = a.doc.iter().map(|l| l.trim()).collect();
            writeln!(
                out,
                "| {at} | `{}` | `{}` | {} |",
                a.name,
                a.type_name,
                doc.join(" ")
            )
            .unwrap();
            at += a.len;
        }
    }
    out.push_str("\n## Codes of attribute values\n");
    codes(
        &mut out,
        "Unary",
        "The function; its parameters are ONNX's.",
        |c| UnaryKind::from_code(c).map(|k| k.name().to_string()),
    );
    codes(
        &mut out,
        "BinaryKind",
        "A function of two operands.",
        printed::<BinaryKind>,
    );
    codes(
        &mut out,
        "ReduceKind",
        "What a reduction computes.",
        printed::<ReduceKind>,
    );
    codes(
        &mut out,
        "PadMode",
        "What lies beyond the operand.",
        printed::<PadMode>,
    );
    codes(
        &mut out,
        "ResizeMode",
        "How a resized image samples its source.",
        printed::<ResizeMode>,
    );
    codes(
        &mut out,
        "ResizeCoordinates",
        "ONNX's `coordinate_transformation_mode`.",
        printed::<ResizeCoordinates>,
    );
    out
}

#[test]
fn ops_md_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops/OPS.md");
    let wanted = document();
    if std::env::var_os("TERN_BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is not what the table says; run this test with TERN_BLESS=1"
    );
}

#[test]
fn codes_names_and_lengths_are_consistent() {
    for pair in TABLE.windows(2) {
        assert!(
            pair[0].code < pair[1].code,
            "{} and {}: codes ascend",
            pair[0].name,
            pair[1].name
        );
    }
    for row in TABLE {
        let same_name = TABLE.iter().filter(|r| r.name == row.name).count();
        assert_eq!(same_name, 1, "{}", row.name);
        let optional_from = row
            .operands
            .iter()
            .position(|o| o.ends_with('?'))
            .unwrap_or(row.operands.len());
        assert!(
            row.operands[optional_from..]
                .iter()
                .all(|o| o.ends_with('?')),
            "{}: optional operands are last",
            row.name
        );
        assert!(
            row.operands.len() <= ternrt::ops::MAX_INPUTS
                && row.results.len() <= ternrt::ops::MAX_OUTPUTS
        );
    }
}
