use super::*;
use crate::data::memory::InMemory;

fn info(shape: [usize; 3], classes: usize) -> Info {
    Info {
        name: "a".into(),
        split: Split::Test,
        shape,
        classes: (0..classes).map(|c| c.to_string()).collect(),
        mean: vec![0.5; shape[0]],
        std: vec![0.25; shape[0]],
    }
}

#[test]
fn digits_are_built_in() {
    for (split, count) in [(Split::Train, 1437), (Split::Test, 360)] {
        let set = open("digits", split, &Options::default()).unwrap();
        assert_eq!((set.len(), set.info().shape), (count, [1, 8, 8]));
        let mut image = [0; 64];
        let mut brightest = 0;
        let mut seen = [0; 10];
        for i in 0..set.len() {
            set.read(i, &mut image).unwrap();
            brightest = brightest.max(*image.iter().max().unwrap());
            seen[set.label(i)] += 1;
        }
        assert_eq!(brightest, 255);
        // A tenth each, more or less.
        assert!(seen.iter().all(|&n| n * 10 > count * 7 / 10), "{seen:?}");
    }
}

/// No image of one part is in the other.
#[test]
fn held_out_digits_are_not_trained_on() {
    let all = |split| {
        let set = open("digits", split, &Options::default()).unwrap();
        (0..set.len())
            .map(|i| {
                let mut image = [0; 64];
                set.read(i, &mut image).unwrap();
                image
            })
            .collect::<std::collections::HashSet<_>>()
    };
    assert!(all(Split::Train).is_disjoint(&all(Split::Test)));
}

#[test]
fn unknown_names_bring_the_nearest() {
    let message = |name: &str| {
        let error = open(name, Split::Test, &Options::default()).err().unwrap();
        format!("{error:#}")
    };
    assert!(message("fashon-mnist").contains("did you mean \"fashion-mnist\""));
    assert!(message("coco").contains("known: digits, mnist"));
    assert_eq!(
        catalogue::find("FashionMNIST").unwrap().name,
        "fashion-mnist"
    );
}

#[test]
fn the_catalogue_is_consistent() {
    for entry in catalogue::CATALOGUE {
        let channels = entry.shape[0];
        assert_eq!((entry.mean.len(), entry.std.len()), (channels, channels));
        assert_eq!(catalogue::find(entry.name).unwrap().name, entry.name);
        for alias in entry.aliases {
            assert_eq!(catalogue::find(alias).unwrap().name, entry.name);
        }
        assert!(entry.classes.len() >= 2);
    }
}

#[test]
fn a_missing_folder_and_missing_files_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let options = |path: &std::path::Path| Options {
        data_dir: Some(path.into()),
        ..Options::default()
    };
    let message = |name: &str, options: &Options| {
        let error = open(name, Split::Train, options).err().unwrap();
        format!("{error:#}")
    };
    let absent = dir.path().join("absent");
    let error = message("fashion-mnist", &options(&absent));
    assert!(
        error.contains("absent") && error.contains("no such folder"),
        "{error}"
    );
    let error = message("fashion-mnist", &options(dir.path()));
    assert!(error.contains("train-images-idx3-ubyte"), "{error}");
    assert!(error.contains("dataset-fashion-mnist"), "{error}");
    std::fs::write(dir.path().join("train-images-idx3-ubyte"), b"").unwrap();
    let error = message("mnist", &options(dir.path()));
    assert!(
        error.contains("train-labels-idx1-ubyte is missing"),
        "{error}"
    );
}

#[test]
fn normalisation_is_by_channel() {
    let mut info = info([2, 1, 2], 2);
    info.mean = vec![0.0, 0.5];
    info.std = vec![1.0, 0.5];
    let mut out = [0.0; 4];
    info.normalise(&[255, 0, 255, 0], &mut out);
    assert_eq!(out, [1.0, 0.0, 1.0, -1.0]);
}

#[test]
fn images_are_padded_and_grey_becomes_colour() {
    let set = InMemory::new(info([1, 2, 2], 2), vec![1, 2, 3, 4], vec![1]).unwrap();
    let set = fit::fit(Box::new(set), [3, 4, 4]).unwrap();
    let mut image = vec![9; 48];
    set.read(0, &mut image).unwrap();
    let plane = [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0];
    assert_eq!(image, [plane, plane, plane].concat());
    assert_eq!(set.info().mean, [0.5; 3]);
    // Odd borders: one row more below.
    let set = InMemory::new(info([1, 1, 1], 2), vec![7], vec![0]).unwrap();
    let set = fit::fit(Box::new(set), [1, 2, 2]).unwrap();
    let mut image = [9; 4];
    set.read(0, &mut image).unwrap();
    assert_eq!(image, [7, 0, 0, 0]);
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let set = || InMemory::new(info([3, 4, 4], 2), vec![0; 48], vec![1]).unwrap();
    assert!(fit::fit(Box::new(set()), [1, 4, 4]).is_err());
    assert!(fit::fit(Box::new(set()), [3, 3, 4]).is_err());
    assert!(fit::fit(Box::new(set()), [3, 4, 4]).is_ok());
}

#[test]
fn memory_checks_what_it_is_given() {
    assert!(InMemory::new(info([1, 2, 2], 2), vec![0; 8], vec![0, 1]).is_ok());
    assert!(InMemory::new(info([1, 2, 2], 2), vec![0; 7], vec![0, 1]).is_err());
    assert!(InMemory::new(info([1, 2, 2], 2), vec![0; 8], vec![0, 2]).is_err());
    assert!(InMemory::new(info([1, 2, 2], 2), vec![], vec![]).is_err());
}

/// The real files, where Debian's package put them.
#[test]
fn fashion_mnist_of_the_system() {
    let entry = catalogue::find("fashion-mnist").unwrap();
    if !std::path::Path::new(entry.system[0]).is_dir() {
        println!("skipped: {} is not installed", entry.package.unwrap());
        return;
    }
    let (mut sum, mut squares) = (0u64, 0u64);
    let set = open("fashion-mnist", Split::Train, &Options::default()).unwrap();
    assert_eq!((set.len(), set.label(0)), (60_000, 9));
    let mut image = [0; 784];
    for i in 0..set.len() {
        set.read(i, &mut image).unwrap();
        sum += image.iter().map(|&p| p as u64).sum::<u64>();
        squares += image.iter().map(|&p| (p as u64).pow(2)).sum::<u64>();
    }
    let count = (set.len() * 784) as f64;
    let mean = sum as f64 / count / 255.0;
    let std = (squares as f64 / count / 255.0 / 255.0 - mean * mean).sqrt();
    assert!((mean - entry.mean[0] as f64).abs() < 1e-4, "{mean}");
    assert!((std - entry.std[0] as f64).abs() < 1e-4, "{std}");
    let set = open("fashion-mnist", Split::Test, &Options::default()).unwrap();
    assert_eq!((set.len(), set.label(0)), (10_000, 9));
}
