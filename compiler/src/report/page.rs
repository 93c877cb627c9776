//! Pages: one HTML file with nothing outside it, for wide screens and phones,
//! light and dark.

use std::fmt::Write;
use std::path::Path;
use tern_charts::{Chart, NARROW, STYLE, escape};

/// A page that grows from top to bottom.
pub struct Page {
    title: String,
    body: String,
}

/// A number that the reader looks for first.
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// The number with its unit.
    pub value: String,
    /// What it compares with, or nothing.
    pub note: String,
}

/// A picture with what is said about it.
pub struct Picture {
    /// A PNG file.
    pub png: Vec<u8>,
    /// Lines below it.
    pub lines: Vec<String>,
}

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1c1c;--note:#5a5a5a;--ground:#fff;--panel:#f4f4f2;--line:#d8d8d4;--link:#0067a8}
@media (prefers-color-scheme:dark){:root{--ink:#e4e4e4;--note:#a8a8a8;--ground:#161616;--panel:#212121;--line:#3a3a3a;--link:#6cb6ee}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:1rem;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.4rem 0;max-width:46rem} p.note,figcaption span,dd.note{color:var(--note);font-size:.9rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.6rem;margin:1rem 0}
dl.facts div{min-width:0;overflow-wrap:anywhere;background:var(--panel);border-radius:.4rem;padding:.6rem .8rem}
dl.facts dt{color:var(--note);font-size:.85rem} dl.facts dd{margin:0;font-variant-numeric:tabular-nums}
dl.facts dd.value{font-size:1.25rem;font-weight:600;line-height:1.3}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
figure{margin:.5rem 0;min-width:0} figcaption{margin-bottom:.3rem} figcaption strong{display:block}
figure .chart{display:block;width:100%;max-width:36rem;height:auto}
figure.wide{grid-column:1/-1} figure.wide .chart{max-width:none}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--ground) 40%,transparent) 0/2rem 100% no-repeat local,\
linear-gradient(270deg,var(--ground) 40%,transparent) 100%/2rem 100% no-repeat local,\
linear-gradient(90deg,#8884,transparent) 0/.8rem 100% no-repeat,linear-gradient(270deg,#8884,transparent) 100%/.8rem 100% no-repeat}
.scroll:focus-visible{outline:2px solid var(--link)}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;margin:.3rem 0}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap;font-weight:400}
thead th{font-weight:600;vertical-align:bottom} .n{text-align:right} tbody tr:hover{background:var(--panel)}
@media (max-width:40rem){tbody th{white-space:normal;overflow-wrap:anywhere;min-width:7rem;max-width:40vw}}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.5rem,1fr));gap:.8rem;padding:0;list-style:none}
.gallery img{width:100%;max-width:9rem;image-rendering:pixelated;border:1px solid var(--line);display:block}
.gallery li{font-size:.82rem;line-height:1.35;overflow-wrap:anywhere}
footer{margin:2.5rem 0 1rem;color:var(--note);font-size:.85rem;overflow-wrap:anywhere}
";

impl Page {
    /// A page with a title and a line below it.
    pub fn new(title: &str, subtitle: &str) -> Page {
        let mut page = Page {
            title: title.to_owned(),
            body: format!("<h1>{}</h1>\n", escape(title)),
        };
        if !subtitle.is_empty() {
            page.note(subtitle);
        }
        page
    }

    fn line(&mut self, html: std::fmt::Arguments<'_>) {
        // A String takes everything.
        let _ = writeln!(self.body, "{html}");
    }

    /// Begins a section.
    pub fn heading(&mut self, text: &str) {
        self.line(format_args!("<h2>{}</h2>", escape(text)));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.line(format_args!("<p>{}</p>", escape(text)));
    }

    /// A paragraph in small print.
    pub fn note(&mut self, text: &str) {
        self.line(format_args!("<p class=\"note\">{}</p>", escape(text)));
    }

    /// The numbers that the reader looks for first.
    pub fn facts(&mut self, facts: &[Fact]) {
        self.line(format_args!("<dl class=\"facts\">"));
        for fact in facts {
            let note = match fact.note.as_str() {
                "" => String::new(),
                note => format!("<dd class=\"note\">{}</dd>", escape(note)),
            };
            self.line(format_args!(
                "<div><dt>{}</dt><dd class=\"value\">{}</dd>{note}</div>",
                escape(fact.name),
                escape(&fact.value)
            ));
        }
        self.line(format_args!("</dl>"));
    }

    /// Charts, side by side where there is room. One that is wider than the
    /// others has a row to itself, and on a narrow screen scrolls.
    pub fn charts(&mut self, charts: &[Chart]) {
        self.line(format_args!("<div class=\"charts\">"));
        for chart in charts {
            let caption = format!(
                "<figcaption><strong>{}</strong><span>{}</span></figcaption>",
                escape(&chart.title),
                escape(&chart.subtitle)
            );
            if chart.width() > NARROW {
                // Not below a size at which its text can be read.
                self.line(format_args!(
                    "<figure class=\"wide\">{caption}\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\
                     <div style=\"min-width:{:.0}px\">{}</div></div></figure>",
                    escape(&chart.title),
                    0.8 * chart.width(),
                    chart.inline()
                ));
            } else {
                self.line(format_args!(
                    "<figure>{caption}\n{}</figure>",
                    chart.inline()
                ));
            }
        }
        self.line(format_args!("</div>"));
    }

    /// A table; the first column names the row, those of `right` hold numbers.
    pub fn table(&mut self, caption: &str, header: &[&str], right: &[usize], rows: &[Vec<String>]) {
        let class = |i: usize| {
            if right.contains(&i) {
                " class=\"n\""
            } else {
                ""
            }
        };
        self.line(format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">\n<table><caption>{0}</caption>\n<thead><tr>",
            escape(caption)
        ));
        for (i, name) in header.iter().enumerate() {
            self.line(format_args!(
                "<th scope=\"col\"{}>{}</th>",
                class(i),
                escape(name)
            ));
        }
        self.line(format_args!("</tr></thead>\n<tbody>"));
        for row in rows {
            let mut cells = String::new();
            for (i, cell) in row.iter().enumerate() {
                let (open, close) = if i == 0 {
                    ("th scope=\"row\"", "th")
                } else {
                    ("td", "td")
                };
                let _ = write!(cells, "<{open}{}>{}</{close}>", class(i), escape(cell));
            }
            self.line(format_args!("<tr>{cells}</tr>"));
        }
        self.line(format_args!("</tbody></table></div>"));
    }

    /// Pictures with words.
    pub fn gallery(&mut self, pictures: &[Picture]) {
        self.line(format_args!("<ul class=\"gallery\">"));
        for picture in pictures {
            let words: Vec<String> = picture.lines.iter().map(|l| escape(l)).collect();
            self.line(format_args!(
                "<li><img alt=\"{}\" src=\"data:image/png;base64,{}\">{}</li>",
                words.join(", "),
                base64(&picture.png),
                words.join("<br>")
            ));
        }
        self.line(format_args!("</ul>"));
    }

    /// The file.
    pub fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
             <title>{}</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n\
             <footer>ternc {}</footer>\n</body>\n</html>\n",
            escape(&self.title),
            self.body,
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// A file's name without its folders, for titles.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// RFC 4648's base 64, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0u8; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, code) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), code);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let evil = "<script>\"'&";
        let mut page = Page::new(evil, evil);
        page.heading(evil);
        page.text(evil);
        page.facts(&[Fact {
            name: "fact",
            value: evil.into(),
            note: evil.into(),
        }]);
        page.table(evil, &[evil], &[0], &[vec![evil.into()]]);
        page.gallery(&[Picture {
            png: vec![1],
            lines: vec![evil.into()],
        }]);
        let html = page.html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&lt;script&gt;&quot;&#39;&amp;"));
        // Nothing is loaded from anywhere.
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("));
    }
}
