//! A folder of pictures in ImageNet's layout: `DIR/train/CLASS/*.jpg` and
//! `DIR/val/CLASS/*.jpg`, where the sorted names of the folders are the classes.
//!
//! Pictures are decoded when they are read, every time.

use super::{Dataset, Info, Split, picture};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// What pictures become where nobody asks for another size.
const SHAPE: [usize; 3] = [3, 224, 224];
/// ImageNet's means and deviations, which most networks for photographs expect.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

struct Folder {
    info: Info,
    pictures: Vec<(PathBuf, usize)>,
}

/// The pictures of a split below `root`. Where `root` has neither `train` nor `val`
/// nor `test`, it holds the classes itself, as something to test with.
///
/// # Errors
/// Folders that are missing or empty, by name.
pub fn open(root: &Path, split: Split, shape: Option<[usize; 3]>) -> Result<Box<dyn Dataset>> {
    let shape = shape.unwrap_or(SHAPE);
    ensure!(
        matches!(shape[0], 1 | 3),
        "pictures have 1 or 3 channels, the network takes {}",
        shape[0]
    );
    let folder = split_folder(root, split)?;
    let classes: Vec<PathBuf> = entries(&folder)?
        .into_iter()
        .filter(|p| p.is_dir() && !is_hidden(p))
        .collect();
    ensure!(
        classes.len() >= 2,
        "{}: pictures are sorted into one folder a class, and there {} {}",
        folder.display(),
        if classes.len() == 1 { "is" } else { "are" },
        classes.len()
    );
    let mut pictures = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let before = pictures.len();
        let files = entries(class)?.into_iter().filter(|p| is_picture(p));
        pictures.extend(files.map(|p| (p, label)));
        ensure!(
            pictures.len() > before,
            "{}: there is no JPEG or PNG of this class",
            class.display()
        );
    }
    let name = |p: &PathBuf| {
        let name = p.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let (mean, std) = match shape[0] {
        3 => (MEAN.to_vec(), STD.to_vec()),
        _ => (vec![MEAN[1]], vec![STD[1]]),
    };
    let info = Info {
        name: root.display().to_string(),
        split,
        shape,
        classes: classes.iter().map(name).collect(),
        mean,
        std,
    };
    Ok(Box::new(Folder { info, pictures }))
}

/// Where a split's classes are.
fn split_folder(root: &Path, split: Split) -> Result<PathBuf> {
    let of = |names: &[&str]| names.iter().map(|n| root.join(n)).find(|p| p.is_dir());
    let (train, test) = (of(&["train"]), of(&["val", "test", "validation"]));
    match (split, train, test) {
        (Split::Train, Some(folder), _) | (Split::Test, _, Some(folder)) => Ok(folder),
        (Split::Test, None, None) => Ok(root.to_path_buf()),
        (Split::Train, None, _) => bail!(
            "{}: there is no folder \"train\" in it to train with",
            root.display()
        ),
        (Split::Test, Some(_), None) => bail!(
            "{}: there is no folder \"val\" or \"test\" in it to test with",
            root.display()
        ),
    }
}

/// What a folder holds, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder)?.map(|e| Ok(e?.path()));
        let mut paths = entries.collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    list().with_context(|| format!("cannot read the folder {}", folder.display()))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with('.')
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    !is_hidden(path) && ["jpg", "jpeg", "png"].iter().any(|e| extension == *e)
}

impl Dataset for Folder {
    fn info(&self) -> &Info {
        &self.info
    }

    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn label(&self, index: usize) -> usize {
        self.pictures[index].1
    }

    fn read(&self, index: usize, pixels: &mut [u8]) -> Result<()> {
        let image = picture::read(&self.pictures[index].0, self.info.shape)?;
        pixels.copy_from_slice(&image);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
