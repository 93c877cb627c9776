use super::*;
use crate::data::{Dataset, Options, catalogue, locate, open as open_set};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// An IDX file of bytes.
fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    file.extend(data);
    file
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Images that differ, and the labels 0, 1, 2 ...
fn images(count: usize) -> Vec<u8> {
    (0..count * 784).map(|i| (i / 784 + i % 7) as u8).collect()
}

struct Files(tempfile::TempDir);

impl Files {
    fn new(images: &[u8], labels: &[u8], suffix: &str) -> Files {
        let dir = tempfile::tempdir().unwrap();
        let names = file_names(Split::Test);
        let (a, b) = (names[0], names[1]);
        std::fs::write(dir.path().join(format!("{a}{suffix}")), images).unwrap();
        std::fs::write(dir.path().join(format!("{b}{suffix}")), labels).unwrap();
        Files(dir)
    }

    fn open(&self) -> Result<Box<dyn Dataset>> {
        let options = Options {
            data_dir: Some(self.0.path().into()),
            ..Options::default()
        };
        open_set("mnist", Split::Test, &options)
    }

    /// Fails in one line that holds the needles.
    fn refuse(&self, needles: &[&str]) {
        let error = format!("{:#}", self.open().err().expect("it opens"));
        assert!(!error.contains('\n'), "{error}");
        for needle in needles {
            assert!(error.contains(needle), "{needle:?} is not in {error:?}");
        }
    }
}

fn good() -> (Vec<u8>, Vec<u8>) {
    (idx(&[5, 28, 28], &images(5)), idx(&[5], &[0, 1, 2, 3, 9]))
}

#[test]
fn plain_and_gzipped_files_hold_the_same() {
    let (pixels, labels) = good();
    for (files, how) in [
        (Files::new(&pixels, &labels, ""), "plain"),
        (Files::new(&gzip(&pixels), &gzip(&labels), ".gz"), "gzip"),
    ] {
        let set = files.open().unwrap();
        assert_eq!((set.len(), set.info().shape), (5, [1, 28, 28]), "{how}");
        assert_eq!(set.label(4), 9, "{how}");
        let mut image = vec![0; 784];
        set.read(3, &mut image).unwrap();
        assert_eq!(image, images(5)[3 * 784..4 * 784], "{how}");
    }
}

#[test]
fn the_folder_may_be_one_of_torchvision() {
    let (pixels, labels) = good();
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("MNIST/raw");
    std::fs::create_dir_all(&raw).unwrap();
    for (name, bytes) in file_names(Split::Test).iter().zip([pixels, labels]) {
        std::fs::write(raw.join(name), bytes).unwrap();
    }
    let entry = catalogue::find("mnist").unwrap();
    let found = locate::files(entry, file_names(Split::Test), Some(dir.path())).unwrap();
    assert!(found.iter().all(|p| p.starts_with(&raw)));
}

#[test]
fn damaged_files_are_refused_by_name() {
    let (pixels, labels) = good();
    let images_name = file_names(Split::Test)[0];
    let labels_name = file_names(Split::Test)[1];
    let with = |images: &[u8], labels: &[u8], needles: &[&str]| {
        Files::new(images, labels, "").refuse(needles);
        Files::new(&gzip(images), &gzip(labels), ".gz").refuse(needles);
    };
    with(&pixels[..3], &labels, &[images_name, "header ends early"]);
    with(&pixels[..10], &labels, &[images_name, "header ends early"]);
    with(&[], &labels, &[images_name, "header ends early"]);
    let short = &pixels[..pixels.len() - 1];
    with(
        short,
        &labels,
        &[images_name, "3920 bytes of data, and 3919 are there"],
    );
    let long = [&pixels[..], &[0]].concat();
    with(&long, &labels, &[images_name, "more are there"]);
    with(&labels, &labels, &[images_name, "0x00000801", "0x00000803"]);
    with(
        b"<!DOCTYPE html><html>",
        &labels,
        &[images_name, "0x3c21444f"],
    );
    let huge = idx(&[u32::MAX; 3], &[]);
    with(
        &huge,
        &labels,
        &[images_name, "more than any such file has"],
    );
    let large = idx(&[5_000_000, 28, 28], &[1, 2, 3]);
    with(
        &large,
        &labels,
        &[images_name, "3920000000 bytes", "3 are there"],
    );
    with(
        &idx(&[0, 28, 28], &[]),
        &labels,
        &[images_name, "holds nothing"],
    );
    let other_size = idx(&[5, 8, 8], &[0; 5 * 64]);
    with(&other_size, &labels, &[images_name, "8x8", "28x28"]);
    with(
        &pixels,
        &idx(&[4], &[0; 4]),
        &[labels_name, "5 images", "4 labels"],
    );
    with(
        &pixels,
        &idx(&[5], &[0, 1, 10, 3, 4]),
        &[labels_name, "label 2 is 10", "10 classes"],
    );
    with(&pixels, &pixels, &[labels_name, "0x00000803"]);
}

#[test]
fn damaged_gzip_is_refused() {
    let (pixels, labels) = good();
    let (packed, packed_labels) = (gzip(&pixels), gzip(&labels));
    let name = file_names(Split::Test)[0];
    let cut = &packed[..packed.len() / 2];
    Files::new(cut, &packed_labels, ".gz").refuse(&[name]);
    // A changed checksum at the end, and data that is no gzip.
    let mut wrong = packed.clone();
    let at = wrong.len() - 8;
    wrong[at] ^= 1;
    Files::new(&wrong, &packed_labels, ".gz").refuse(&[name]);
    Files::new(&pixels, &labels, ".gz").refuse(&[name]);
}

#[test]
fn every_cut_of_a_small_file_is_an_error() {
    let file = gzip(&idx(&[2, 3], &[1, 2, 3, 4, 5, 6]));
    assert!(parse(MultiGzDecoder::new(&file[..]), 2).is_ok());
    for len in 0..file.len() {
        assert!(
            parse(MultiGzDecoder::new(&file[..len]), 2).is_err(),
            "{len}"
        );
    }
}
