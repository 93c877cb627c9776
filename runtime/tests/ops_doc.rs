//! `src/ops/OPS.md` is what the op table says. `TERN_BLESS=1` writes it anew.

use std::fmt::Write as _;
use ternrt::ops::table::TABLE;

const HEAD: &str = "\
<!-- generated: `TERN_BLESS=1 cargo test -p ternrt --test ops_doc` -->

An operand or result whose name ends in `?` may be absent. FORMAT.md gives the
attributes' types and meanings, and what each op takes.

";

fn names(list: &[&str]) -> String {
    let quoted: Vec<_> = list.iter().map(|n| format!("`{n}`")).collect();
    quoted.join(", ")
}

fn document() -> String {
    let mut out = String::from(HEAD);
    out.push_str("| code | op | operands | results | attributes | |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for row in TABLE {
        let operands = match row.operands {
            [first, .., last] if row.operands.len() > 4 => format!("`{first}`, ... `{last}`"),
            few => names(few),
        };
        let (code, name, doc) = (row.code, row.name, row.doc.trim());
        let (results, attributes) = (names(row.results), names(row.attributes));
        writeln!(
            out,
            "| 0x{code:04x} | `{name}` | {operands} | {results} | {attributes} | {doc} |"
        )
        .unwrap();
    }
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
        "OPS.md is stale: run `TERN_BLESS=1 cargo test -p ternrt --test ops_doc`"
    );
}

#[test]
fn codes_and_names_are_consistent() {
    for pair in TABLE.windows(2) {
        let names = (pair[0].name, pair[1].name);
        assert!(pair[0].code < pair[1].code, "{names:?}: codes ascend");
    }
    for row in TABLE {
        let same_name = TABLE.iter().filter(|r| r.name == row.name).count();
        assert_eq!(same_name, 1, "{}", row.name);
        let optional = |o: &&&str| o.ends_with('?');
        let required = row.operands.iter().take_while(|o| !optional(o)).count();
        assert!(
            row.operands[required..].iter().all(|o| optional(&o)),
            "{}: optional operands are last",
            row.name
        );
        assert!(
            row.operands.len() <= ternrt::ops::MAX_INPUTS,
            "{}",
            row.name
        );
        assert!(
            row.results.len() <= ternrt::ops::MAX_OUTPUTS,
            "{}",
            row.name
        );
        assert_eq!(row.attributes.len(), row.attribute_types.len());
        assert_eq!(row.attributes.len(), row.attribute_docs.len());
    }
}
