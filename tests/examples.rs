//! How the examples end where something is wrong: in words for a person. And how they read data.

#![cfg(not(miri))]

use fused_dense::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[path = "../examples/support/mod.rs"]
mod support;

/// Set in a process that is to show what an example shows.
const SHOW: &str = "FUSED_DENSE_TEST_SHOWS_ERROR";

const ERROR: Error = Error::UnknownIsa { found: "sse" };

#[test]
fn an_error_is_shown_in_its_own_words() {
    if std::env::var_os(SHOW).is_some() {
        assert_eq!(support::end(Err(ERROR)), ExitCode::FAILURE);
        return;
    }
    let mut process = Command::new(std::env::current_exe().expect("this test's path"));
    process.args(["an_error_is_shown_in_its_own_words", "--exact", "--nocapture"]).env(SHOW, "1");
    let output = process.output().expect("a process");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("error: {ERROR}")), "{text}");
    assert!(!text.contains("UnknownIsa"), "{text}");
}

/// The examples' files.
fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let programs: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect();
    assert!(!programs.is_empty());
    programs
}

#[test]
fn the_index_lists_every_example() {
    let index = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/README.md")).expect("text");
    let is_listed = |program: &PathBuf| {
        let name = program.file_stem().expect("a name").to_string_lossy().into_owned();
        index.contains(&format!("| [`{name}`]({name}.rs) |")) && index.contains(&format!("--example {name}"))
    };
    let missing: Vec<_> = programs().into_iter().filter(|program| !is_listed(program)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_example_ends_so() {
    for program in programs() {
        let text = fs::read_to_string(&program).expect("text");
        assert!(text.contains("fn main() -> ExitCode {\n    support::end(run())\n}"), "{}", program.display());
    }
}

/// The four files of a data set of three images, of which the third is the test's.
fn idx_files(folder: &Path, change: impl Fn(&str, &mut Vec<u8>)) {
    fs::create_dir_all(folder).expect("a folder");
    let pixels = |image: usize| (0..support::mnist::PIXELS).map(move |pixel| ((image * 50 + pixel) % 256) as u8);
    let write = |name: &str, header: &[u8], data: Vec<u8>| {
        let mut bytes = [header, &data].concat();
        change(name, &mut bytes);
        fs::write(folder.join(name), bytes).expect("a file");
    };
    let images = |count| [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28];
    write("train-images-idx3-ubyte", &images(2), (0..2).flat_map(pixels).collect());
    write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], vec![7, 9]);
    write("t10k-images-idx3-ubyte", &images(1), pixels(2).collect());
    write("t10k-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1], vec![3]);
}

#[test]
fn images_are_read_with_their_labels() {
    let folder = std::env::temp_dir().join(format!("fused-dense-{}-mnist", std::process::id()));
    idx_files(&folder, |_, _| ());
    let mnist = support::mnist::read(&folder).expect("a data set");
    assert_eq!((mnist.train.labels, mnist.test.labels), (vec![7, 9], vec![3]));
    assert_eq!((mnist.train.images.len(), mnist.test.images.len()), (2 * 784, 784));
    assert_eq!([0, 255, 784].map(|at| mnist.train.images[at]), [0.0, 1.0, 50.0 / 255.0]);
    assert_eq!(mnist.test.images[1], 101.0 / 255.0);

    // Cut off, longer than it says, of another type, of another size, with an empty header.
    type Change = fn(&mut Vec<u8>);
    let broken: [(&str, Change); 6] = [
        ("train-images-idx3-ubyte", |bytes| bytes.truncate(100)),
        ("train-labels-idx1-ubyte", |bytes| bytes.push(0)),
        ("t10k-images-idx3-ubyte", |bytes| bytes[2] = 9),
        ("t10k-images-idx3-ubyte", |bytes| bytes[4..8].fill(0xff)),
        ("train-images-idx3-ubyte", |bytes| (bytes[11], bytes[15]) = (14, 56)),
        ("t10k-labels-idx1-ubyte", Vec::clear),
    ];
    for (broken, change) in broken {
        idx_files(&folder, |name, bytes| {
            if name == broken {
                change(bytes)
            }
        });
        assert!(support::mnist::read(&folder).is_none(), "{broken}");
    }
    fs::remove_dir_all(&folder).expect("a folder");
    assert!(support::mnist::read(&folder).is_none(), "without files");
}
