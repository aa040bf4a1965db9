//! `include/fused_dense.h` is what cbindgen makes of the sources. `WRITE_HEADER=1 cargo test --test header` writes it.

#![cfg(not(miri))]

use std::fs;
use std::path::{Path, PathBuf};

/// The sources in the order of the header; cbindgen finds those of modules below them.
const SOURCES: &[&str] = &[
    "version.rs",
    "status.rs",
    "activation.rs",
    "codes.rs",
    "matrix.rs",
    "team.rs",
    "optimizer.rs",
    "targets.rs",
    "dense/mod.rs",
    "network/mod.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("a configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("bindings").write(&mut header);
    for_c(&String::from_utf8(header).expect("UTF-8"))
}

/// The header without what is for Rust's documentation: the marks of formulas, and the sections about safety, of which its head
/// says the same once.
fn for_c(header: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut is_inside = false;
    for line in header.lines() {
        if line == " * # Safety" {
            is_inside = true;
            // The blank line in front of the heading.
            lines.pop();
        }
        is_inside &= line != " */";
        if !is_inside && !line.starts_with(" * ```") {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_header_is_up_to_date() {
    let (path, expected) = (root().join("include/fused_dense.h"), generated());
    if std::env::var_os("WRITE_HEADER").is_some() {
        fs::write(&path, &expected).expect("a header");
    }
    let found = fs::read_to_string(&path).expect("a header");
    assert!(found == expected, "WRITE_HEADER=1 cargo test --test header writes a new one");
}

/// All sources, with their texts.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read_to_string(path).expect("a source")));
            }
        }
    }
    found
}

#[test]
fn every_exported_function_is_declared_once_and_says_how_many_threads_may_call_it() {
    let header = generated();
    let code: Vec<&str> = header.lines().filter(|line| !line.starts_with(['/', ' '])).collect();
    let code = code.join("\n");
    let mut functions = 0;
    for (path, text) in sources() {
        for (at, _) in text.match_indices("extern \"C\" fn fd_") {
            let (before, after) = text.split_at(at);
            let name = after.trim_start_matches("extern \"C\" fn ").split('(').next().expect("a name");
            functions += 1;
            let declarations = [' ', '*'].map(|before| code.matches(&format!("{before}{name}(")).count());
            assert_eq!(declarations.iter().sum::<usize>(), 1, "{name} of {}", path.display());
            let documentation = before.rsplit("\n\n").next().expect("its documentation");
            assert!(documentation.contains("/// Threads: "), "{name} says nothing of threads");
            assert!(documentation.contains("#[unsafe(no_mangle)]"), "{name} is not exported");
        }
    }
    assert!(functions > 35, "{functions}");
}
