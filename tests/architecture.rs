//! The house's rules, read off its sources.

#![cfg(not(miri))]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The modules from the ground up: each may use those before it.
const ORDER: &[&str] = &[
    "tuning",
    "pool",
    "simd",
    "summation",
    "threads",
    "activation",
    "kernel",
    "cost",
    "error",
    "isa",
    "matrix",
    "integers",
    "targets",
    "plan",
    "workspace",
    "floats",
    "sample_rows",
    "gemm",
    "optimizer",
    "layer",
    "workspace_pool",
    "reference",
    "loss",
    "random",
    "init",
    "objective",
    "ndarray",
    "files",
    "network",
];

/// An exception to the order: an error speaks of instruction sets, whose selection returns errors.
const MUTUAL: (&str, &str) = ("error", "isa");

/// Where raw pointers are allowed: the kernels, the loops around them, the boundaries at which checked views become
/// pointers, the views, and a comparison of addresses (`isa/target.rs`).
const RAW_POINTERS: &[&str] = &[
    "simd/",
    "threads/",
    "kernel/",
    "gemm/",
    "isa/target.rs",
    "layer/forward.rs",
    "layer/backward/",
    "layer/describe.rs",
    "matrix.rs",
    "matrix/raw.rs",
];

/// Where constants with a number may stand: the tuning rows, the numeric contract, the kernel specification, and the
/// coefficients of functions.
const NUMBERS: &[&str] = &[
    "tuning.rs",
    "tuning/",
    "summation.rs",
    "isa/spec.rs",
    "activation/",
    "simd/",
    "loss.rs",
    "loss/",
    "targets.rs",
    "reference.rs",
];

/// Constants elsewhere that say how code is built or what fits a type, and that no row could change.
const SHAPES_OF_CODE: &[(&str, &[&str])] = &[
    ("kernel/mod.rs", &["STRETCH"]),
    ("kernel/chain.rs", &["GROUP_ROWS", "LINE", "MOST_POINTERS", "MOST_GROUPS", "ROWS", "TERMS"]),
    ("kernel/dot.rs", &["FAR_MAX_COLS", "INTERLEAVED_MAX_ROWS"]),
    ("kernel/dots_by_parts.rs", &["SHORT_STRETCH"]),
    ("kernel/outer.rs", &["STRIP", "MAX_TERMS"]),
    ("kernel/axpyf.rs", &["MOST_BLOCKS", "TERMS", "WIDEST_REST"]),
    ("kernel/narrow.rs", &["MAX_COLS"]),
    ("kernel/elementwise.rs", &["SMALL_GROUP", "LARGE_GROUP", "DZ_GROUP"]),
    ("kernel/softmax.rs", &["GROUP", "NEAR"]),
    ("kernel/extent.rs", &["CHAINS", "TURN"]),
    ("kernel/cross_entropy.rs", &["LANES", "MOST", "ROUND", "LN2_HIGH", "LN2_LOW", "TAYLOR"]),
    ("kernel/update.rs", &["MOST_STATE", "STATE", "GROUP", "SMALL_GROUP"]),
    ("threads/job.rs", &["GROUP", "MOST_POSTS", "MAX_MEMBERS", "POST_PARTS"]),
    ("threads/team.rs", &["FREE", "LED", "MAX_THREADS"]),
    ("threads/rayon_pool.rs", &["SEATS"]),
    ("plan/share.rs", &["LINE"]),
    ("plan/keep.rs", &["SLOTS"]),
    ("workspace.rs", &["LINE"]),
    ("floats.rs", &["DOUBLES"]),
    ("layer/mod.rs", &["MOST_SAMPLES"]),
];

/// Where `unsafe` is allowed: with the pointers, where a function pointer of the kernel table or a foreign array comes in, and
/// where a slice is taken too often to be checked each time.
const UNSAFE: &[&str] = &[
    "simd/",
    "threads/",
    "kernel/",
    "gemm/",
    "isa/mod.rs",
    "plan/mod.rs",
    "layer/extent.rs",
    "layer/forward.rs",
    "layer/backward/",
    "layer/packed.rs",
    "layer/standalone.rs",
    "loss/binary.rs",
    "loss/softmax.rs",
    "matrix.rs",
    "matrix/dims.rs",
    "matrix/raw.rs",
    "optimizer.rs",
    "ndarray.rs",
    "workspace.rs",
];

/// The marks of a raw pointer.
const POINTERS: &[&str] = &["*const ", "*mut ", "&raw ", "ptr::"];

const MOST_LINES: usize = 600;

const MOST_FUNCTION_LINES: usize = 60;

/// Where functions may be longer: kernels write out what loops would not keep in registers.
const LONG_FUNCTIONS: &[&str] = &["kernel/", "activation/", "simd/"];

/// Functions that are one flat list, and longer: a message for each error.
const LISTS: &[(&str, &str)] = &[("error.rs", "fmt")];

const MOST_ARCHITECTURE_LINES: usize = 150;

const MOST_FORMULA_COLUMNS: usize = 80;

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
        // Whether there is one is a question to the build.
        let code = code.replace("feature = \"rayon\"", "");
        (has_word(&code, "rayon") || code.contains("std::thread")) && source.module() != "threads"
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

/// A number about speed stands in the tuning rows, where it can be measured anew for another CPU.
#[test]
fn numbers_about_speed_stand_in_the_tuning_rows() {
    let types = ["usize", "u32", "u64", "f32", "f64", "Duration"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_below(NUMBERS) && !source.path.contains("tests")) {
        let allowed = SHAPES_OF_CODE.iter().find(|(path, _)| *path == source.path).map_or(&[][..], |(_, names)| names);
        for line in source.code().lines() {
            let declared = line.split_once("const ").and_then(|(_, rest)| rest.split_once(':'));
            let Some((name, rest)) = declared else { continue };
            let is_number = types
                .iter()
                .any(|its| rest.trim_start().strip_prefix(its).is_some_and(|r| r.trim_start().starts_with('=')));
            if is_number && !allowed.contains(&name) {
                found.push(format!("{}: {name}", source.path));
            }
        }
        // Thresholds without a name, where decisions are made and carried out.
        for (word, place) in [("plan/", "plan"), ("gemm/", "gemm"), ("layer/", "layer")] {
            if source.path.starts_with(word) {
                // The name of a decision's file begins with its number.
                let code =
                    source.code().lines().filter(|line| !line.contains("decision:")).collect::<Vec<_>>().join("\n");
                let numbers = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
                let large = numbers.filter(|number| number.parse::<f64>().is_ok_and(|n| n > 16.0 || n.fract() != 0.0));
                found.extend(large.map(|number| format!("{} in {place}: {number}", source.path)));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > MOST_LINES).collect();
    assert_eq!(long, [], "files of more than {MOST_LINES} lines");
}

/// The functions with a body in code that rustfmt has laid out: name and lines, from the one with `fn` to the closing brace.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let declared = line.trim_start().split_once("fn ").filter(|(before, _)| {
            before.split_whitespace().all(|word| word.starts_with("pub") || ["const", "unsafe"].contains(&word))
        });
        let Some((_, rest)) = declared else { continue };
        let mut depth = 0;
        for (more, line) in lines[at..].iter().enumerate() {
            let opened = line.matches('{').count() as i32;
            depth += opened - line.matches('}').count() as i32;
            let is_at_end =
                line.len() - line.trim_start().len() == indent && (more > 0 || opened > 0 || line.ends_with(';'));
            // A declaration without a body ends with a semicolon.
            if depth == 0 && is_at_end && (line.ends_with('}') || line.ends_with(';')) {
                if line.ends_with('}') {
                    functions.push((first_name(rest), more + 1));
                }
                break;
            }
        }
    }
    functions
}

#[test]
fn functions_are_short() {
    let (mut long, mut count, mut lists) = (Vec::new(), 0, Vec::new());
    for source in sources().iter().filter(|source| !source.is_below(LONG_FUNCTIONS)) {
        for (name, lines) in functions(&source.code()) {
            count += 1;
            match lines > MOST_FUNCTION_LINES {
                true if LISTS.contains(&(&source.path, name)) => lists.push((source.path.clone(), name.to_string())),
                true => long.push(format!("{}: {name} has {lines} lines", source.path)),
                false => {}
            }
        }
    }
    assert!(count > 300, "only {count} functions were found");
    assert_eq!(long, [""; 0], "functions of more than {MOST_FUNCTION_LINES} lines");
    assert_eq!(lists.len(), LISTS.len(), "a list that no longer needs its permission loses it");
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

/// The lines of the doc comment that ends just before line `index`, attributes left out.
fn doc_comment<'t>(lines: &[&'t str], index: usize) -> Vec<&'t str> {
    let above = lines[..index].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    above.filter_map(|line| line.strip_prefix("///")).collect()
}

#[test]
fn every_public_type_has_an_example() {
    let sources = sources();
    let root = sources.iter().find(|source| source.path == "lib.rs").expect("lib.rs").code();
    let mut types = 0;
    let mut without = Vec::new();
    for source in &sources {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let declared = ["pub struct ", "pub enum "].iter().find_map(|kind| line.strip_prefix(kind));
            let Some(name) = declared.map(first_name).filter(|name| exports(&root).contains_key(*name)) else {
                continue;
            };
            types += 1;
            if !doc_comment(&lines, index).iter().any(|line| line.trim() == "```") {
                without.push(name.to_string());
            }
        }
    }
    assert!(types > 20, "the types were not found");
    assert_eq!(without, [""; 0]);
}

/// Formulas in documentation are shown whole, without a bar to scroll by.
#[test]
fn formulas_are_narrow() {
    let mut wide = Vec::new();
    for source in sources() {
        let mut is_formula = false;
        for line in source.text.lines().map(str::trim_start).filter_map(|line| line.strip_prefix("///")) {
            match line.trim() {
                "```text" => is_formula = true,
                "```" => is_formula = false,
                formula if is_formula && formula.chars().count() > MOST_FORMULA_COLUMNS => {
                    wide.push(format!("{}: {formula}", source.path));
                }
                _ => {}
            }
        }
    }
    assert_eq!(wide, [""; 0]);
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

/// A file of the project, from its folder.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_architecture_is_told_in_short() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= MOST_ARCHITECTURE_LINES, "{lines} lines");
}

/// Every file in `src/` that ARCHITECTURE.md names is there.
#[test]
fn the_architecture_names_files_that_exist() {
    let text = read("ARCHITECTURE.md");
    let is_part = |c: char| c.is_alphanumeric() || "/_.".contains(c);
    let paths = text.split(|c| !is_part(c)).filter(|path| path.starts_with("src/") && path.ends_with(".rs"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing: Vec<&str> = paths.filter(|path| !root.join(path).is_file()).collect();
    assert_eq!(missing, [""; 0]);
}

/// Targets of the Markdown links in a text: what stands between `](` and `)`.
fn links(text: &str) -> Vec<&str> {
    text.match_indices("](").filter_map(|(at, opening)| text[at + opening.len()..].split(')').next()).collect()
}

/// Names of the Markdown files in a folder of the project, in order.
fn documents(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    names.sort();
    names
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/decisions/README.md");
    let listed: Vec<&str> = links(&index).into_iter().filter(|link| !link.contains('/')).collect();
    let words = index.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut files = documents("docs/decisions");
    files.retain(|name| name != "README.md");
    assert_eq!(listed, files, "the index lists each decision once, in order");
    for (index_of_file, file) in files.iter().enumerate() {
        assert!(file.starts_with(&format!("{:03}-", index_of_file + 1)), "{file} leaves a gap in the numbers");
        let text = read(&format!("docs/decisions/{file}"));
        let question = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        assert!(question.ends_with('?') && words.contains(question), "{file}: its title is the question in the index");
        for part in ["**Answer.**", "**Evidence.**", "**Cost.**", "**Reopen when**"] {
            assert!(text.contains(part), "{file} lacks {part}");
        }
    }
}

/// In the repository, the links between documents lead to files.
#[test]
fn documents_link_to_files() {
    let below = |folder: &str| documents(folder).into_iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>();
    for document in [vec!["ARCHITECTURE.md".to_string()], below("docs"), below("docs/decisions")].concat() {
        let text = read(&document);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&document);
        let folder = path.parent().expect("a document lies in a folder");
        // Pictures are no part of the package, in which this test runs too.
        let targets = links(&text).into_iter().filter(|link| !link.starts_with("https://") && !link.ends_with(".svg"));
        let missing: Vec<&str> = targets.filter(|link| !folder.join(link).exists()).collect();
        assert_eq!(missing, [""; 0], "links of {document}");
    }
}

/// Whether a file belongs to the package, by the list in Cargo.toml.
fn is_packaged(path: &str) -> bool {
    let manifest = read("Cargo.toml");
    let (_, include) = manifest.split_once("include = [").expect("a list of the package's files");
    let patterns = include.split(']').next().unwrap_or_default().split('"').skip(1).step_by(2);
    patterns.map(|pattern| pattern.trim_start_matches('/')).any(|pattern| match pattern.split_once("/**/*") {
        None => pattern == path || path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/')),
        Some((folder, ending)) => path.starts_with(folder) && path.ends_with(ending),
    })
}

/// The README is shown where relative links and pictures lead nowhere: by the package registry and as the front page of
/// the documentation. Its links are anchors of its own, pages of the documentation, or files of the package.
#[test]
fn the_readme_works_wherever_it_is_shown() {
    const PAGES: &str = "https://docs.rs/fused-dense/latest/fused_dense/";
    const FILES: &str = "https://docs.rs/crate/fused-dense/latest/source/";

    let readme = read("README.md");
    assert!(!readme.contains("![") && !readme.contains("<img"), "a picture that is not served");
    let links = links(&readme);
    assert!(!links.is_empty());
    for link in links {
        if let Some(path) = link.strip_prefix(FILES) {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file(), "{path} does not exist");
            assert!(is_packaged(path), "{path} is no part of the package");
        } else if let Some(page) = link.strip_prefix(PAGES) {
            let name = page.trim_end_matches('/').trim_start_matches("struct.").trim_end_matches(".html");
            assert!(has_word(&read("src/lib.rs"), name), "{name} is no public name");
        } else {
            let anchor = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
            let is_anchor = readme.lines().any(|line| line.starts_with('#') && format!("#{}", anchor(line)) == link);
            assert!(is_anchor, "{link} resolves only in the repository");
        }
    }
}

/// The reader of functions, on which their limit rests.
#[test]
fn functions_are_read_to_their_last_brace() {
    let code = "impl A {\n    fn a(\n        b: B,\n    ) -> C {\n        if b {\n        }\n    }\n\n    fn d(&self);\n\n    pub(crate) \
                unsafe fn e() {}\n}\n\nfn f() -> impl Fn() {\n    move || {}\n}\n";
    assert_eq!(functions(code), [("a", 6), ("e", 1), ("f", 3)]);
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
