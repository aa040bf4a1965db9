//! Files that cannot be written, or not to their end.

use crate::folder::Folder;
use crate::network;
use fused_dense::{Adam, FileError};
use std::fs;

/// A file that cannot take its name: a folder has it.
#[test]
fn a_path_that_fails_is_an_error() {
    let folder = Folder::new("fails");
    let path = folder.path("network");
    fs::create_dir(&path).expect("a folder");
    fs::write(path.join("inside"), "").expect("a file");
    let network = network(Adam::new(0.01), 1);
    for path in [path, folder.path("none/network")] {
        assert!(matches!(network.save(&path), Err(FileError::Io { .. })));
        assert!(matches!(network.save_checkpoint(&path), Err(FileError::Io { .. })));
    }
    assert_eq!(folder.files(), ["network"]);
}

/// The system lets a process write files up to a limit, and ends it there, or says so where the signal is ignored.
#[cfg(unix)]
#[test]
fn the_old_file_stays_where_writing_is_cut_short() {
    use fused_dense::{Activation, Network};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const IN_CHILD: &str = "FUSED_DENSE_TEST_IS_CUT_SHORT";
    const LIMIT: libc::rlim_t = 4096;

    let large = Network::builder(64).layer(64, Activation::Relu).optimizer(Adam::new(0.01));
    let mut network = large.seed(1).build().expect("a valid network");
    if let Ok(how) = std::env::var(IN_CHILD) {
        let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: LIMIT };
        // SAFETY: changes limits and a signal of this process, which does nothing else.
        unsafe {
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core), 0);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
            libc::signal(libc::SIGXFSZ, if how == "error" { libc::SIG_IGN } else { libc::SIG_DFL });
        }
        let path = std::env::var("FUSED_DENSE_TEST_PATH").expect("a path");
        assert!(matches!(network.save_checkpoint(path), Err(FileError::Io { .. })));
        return;
    }

    let folder = Folder::new("cut");
    let path = folder.path("network.safetensors");
    network.layers_mut()[0].b_mut().fill(7.0);
    network.save_checkpoint(&path).expect("a file");
    let old = fs::read(&path).expect("a file");
    for (how, files) in [("error", 1), ("end", 2)] {
        let mut child = Command::new(std::env::current_exe().expect("this test's path"));
        child.args(["writing::the_old_file_stays_where_writing_is_cut_short", "--exact"]);
        let status = child.env(IN_CHILD, how).env("FUSED_DENSE_TEST_PATH", &path).output().expect("a process").status;
        if how == "error" {
            assert!(status.success(), "{status}");
        } else {
            assert_eq!(status.signal(), Some(libc::SIGXFSZ), "{status}");
        }
        // A process that was ended removes nothing.
        assert_eq!(folder.files().len(), files, "{how}: {:?}", folder.files());
        assert_eq!(fs::read(&path).expect("a file"), old);
    }
    network.load_checkpoint(&path).expect("a file that fits");
    network.save(&path).expect("a file beside what the process left");
    network.load(&path).expect("a file that fits");
}
