//! `ternc data`: the data sets.

use super::progress::Bar;
use crate::data::catalogue::{self, CATALOGUE, Entry};
use crate::data::download::Patience;
use crate::data::{self, Dataset, Options, Split, fetch, locate};
use crate::text_table as table;
use anyhow::{Context, Result, ensure};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// List, download and look at data sets
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  ternc data list
  ternc data fetch fashion-mnist                 into ~/.cache/tern/data, or --data-dir DIR
  ternc data show fashion-mnist --image 17
  ternc data show ~/pictures                     a folder of pictures: DIR/train/CLASS/*.jpg, DIR/val/CLASS/*.jpg";

#[derive(Subcommand)]
enum Command {
    List(List),
    Fetch(Fetch),
    Show(Show),
}

/// List the data sets that are known by name, and whether they are here
#[derive(clap::Args)]
struct List {
    /// Look for their files in this folder instead of the cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Download a data set; goes on where an earlier download stopped
#[derive(clap::Args)]
struct Fetch {
    /// Its name in `ternc data list`
    name: String,
    /// Put it into DIR/NAME instead of the cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Read a data set, and show what is in it
#[derive(clap::Args)]
struct Show {
    /// Its name in `ternc data list`, or a folder of pictures
    name: String,
    /// Which part of it
    #[arg(long, value_enum, default_value_t = SplitArg::Test)]
    split: SplitArg,
    /// Where its files are, if not in the cache
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The image to draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    image: usize,
}

/// A [`Split`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub enum SplitArg {
    /// What networks learn from
    Train,
    /// What is held out
    Test,
}

impl From<SplitArg> for Split {
    fn from(arg: SplitArg) -> Split {
        match arg {
            SplitArg::Train => Split::Train,
            SplitArg::Test => Split::Test,
        }
    }
}

pub(super) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::List(args) => list(args),
        Command::Fetch(args) => {
            let entry = catalogue::find(&args.name)?;
            let bar = Bar::new(args.quiet);
            let dir = args.data_dir.as_deref();
            let folder = fetch::fetch(entry, dir, &Patience::default(), &bar)?;
            bar.finish();
            if !args.quiet {
                writeln!(
                    std::io::stdout(),
                    "{} is in {}",
                    entry.name,
                    folder.display()
                )?;
            }
            Ok(())
        }
        Command::Show(args) => show(args),
    }
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    about: &'static str,
    train_images: usize,
    test_images: usize,
    shape: [usize; 3],
    classes: usize,
    licence: &'static str,
    homepage: &'static str,
    download_bytes: u64,
    /// The folder it is in, or "built in"; absent where it is not here.
    place: Option<String>,
}

/// Where a set's files are.
fn place(entry: &Entry, data_dir: Option<&Path>) -> Option<String> {
    if entry.remote.is_empty() {
        return Some("built in".into());
    }
    let of = |split| locate::files(entry, (entry.names)(split), data_dir).ok();
    let (train, test) = (of(Split::Train)?, of(Split::Test)?);
    train
        .iter()
        .chain(&test)
        .next()?
        .parent()
        .map(|p| p.display().to_string())
}

fn list(args: List) -> Result<()> {
    let rows: Vec<Row> = CATALOGUE
        .iter()
        .map(|e| Row {
            name: e.name,
            about: e.about,
            train_images: e.images[0],
            test_images: e.images[1],
            shape: e.shape,
            classes: e.classes.len(),
            licence: e.licence,
            homepage: e.homepage,
            download_bytes: e.remote.iter().map(|r| r.bytes).sum(),
            place: place(e, args.data_dir.as_deref()),
        })
        .collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|r| {
            vec![
                r.name.into(),
                table::shape(&r.shape),
                r.classes.to_string(),
                table::grouped(r.train_images as u64),
                table::grouped(r.test_images as u64),
                r.licence.into(),
                match &r.place {
                    Some(place) => place.clone(),
                    None => format!("fetch it ({})", table::bytes(r.download_bytes)),
                },
                r.about.into(),
            ]
        })
        .collect();
    let header = [
        "data set", "image", "classes", "train", "test", "licence", "where", "what",
    ];
    write!(out, "{}", table::render(&header, &[2, 3, 4], &cells))?;
    writeln!(
        out,
        "\nA folder of pictures is a data set too: give its path. It holds train/CLASS/*.jpg and val/CLASS/*.jpg."
    )?;
    Ok(())
}

fn show(args: Show) -> Result<()> {
    let options = Options {
        data_dir: args.data_dir,
        shape: None,
    };
    let set = data::open(&args.name, args.split.into(), &options)?;
    let info = set.info();
    ensure!(
        args.image < set.len(),
        "--image {}: there are {} images (0 to {})",
        args.image,
        set.len(),
        set.len() - 1
    );
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}, {}: {} images {}, mean {:?}, std {:?}\n",
        info.name,
        info.split,
        table::grouped(set.len() as u64),
        table::shape(&info.shape),
        info.mean,
        info.std
    )?;
    let mut counts = vec![0u64; info.classes.len()];
    (0..set.len()).for_each(|i| counts[set.label(i)] += 1);
    let rows: Vec<Vec<String>> = counts
        .iter()
        .zip(&info.classes)
        .enumerate()
        .map(|(label, (&count, class))| {
            vec![label.to_string(), class.clone(), table::grouped(count)]
        })
        .collect();
    write!(
        out,
        "{}",
        table::render(&["label", "class", "images"], &[0, 2], &rows)
    )?;
    writeln!(
        out,
        "\nimage {}, {}:\n{}",
        args.image,
        info.classes[set.label(args.image)],
        drawing(set.as_ref(), args.image)?
    )?;
    Ok(())
}

/// Most columns of a drawing.
const COLUMNS: usize = 64;

/// An image in shades of text, two letters a pixel; large ones made smaller, without
/// the empty rows above and below.
pub(super) fn drawing(set: &dyn Dataset, index: usize) -> Result<String> {
    let [channels, height, width] = set.info().shape;
    let mut pixels = vec![0; set.info().pixels()];
    set.read(index, &mut pixels).context("reading an image")?;
    let step = width.div_ceil(COLUMNS).max(1);
    let shade = |y: usize, x: usize| {
        let (mut sum, mut count) = (0u32, 0u32);
        for c in 0..channels {
            for y in y..(y + step).min(height) {
                for x in x..(x + step).min(width) {
                    sum += pixels[(c * height + y) * width + x] as u32;
                    count += 1;
                }
            }
        }
        ["  ", "..", "::", "++", "##"][(sum / count * 5 / 256) as usize]
    };
    let row = |y| {
        let line: String = (0..width).step_by(step).map(|x| shade(y, x)).collect();
        "  ".to_owned() + &line
    };
    let rows: Vec<String> = (0..height).step_by(step).map(row).collect();
    let mut rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
    let shown = |row: &&str| !row.is_empty();
    rows.truncate(rows.iter().rposition(shown).map_or(0, |last| last + 1));
    let first = rows.iter().position(shown).unwrap_or(0);
    Ok(rows[first..].join("\n") + "\n")
}
