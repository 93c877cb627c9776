use super::*;
use crate::pipeline::Silent;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with a request, one after the other; the last is repeated.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Serves the file, or the range of it that was asked for.
    Serve,
    /// Serves all of it whatever was asked for.
    ServeAll,
    /// As `Serve`, and hangs up after so many bytes.
    Cut(usize),
    /// Serves all of it under this declared length.
    Declare(usize),
    /// As `Serve`, but the range starts so many bytes later than was asked for.
    Shift(usize),
    /// Serves these bytes as if they were the file.
    Other(Vec<u8>),
    /// Serves these bytes without a length.
    Unsized(Vec<u8>),
    /// Answers with a status and nothing else.
    Status(&'static str),
    /// Sends the header and then nothing.
    Hang,
}

/// An HTTP server on this machine that serves one file, and misbehaves as told.
pub(crate) struct Server {
    pub url: String,
    /// The `Range` of each request so far; empty where there was none.
    pub ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn new(file: Vec<u8>, acts: &[Act]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut acts) = (ranges.clone(), VecDeque::from(acts.to_vec()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let act = match acts.len() {
                    1 => acts[0].clone(),
                    _ => acts.pop_front().unwrap(),
                };
                let (file, seen) = (file.clone(), seen.clone());
                // A client that hung up is none of the server's business.
                std::thread::spawn(move || drop(answer(stream, &file, act, &seen)));
            }
        });
        Server { url, ranges }
    }

    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    file: &[u8],
    act: Act,
    ranges: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut range = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("range")
        {
            range = value.to_owned();
        }
    }
    ranges.lock().unwrap().push(range.clone());
    let start: Option<usize> = range
        .strip_prefix("bytes=")
        .and_then(|r| r.trim_end_matches('-').parse().ok());
    let mut partial = |file: &[u8], start: Option<usize>, limit: usize| {
        let head = match start {
            Some(start) if start >= file.len() => {
                return write!(
                    stream,
                    "HTTP/1.1 416 Range Not Satisfiable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                );
            }
            Some(start) => format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
                file.len() - 1,
                file.len()
            ),
            None => "HTTP/1.1 200 OK".into(),
        };
        let body = &file[start.unwrap_or(0)..];
        write!(
            stream,
            "{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )?;
        stream.write_all(&body[..limit.min(body.len())])
    };
    match act {
        Act::Serve => partial(file, start, usize::MAX),
        Act::ServeAll => partial(file, None, usize::MAX),
        Act::Cut(len) => partial(file, start, len),
        Act::Shift(by) => partial(file, start.map(|s| s + by), usize::MAX),
        Act::Other(bytes) => partial(&bytes, start, usize::MAX),
        Act::Declare(len) => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(file)
        }
        Act::Unsized(bytes) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&bytes)
        }
        Act::Status(status) => write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        Act::Hang => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                file.len()
            )?;
            stream.flush()?;
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        }
    }
}

pub(crate) const HURRIED: Patience = Patience {
    attempts: 2,
    pause: Duration::from_millis(1),
    silence: Duration::from_millis(300),
};

/// Bytes that are not all alike.
fn file() -> Vec<u8> {
    (0..200_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Fetches [`file`] from these addresses into `folder`.
fn get(urls: &[&str], folder: &Path) -> Result<PathBuf> {
    let remote = Remote {
        name: "it.bin",
        urls,
        bytes: file().len() as u64,
        sha256: &hash(&file()),
    };
    fetch(&remote, folder, &HURRIED, &Silent)
}

/// Fetches from a server that acts so; it must succeed, and leave nothing else behind.
fn succeeds(acts: &[Act]) -> Server {
    let (server, dir) = (Server::new(file(), acts), tempfile::tempdir().unwrap());
    let path = get(&[&server.url], dir.path()).unwrap_or_else(|e| panic!("{acts:?}: {e:#}"));
    assert!(std::fs::read(&path).unwrap() == file(), "{acts:?}");
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "{acts:?}"
    );
    server
}

/// Fetches from a server that acts so; it must fail in one line that holds the needles.
fn fails(acts: &[Act], needles: &[&str]) {
    let (server, dir) = (Server::new(file(), acts), tempfile::tempdir().unwrap());
    let error = get(&[&server.url], dir.path()).expect_err("it is fetched");
    let error = format!("{error:#}");
    assert!(!error.contains('\n') && error.contains("it.bin"), "{error}");
    assert!(error.contains(&server.url), "{error}");
    for needle in needles {
        assert!(
            error.contains(needle),
            "{acts:?}: {needle:?} is not in {error:?}"
        );
    }
    assert!(!dir.path().join("it.bin").exists(), "{acts:?}");
}

#[test]
fn a_good_server() {
    assert_eq!(succeeds(&[Act::Serve]).ranges(), [""]);
}

#[test]
fn a_server_that_cuts_off_is_asked_for_the_rest() {
    let server = succeeds(&[Act::Cut(1000), Act::Cut(500), Act::Serve]);
    assert_eq!(server.ranges(), ["", "bytes=1000-", "bytes=1500-"]);
}

#[test]
fn cutting_off_for_ever_ends_the_attempts() {
    fails(&[Act::Cut(1000), Act::Cut(0)], &["connection broke"]);
    fails(&[Act::Status("503 Service Unavailable")], &["503"]);
}

#[test]
fn a_server_without_ranges_starts_anew() {
    succeeds(&[Act::Cut(1000), Act::ServeAll]);
    succeeds(&[
        Act::Cut(1000),
        Act::Status("416 Range Not Satisfiable"),
        Act::Serve,
    ]);
    succeeds(&[Act::Cut(1000), Act::Shift(7), Act::Serve]);
}

#[test]
fn a_silent_server_is_left() {
    succeeds(&[Act::Hang, Act::Serve]);
    fails(&[Act::Hang], &["it.bin"]);
}

#[test]
fn a_server_that_lies_about_the_length() {
    let len = file().len();
    fails(&[Act::Declare(len - 10)], &["199990", "200000"]);
    fails(&[Act::Declare(len + 10)], &["200010", "200000"]);
    // One that declares none, and sends too much or too little.
    let long = [file(), vec![0; 100]].concat();
    fails(&[Act::Unsized(long)], &["longer than the 200000 bytes"]);
    let short = file()[..len - 1].to_vec();
    fails(&[Act::Unsized(short)], &["199999 of 200000"]);
    succeeds(&[Act::Unsized(file())]);
}

#[test]
fn a_wrong_file_is_refused() {
    let mut other = file();
    other[77] ^= 1;
    fails(
        &[Act::Other(other.clone())],
        &["SHA-256", &hash(&file()), &hash(&other)],
    );
    fails(&[Act::Other(b"<html>".to_vec())], &["6 bytes", "200000"]);
    fails(&[Act::Status("404 Not Found")], &["404"]);
    // Its first part and the rest of the right one: begun again.
    let server = succeeds(&[Act::Unsized(other[..1000].to_vec()), Act::Serve]);
    assert_eq!(server.ranges(), ["", "bytes=1000-", ""]);
}

#[test]
fn a_second_address_helps() {
    let (bad, good) = (
        Server::new(file(), &[Act::Status("404 Not Found")]),
        Server::new(file(), &[Act::Serve]),
    );
    let dir = tempfile::tempdir().unwrap();
    get(
        &[&bad.url, "http://127.0.0.1:1/closed", &good.url],
        dir.path(),
    )
    .unwrap();
}

#[test]
fn an_interrupted_download_goes_on_and_a_complete_one_is_kept() {
    let (server, dir) = (
        Server::new(file(), &[Act::Serve]),
        tempfile::tempdir().unwrap(),
    );
    std::fs::write(dir.path().join("it.bin.part"), &file()[..123]).unwrap();
    get(&[&server.url], dir.path()).unwrap();
    get(&[&server.url], dir.path()).unwrap();
    assert_eq!(server.ranges(), ["bytes=123-"]);
    // A damaged one is replaced, and so is a part that is too long.
    std::fs::write(dir.path().join("it.bin"), b"damaged").unwrap();
    std::fs::write(dir.path().join("it.bin.part"), [1; 300_000]).unwrap();
    let path = get(&[&server.url], dir.path()).unwrap();
    assert!(std::fs::read(path).unwrap() == file());
    assert_eq!(server.ranges(), ["bytes=123-", ""]);
}

#[test]
fn two_processes_do_not_write_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let held = Part::open(dir.path().join("it.bin.part")).unwrap();
    let error = get(&["http://127.0.0.1:1/"], dir.path()).unwrap_err();
    assert!(
        format!("{error:#}").contains("another process"),
        "{error:#}"
    );
    drop(held);
}

#[test]
fn ranges_of_answers_are_read() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
    assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
    for wrong in [
        "",
        "bytes",
        "bytes 5",
        "bytes x-9/10",
        "bytes 5-9/x",
        "items 5-9/10",
    ] {
        assert_eq!(content_range(wrong), None, "{wrong}");
    }
}
