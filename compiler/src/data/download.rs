//! Files from the network, resumed and checked.
//!
//! A download is written to `NAME.part` beside its target and becomes `NAME` only
//! when its length and its SHA-256 are the expected ones; an interrupted one goes
//! on where it stopped. What a server says is not believed: neither a length nor
//! a position nor the contents.

use crate::pipeline::Progress;
use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use ureq::tls::{RootCerts, TlsConfig};

/// A file, and how to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote<'a> {
    /// Its name on disk.
    pub name: &'a str,
    /// Addresses (http or https), tried in this order.
    pub urls: &'a [&'a str],
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: &'a str,
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in a row that bring no byte, before an address is given up.
    pub attempts: u32,
    /// Pause after the first of them; each further one is twice as long.
    pub pause: Duration,
    /// How long a server may send nothing.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            attempts: 4,
            pause: Duration::from_secs(1),
            silence: Duration::from_secs(30),
        }
    }
}

/// Makes `folder/NAME` the file that `remote` describes, and returns its path. A
/// file that is there and right is left alone.
///
/// # Errors
/// One line for each address that failed; the part that was received stays, if it
/// can be resumed.
pub fn fetch(
    remote: &Remote<'_>,
    folder: &Path,
    patience: &Patience,
    progress: &dyn Progress,
) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let target = folder.join(remote.name);
    if target.is_file() {
        progress.bytes(&format!("checking {}", remote.name), remote.bytes);
        if sha256(&target, progress)? == remote.sha256 {
            return Ok(target);
        }
    }
    let mut part = Part::open(folder.join(format!("{}.part", remote.name)))?;
    let agent = agent(patience);
    let mut failures = Vec::new();
    for url in remote.urls {
        progress.bytes(&format!("fetching {}", remote.name), remote.bytes);
        match fetch_from(url, remote, &agent, &mut part, patience, progress) {
            Ok(()) => {
                part.become_file(&target)?;
                return Ok(target);
            }
            Err(Failure::Address(error)) => failures.push(format!("{url}: {error:#}")),
            Err(Failure::Here(error)) => return Err(error),
        }
    }
    bail!(
        "cannot fetch {}: {}; or get it in another way and put it into {}",
        remote.name,
        failures.join("; "),
        folder.display()
    )
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256(path: &Path, progress: &dyn Progress) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (mut hasher, mut buffer, mut done) = (Sha256::new(), vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                done += n as u64;
                progress.advance(done);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

/// Why an attempt ended.
enum Failure {
    /// This address will not do; another might.
    Address(anyhow::Error),
    /// The trouble is on this machine.
    Here(anyhow::Error),
}

fn agent(patience: &Patience) -> ureq::Agent {
    // The system's certificates, so that a company's proxy works as it does elsewhere.
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("ternc/", env!("CARGO_PKG_VERSION")))
        // A body that is compressed on the way has another length.
        .accept_encoding("identity")
        .http_status_as_error(false)
        .timeout_connect(Some(patience.silence))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence))
        .build()
        .into()
}

/// Attempts until the part is complete and right.
fn fetch_from(
    url: &str,
    remote: &Remote<'_>,
    agent: &ureq::Agent,
    part: &mut Part,
    patience: &Patience,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let (mut idle, mut pause, mut longest) = (0, patience.pause, part.len);
    loop {
        if part.len > remote.bytes {
            part.truncate().map_err(Failure::Here)?;
        }
        let resumed = part.len > 0;
        let result = match part.len == remote.bytes {
            true => Ok(()),
            false => attempt(url, remote, agent, part, progress),
        };
        match result {
            Ok(()) => {
                progress.bytes(&format!("checking {}", remote.name), remote.bytes);
                let found = sha256(&part.path, progress).map_err(Failure::Here)?;
                if found == remote.sha256 {
                    return Ok(());
                }
                part.truncate().map_err(Failure::Here)?;
                longest = 0;
                if !resumed {
                    return Err(Failure::Address(anyhow!(
                        "it is another file, or was altered: its SHA-256 is {found}, {} was expected",
                        remote.sha256
                    )));
                }
                // What was there before may have been of another file: once more from the start.
            }
            Err(Failure::Address(error)) if error.is::<Passing>() => {
                if part.len > longest {
                    (idle, pause, longest) = (0, patience.pause, part.len);
                    continue;
                }
                idle += 1;
                if idle >= patience.attempts {
                    return Err(Failure::Address(error));
                }
                std::thread::sleep(pause);
                pause *= 2;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Trouble that may be over at the next attempt.
#[derive(Debug)]
struct Passing(String);

impl std::fmt::Display for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Passing {}

fn passing(what: impl std::fmt::Display) -> Failure {
    Failure::Address(Passing(what.to_string()).into())
}

/// One request, for what is missing; `Ok` where the part has its full length.
fn attempt(
    url: &str,
    remote: &Remote<'_>,
    agent: &ureq::Agent,
    part: &mut Part,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let mut request = agent.get(url);
    if part.len > 0 {
        request = request.header("Range", format!("bytes={}-", part.len));
    }
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => {
            Failure::Address(anyhow!("{error}"))
        }
        _ => passing(error),
    })?;
    let header = |name| {
        let value = response.headers().get(name);
        value.and_then(|v| v.to_str().ok()).map(str::to_owned)
    };
    let other_length = |len: u64| {
        Failure::Address(anyhow!(
            "it has {len} bytes there, {} were expected",
            remote.bytes
        ))
    };
    match response.status() {
        StatusCode::OK => {
            let declared = header(CONTENT_LENGTH).and_then(|v| v.parse().ok());
            if let Some(len) = declared.filter(|&len| len != remote.bytes) {
                return Err(other_length(len));
            }
            part.truncate().map_err(Failure::Here)?;
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = header(CONTENT_RANGE).unwrap_or_default();
            let Some((start, total)) = content_range(&range) else {
                return Err(Failure::Address(anyhow!(
                    "its server answers with the range {range:?}"
                )));
            };
            if let Some(len) = total.filter(|&len| len != remote.bytes) {
                return Err(other_length(len));
            }
            if start != part.len {
                part.truncate().map_err(Failure::Here)?;
                return Err(passing(format!(
                    "its server goes on at byte {start} when asked for another"
                )));
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if part.len > 0 => {
            part.truncate().map_err(Failure::Here)?;
            return Err(passing("its server has no such range"));
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Err(passing(format!("its server answers {status}")));
        }
        status => {
            return Err(Failure::Address(anyhow!("its server answers {status}")));
        }
    }
    // One byte more than is missing, so that a longer file is noticed.
    let missing = remote.bytes - part.len;
    let mut body = response.body_mut().as_reader().take(missing + 1);
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress.advance(part.len);
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            // All of it came, and the declared length was wrong: the checksum tells.
            Err(_) if part.len == remote.bytes => break,
            Err(error) => return Err(passing(format!("the connection broke: {error}"))),
        };
        if part.len + n as u64 > remote.bytes {
            part.truncate().map_err(Failure::Here)?;
            return Err(Failure::Address(anyhow!(
                "it is longer than the {} bytes that were expected",
                remote.bytes
            )));
        }
        part.append(&buffer[..n]).map_err(Failure::Here)?;
    }
    if part.len < remote.bytes {
        return Err(passing(format!(
            "it ended after {} of {} bytes",
            part.len, remote.bytes
        )));
    }
    Ok(())
}

/// Start and total of `bytes START-END/TOTAL`; the total may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    match total {
        "*" => Some((start, None)),
        _ => Some((start, Some(total.parse().ok()?))),
    }
}

/// The file under way, locked while it is written.
struct Part {
    path: PathBuf,
    file: File,
    len: u64,
}

impl Part {
    fn open(path: PathBuf) -> Result<Part> {
        let failed = || format!("cannot write {}: is its folder writable?", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "{} is being downloaded by another process: wait for it",
                path.display()
            ),
            // A file system without locks.
            Err(TryLockError::Error(_)) => {}
        }
        let len = file.seek(SeekFrom::End(0)).with_context(failed)?;
        Ok(Part { path, file, len })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .with_context(|| format!("cannot write {}: is the disk full?", self.path.display()))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn truncate(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        self.len = 0;
        Ok(())
    }

    fn become_file(self, target: &Path) -> Result<()> {
        let result = self
            .file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, target));
        result.with_context(|| format!("cannot write {}", target.display()))
    }
}

/// Whether an address is one that [`fetch`] understands.
///
/// # Errors
/// It is not.
pub fn check_address(url: &str) -> Result<()> {
    ensure!(
        url.starts_with("https://") || url.starts_with("http://"),
        "{url:?} is no address: it must start with https:// or http://"
    );
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
