use super::*;
use crate::data::download::tests::{Act, HURRIED, Server, hash};
use crate::data::{Options, catalogue, download::Remote, open};
use crate::pipeline::Silent;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A `.tar.gz` of these files.
fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, path, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// CIFAR-10 as a server has it: records of one image, labelled by its file.
fn cifar10() -> Vec<u8> {
    let entry = catalogue::find("cifar-10").unwrap();
    let names = [Split::Train, Split::Test]
        .into_iter()
        .flat_map(|s| (entry.names)(s));
    let mut files: Vec<(String, Vec<u8>)> = names
        .enumerate()
        .map(|(i, name)| {
            let record = [vec![i as u8], vec![40 * i as u8; 3072]].concat();
            (format!("cifar-10-batches-bin/{name}"), record)
        })
        .collect();
    files.push((
        "cifar-10-batches-bin/readme.html".into(),
        b"<html>".to_vec(),
    ));
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    archive(&files)
}

/// CIFAR-10's entry, with another server.
fn entry(url: &str, bytes: &[u8]) -> Entry {
    let real = catalogue::find("cifar-10").unwrap();
    let remote = Remote {
        name: "cifar-10-binary.tar.gz",
        urls: Vec::leak(vec![&*String::leak(url.to_owned())]),
        bytes: bytes.len() as u64,
        sha256: String::leak(hash(bytes)),
    };
    Entry {
        remote: Vec::leak(vec![remote]),
        ..*real
    }
}

#[test]
fn an_archive_is_fetched_unpacked_and_read() {
    let bytes = cifar10();
    let server = Server::new(bytes.clone(), &[Act::Cut(100), Act::Serve]);
    let (entry, dir) = (entry(&server.url, &bytes), tempfile::tempdir().unwrap());
    let folder = fetch(&entry, Some(dir.path()), &HURRIED, &Silent).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6);
    assert_eq!(
        (names[0].as_str(), names[5].as_str()),
        ("data_batch_1.bin", "test_batch.bin")
    );
    // It is not fetched again, and can be read from here.
    let requests = server.ranges.lock().unwrap().len();
    fetch(&entry, Some(dir.path()), &HURRIED, &Silent).unwrap();
    assert_eq!(server.ranges.lock().unwrap().len(), requests);
    let options = Options {
        data_dir: Some(dir.path().into()),
        shape: None,
    };
    let set = open("cifar10", Split::Test, &options).unwrap();
    assert_eq!((set.len(), set.label(0)), (1, 5));
    assert_eq!(open("cifar10", Split::Train, &options).unwrap().len(), 5);
}

#[test]
fn an_archive_that_lacks_a_file_or_is_none() {
    let refuse = |bytes: Vec<u8>, needle: &str| {
        let server = Server::new(bytes.clone(), &[Act::Serve]);
        let (entry, dir) = (entry(&server.url, &bytes), tempfile::tempdir().unwrap());
        let error = fetch(&entry, Some(dir.path()), &HURRIED, &Silent).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(needle), "{needle:?} is not in {error:?}");
        assert!(error.contains("cifar-10-binary.tar.gz"), "{error}");
    };
    refuse(
        archive(&[("a/test_batch.bin", vec![1])]),
        "data_batch_1.bin",
    );
    refuse(b"no archive at all".to_vec(), "unpack");
    let whole = cifar10();
    refuse(whole[..whole.len() / 2].to_vec(), "unpack");
}

/// Wherever a member claims to belong, it lands in the folder or nowhere.
#[test]
fn members_do_not_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    // `append_data` refuses such a path, so it is written into the header itself.
    header.as_mut_bytes()[..14].copy_from_slice(b"../wanted.bin\0");
    header.set_size(3);
    header.set_cksum();
    builder.append(&header, &b"abc"[..]).unwrap();
    let path = inner.join("a.tar.gz");
    std::fs::write(&path, builder.into_inner().unwrap().finish().unwrap()).unwrap();
    unpack(&path, &["wanted.bin"], &inner).unwrap();
    assert_eq!(std::fs::read(inner.join("wanted.bin")).unwrap(), b"abc");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_is_built_in_is_not_fetched() {
    let digits = catalogue::find("digits").unwrap();
    let error = fetch(digits, None, &HURRIED, &Silent).unwrap_err();
    assert!(format!("{error:#}").contains("built in"));
}
