//! The house's rules, read off its sources.

#![cfg(not(miri))]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The modules from the ground up: each may use those before it.
const ORDER: &[&str] = &[
    "simd",
    "summation",
    "threads",
    "activation",
    "kernel",
    "cost",
    "error",
    "isa",
    "matrix",
    "workspace",
    "plan",
    "gemm",
    "layer",
    "reference",
    "loss",
    "ndarray",
    "network",
];

/// What the order does not say: an error speaks of instruction sets, whose selection returns errors.
const MUTUAL: (&str, &str) = ("error", "isa");

/// Where raw pointers are allowed: the kernels, the loops around them, the boundaries at which checked views become
/// pointers, and the views.
const RAW_POINTERS: &[&str] = &[
    "simd/",
    "threads/",
    "kernel/",
    "gemm/",
    "layer/forward.rs",
    "layer/backward.rs",
    "layer/backward/blocks.rs",
    "layer/describe.rs",
    "matrix.rs",
];

/// Where `unsafe` is allowed: with the pointers, and where a function pointer of the kernel table, an aligned line of
/// scratch memory or a foreign array comes in.
const UNSAFE: &[&str] = &[
    "simd/",
    "threads/",
    "kernel/",
    "gemm/",
    "isa/mod.rs",
    "isa/tests.rs",
    "layer/forward.rs",
    "layer/backward.rs",
    "layer/backward/blocks.rs",
    "layer/packed.rs",
    "layer/standalone.rs",
    "matrix.rs",
    "ndarray.rs",
    "workspace.rs",
];

/// What a raw pointer looks like.
const POINTERS: &[&str] = &["*const ", "*mut ", "&raw ", "ptr::"];

const MOST_LINES: usize = 600;

/// A source file: its path below `src`, with `/` between folders, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The text without comments, which may speak of anything. No string of the sources holds `//`.
    fn code(&self) -> String {
        self.text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }

    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_below(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn sources() -> Vec<Source> {
    fn collect(folder: &Path, below: &str, sources: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("a readable folder").path();
            let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
            if path.is_dir() {
                collect(&path, &format!("{name}/"), sources);
            } else if name.ends_with(".rs") {
                sources.push(Source { path: name, text: fs::read_to_string(&path).expect("text") });
            }
        }
    }
    let mut sources = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// Whether `word` stands in the code with no identifier's character before it or behind it.
fn has_word(code: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .any(|(at, _)| !is_part(code[..at].chars().next_back()) && !is_part(code[at + word.len()..].chars().next()))
}

/// Paths of the files that `offends` picks.
fn offenders(offends: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    sources().into_iter().filter(|source| offends(source, &source.code())).map(|source| source.path).collect()
}

#[test]
fn intrinsics_stay_under_simd() {
    let found = offenders(|source, code| {
        let code = code.replace("std::arch::is_x86_feature_detected", "");
        let is_used = ["core::arch", "std::arch", "wide", "target_feature"].iter().any(|word| has_word(&code, word));
        // Whether multiply-add is fused, and what a test may expect, are questions to the build.
        let asks_the_build = source.is_below(&["simd/", "isa/tests.rs"]);
        is_used && !asks_the_build || code.contains("_mm") && !source.is_below(&["simd/"])
    });
    assert_eq!(found, [""; 0], "files that use vector instructions directly");
}

#[test]
fn one_module_knows_the_thread_pool() {
    let found = offenders(|source, code| {
        (has_word(code, "rayon") || code.contains("std::thread")) && source.module() != "threads"
    });
    assert_eq!(found, [""; 0], "files that know a thread pool");
}

#[test]
fn raw_pointers_stay_at_the_bottom() {
    let found = offenders(|source, code| {
        POINTERS.iter().any(|pointer| code.contains(pointer)) && !source.is_below(RAW_POINTERS)
    });
    assert_eq!(found, [""; 0], "files with raw pointers");
}

#[test]
fn unsafe_code_stays_where_it_is_expected() {
    let found = offenders(|source, code| has_word(code, "unsafe") && !source.is_below(UNSAFE));
    assert_eq!(found, [""; 0], "files with unsafe code");
}

/// A place that no longer needs its permission loses it.
#[test]
fn permissions_are_used() {
    let sources = sources();
    let unused = |places: &[&'static str], words: &[&str]| -> Vec<&'static str> {
        let needs = |place: &str| {
            sources
                .iter()
                .any(|source| source.path.starts_with(place) && words.iter().any(|word| source.code().contains(word)))
        };
        places.iter().copied().filter(|place| !needs(place)).collect()
    };
    assert_eq!(unused(RAW_POINTERS, POINTERS), [""; 0], "raw pointers");
    assert_eq!(unused(UNSAFE, &["unsafe"]), [""; 0], "unsafe code");
}

/// A new variant, or a new field that all can see, must not break a program that matches today's.
#[test]
fn public_enums_and_open_structs_are_not_exhaustive() {
    let mut exhaustive = Vec::new();
    for source in sources() {
        let code = source.code();
        let lines: Vec<&str> = code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let is_enum = line.starts_with("pub enum ");
            let is_open = line.starts_with("pub struct ")
                && lines[at + 1..].iter().take_while(|line| **line != "}").any(|line| line.starts_with("    pub "));
            let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            if (is_enum || is_open) && !attributes.any(|line| *line == "#[non_exhaustive]") {
                exhaustive.push(format!("{}: {line}", source.path));
            }
        }
    }
    assert_eq!(exhaustive, [""; 0]);
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > MOST_LINES).collect();
    assert_eq!(long, [], "files of more than {MOST_LINES} lines");
}

/// The names behind each `crate::` in the code: of `crate::a::b` and `crate::{a::b, c}` the `a` and `c`.
fn names_of_the_crate(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => names.push(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let mut depth = 0;
                let parts = group[..end.unwrap_or(group.len())].split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                names.extend(parts.map(|part| first_name(part.trim())).filter(|name| !name.is_empty()));
            }
        }
    }
    names
}

fn first_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Each public name at the crate's root with the module that it comes from.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for (at, prefix) in root.match_indices("pub use ") {
        let statement = root[at + prefix.len()..].split(';').next().unwrap_or_default();
        let (module, names) = statement.split_once("::").expect("a path");
        for name in names.trim_matches(['{', '}']).split(',') {
            exports.insert(name.trim().to_string(), module.to_string());
        }
    }
    exports
}

#[test]
fn modules_use_only_those_before_them() {
    let sources = sources();
    let root = sources.iter().find(|source| source.path == "lib.rs").expect("lib.rs").code();
    let exports = exports(&root);
    let place = |module: &str| {
        ORDER.iter().position(|its| *its == module).unwrap_or_else(|| panic!("{module} has no place in the order"))
    };
    let mut against = Vec::new();
    for source in sources.iter().filter(|source| source.path != "lib.rs" && !source.path.ends_with("tests.rs")) {
        for name in names_of_the_crate(&source.code()) {
            let used = exports.get(name).map_or(name, String::as_str);
            let module = source.module();
            if place(used) > place(module) && (module, used) != MUTUAL {
                against.push(format!("{} uses {used}", source.path));
            }
        }
    }
    against.dedup();
    assert_eq!(against, [""; 0], "uses against the order of the modules");
}

#[test]
fn the_order_names_modules_that_exist() {
    let sources = sources();
    let missing = ORDER.iter().filter(|module| !sources.iter().any(|source| source.module() == **module));
    assert_eq!(missing.collect::<Vec<_>>(), [&""; 0]);
}

/// The reader of `crate::` paths, on which the order rests.
#[test]
fn paths_are_read_as_rust_reads_them() {
    let code = "use crate::{Activation, a::{B, C}, d};\nuse crate::matrix::{self, Input};\nfn f(x: crate::Isa) {}";
    assert_eq!(names_of_the_crate(code), ["Activation", "a", "d", "matrix", "Isa"]);
    let exports = exports("pub use a::B;\npub use c::{D, E};");
    assert_eq!(exports.into_iter().map(|(name, module)| name + &module).collect::<Vec<_>>(), ["Ba", "Dc", "Ec"]);
    assert!(has_word("use wide::f32x8;", "wide") && !has_word("let widest = is_wide;", "wide"));
}
