use super::*;
use crate::data::{Options, open as open_set};
use image::{Rgb, RgbImage};
use std::fs;

/// A picture of one colour with its left half darkened, 40x30.
fn picture(path: &Path, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let half = |x: u32, v: u8| if x < 20 { v / 2 } else { v };
    let picture = RgbImage::from_fn(40, 30, |x, _| Rgb(colour.map(|v| half(x, v))));
    picture.save(path).unwrap();
}

/// Two classes, in both layouts' parts.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, colour) in [
        ("train/cat/b.png", [200, 0, 0]),
        ("train/cat/a.jpg", [100, 0, 0]),
        ("train/dog/1.JPEG", [0, 0, 220]),
        ("val/cat/x.png", [200, 100, 0]),
        ("val/dog/y.png", [0, 200, 0]),
    ] {
        picture(&dir.path().join(path), colour);
    }
    fs::write(dir.path().join("train/cat/notes.txt"), "not a picture").unwrap();
    fs::write(dir.path().join("train/cat/.hidden.png"), "nor this").unwrap();
    dir
}

fn read(set: &dyn Dataset, index: usize) -> Result<Vec<u8>> {
    let mut pixels = vec![0; set.info().pixels()];
    set.read(index, &mut pixels)?;
    Ok(pixels)
}

#[test]
fn classes_are_the_sorted_folders() {
    let dir = tree();
    let set = open(dir.path(), Split::Train, Some([3, 8, 8])).unwrap();
    assert_eq!(set.info().classes, ["cat", "dog"]);
    assert_eq!(
        (set.len(), set.label(0), set.label(1), set.label(2)),
        (3, 0, 0, 1)
    );
    // a.jpg comes first; JPEG is near the colour, not exactly it.
    let image = read(set.as_ref(), 0).unwrap();
    let (left, right) = (image[3 * 8 + 1], image[3 * 8 + 6]);
    assert!(
        (45..=55).contains(&left) && (94..=106).contains(&right),
        "{left} {right}"
    );
    assert!(image[64..].iter().all(|&p| p < 12));
    let set = open(dir.path(), Split::Test, Some([3, 8, 8])).unwrap();
    let image = read(set.as_ref(), 0).unwrap();
    assert_eq!((image[6], image[64 + 6], image[128 + 6]), (200, 100, 0));
    assert_eq!(set.info().mean.len(), 3);
}

#[test]
fn sizes_and_channels_are_the_networks() {
    let dir = tree();
    for shape in [[3, 64, 64], [3, 17, 33], [1, 28, 28], [3, 1, 1]] {
        let set = open(dir.path(), Split::Test, Some(shape)).unwrap();
        assert_eq!(set.info().shape, shape);
        assert_eq!(set.info().mean.len(), shape[0]);
        read(set.as_ref(), 1).unwrap();
    }
    assert_eq!(
        open(dir.path(), Split::Test, None).unwrap().info().shape,
        [3, 224, 224]
    );
    assert!(open(dir.path(), Split::Test, Some([4, 8, 8])).is_err());
}

#[test]
fn the_path_or_the_data_dir_name_the_folder() {
    let dir = tree();
    let path = dir.path().to_str().unwrap();
    let options = Options::default();
    assert_eq!(open_set(path, Split::Test, &options).unwrap().len(), 2);
    let options = Options {
        data_dir: Some(path.into()),
        shape: None,
    };
    assert_eq!(
        open_set("imagenet", Split::Train, &options).unwrap().len(),
        3
    );
    assert!(open_set("folder", Split::Train, &Options::default()).is_err());
    let absent = format!("{path}/absent");
    let error = open_set(&absent, Split::Train, &Options::default())
        .err()
        .unwrap();
    assert!(format!("{error:#}").contains("absent"));
}

#[test]
fn classes_alone_are_for_testing() {
    let dir = tree();
    let classes = dir.path().join("val");
    assert_eq!(open(&classes, Split::Test, None).unwrap().len(), 2);
    let error = open(&classes, Split::Train, None).err().unwrap();
    assert!(format!("{error:#}").contains("no folder \"train\""));
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let refuse = |damage: &dyn Fn(&Path), needle: &str| {
        let dir = tree();
        damage(dir.path());
        let error = open(dir.path(), Split::Test, Some([3, 8, 8]))
            .and_then(|set| (0..set.len()).try_for_each(|i| read(set.as_ref(), i).map(drop)));
        let error = format!("{:#}", error.expect_err("it opens"));
        assert!(error.contains(needle), "{needle:?} is not in {error:?}");
        assert!(!error.contains('\n'), "{error}");
    };
    refuse(
        &|d| fs::remove_dir_all(d.join("val")).unwrap(),
        "no folder \"val\"",
    );
    refuse(
        &|d| fs::remove_dir_all(d.join("val/dog")).unwrap(),
        "there is 1",
    );
    refuse(
        &|d| fs::remove_file(d.join("val/dog/y.png")).unwrap(),
        "dog",
    );
    refuse(
        &|d| fs::write(d.join("val/dog/y.png"), b"no picture").unwrap(),
        "y.png",
    );
    refuse(
        &|d| fs::write(d.join("val/dog/y.png"), b"").unwrap(),
        "y.png",
    );
    let cut = |d: &Path| {
        let path = d.join("val/dog/y.png");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    };
    refuse(&cut, "y.png");
    // A header that promises more pixels than memory.
    let huge = |d: &Path| {
        let path = d.join("val/dog/y.png");
        let mut bytes = fs::read(&path).unwrap();
        bytes[16..24].fill(0x7f);
        fs::write(&path, bytes).unwrap();
    };
    refuse(&huge, "y.png");
}

/// A JPEG under a PNG's name, as ImageNet has them, is read by its contents.
#[test]
fn contents_tell_the_kind_of_file() {
    let dir = tree();
    fs::copy(
        dir.path().join("train/cat/a.jpg"),
        dir.path().join("val/cat/x.png"),
    )
    .unwrap();
    let set = open(dir.path(), Split::Test, Some([3, 8, 8])).unwrap();
    assert!(read(set.as_ref(), 0).unwrap()[7] > 90);
}
