use crate::data::{Dataset, Options, Split, open as open_set};
use anyhow::Result;

/// A record: its labels, and pixels that tell channel and place.
fn record(labels: &[u8], seed: u8) -> Vec<u8> {
    let pixels = (0..3072u32).map(|i| (i / 1024 * 50 + i % 32) as u8 ^ seed);
    labels.iter().copied().chain(pixels).collect()
}

fn write_and_open(name: &str, split: Split, files: &[(&str, &[u8])]) -> Result<Box<dyn Dataset>> {
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes) in files {
        std::fs::write(dir.path().join(file), bytes).unwrap();
    }
    let options = Options {
        data_dir: Some(dir.path().into()),
        shape: None,
    };
    open_set(name, split, &options)
}

#[test]
fn cifar10_is_five_batches() {
    let files: Vec<(String, Vec<u8>)> = (1..=5)
        .map(|i| {
            let records = (0..3).flat_map(|r| record(&[i], 10 * i + r)).collect();
            (format!("data_batch_{i}.bin"), records)
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), &b[..])).collect();
    let set = write_and_open("cifar-10", Split::Train, &files).unwrap();
    assert_eq!((set.len(), set.info().shape), (15, [3, 32, 32]));
    assert_eq!(set.label(7), 3);
    let mut image = vec![0; 3072];
    set.read(7, &mut image).unwrap();
    assert_eq!(image, record(&[], 31));
    assert_eq!(set.info().classes[9], "truck");
}

#[test]
fn cifar100_has_the_fine_label_second() {
    let bytes = [record(&[19, 99], 1), record(&[3, 7], 2)].concat();
    let set = write_and_open("cifar100", Split::Test, &[("test.bin", &bytes)]).unwrap();
    assert_eq!((set.label(0), set.label(1)), (99, 7));
    assert_eq!(set.info().classes[99], "worm");
    assert_eq!(set.info().classes.len(), 100);
}

#[test]
fn damaged_files_are_refused_by_name() {
    let refuse = |bytes: &[u8], needles: &[&str]| {
        let error = write_and_open("cifar-10", Split::Test, &[("test_batch.bin", bytes)]);
        let error = format!("{:#}", error.err().expect("it opens"));
        for needle in needles
            .iter()
            .chain(&["test_batch.bin", "ternc data fetch cifar-10"])
        {
            assert!(error.contains(needle), "{needle:?} is not in {error:?}");
        }
    };
    let good = record(&[3], 1);
    assert!(write_and_open("cifar-10", Split::Test, &[("test_batch.bin", &good)]).is_ok());
    refuse(&good[..3000], &["3000 bytes", "3073"]);
    refuse(&[], &["empty"]);
    let records = [good.clone(), record(&[10], 1)].concat();
    refuse(&records, &["label 1 is 10", "10 classes"]);
    // CIFAR-100's records are one byte longer.
    refuse(&record(&[1, 2], 0), &["3074 bytes"]);
}

#[test]
fn a_missing_batch_is_named() {
    let good = record(&[3], 1);
    let error = write_and_open("cifar-10", Split::Train, &[("data_batch_1.bin", &good)]);
    let error = format!("{:#}", error.err().unwrap());
    assert!(error.contains("data_batch_2.bin is missing"), "{error}");
}
