//! `cargo xtask dependencies`: what the library depends on: nothing beyond a few crates, each once, from the registry, under a
//! known licence; and without known faults, where `cargo deny` and a database of them are there.

use crate::summary::{Outcome, Summary};
use crate::workspace;
use anyhow::ensure;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The library's dependencies without features, and theirs.
const LEAN: [&str; 6] = ["wide", "safe_arch", "bytemuck", "rand_core", "rand_xoshiro", "libm"];

/// The default feature `rayon`'s.
const RAYON: [&str; 6] = ["rayon", "rayon-core", "crossbeam-deque", "crossbeam-epoch", "crossbeam-utils", "either"];

/// The licences of which each dependency has to offer one.
const LICENCES: [&str; 3] = ["Apache-2.0", "MIT", "Zlib"];

/// Another licence that one of them may have: of tables of letters, in a tool that runs when the feature `safetensors` is
/// built; nothing of them is in a program.
const EXCEPTION: (&str, &str) = ("unicode-ident", "(MIT OR Apache-2.0) AND Unicode-3.0");

/// Options of `cargo xtask dependencies`.
#[derive(clap::Args)]
pub struct Args {
    /// Fail where something is skipped
    #[arg(long)]
    strict: bool,
}

/// Checks the tree of the library, without features and with all.
///
/// # Errors
/// Where a dependency is none that is expected.
pub fn main(args: &Args) -> anyhow::Result<()> {
    let mut summary = Summary::default();
    summary.step("names", || {
        let lean = tree(&["--no-default-features"])?;
        let default = tree(&[])?;
        let found = [strangers(&lean, &LEAN), strangers(&default, &[LEAN, RAYON].concat())].concat();
        ensure!(
            found.is_empty(),
            "the library depends on more than wide, bytemuck, rand_xoshiro, libm, by default rayon, and theirs: {found:?}"
        );
        Ok(Outcome::Ran(format!("{} crates without features, {} by default", lean.len(), default.len())))
    });
    summary.step("licences, sources and duplicates", || {
        let tree = tree(&["--all-features"])?;
        let found = faults(&tree);
        ensure!(found.is_empty(), "{}", found.join("; "));
        Ok(Outcome::Ran(format!("{} crates with all features", tree.len())))
    });
    summary.step("cargo deny", denied);
    summary.finish(args.strict)
}

/// One dependency, as `cargo tree` has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    name: String,
    version: String,
    /// Where it comes from, if not from the registry.
    source: Option<String>,
    licence: String,
}

/// The dependencies on all targets, without those that only tests have.
fn tree(features: &[&str]) -> anyhow::Result<Vec<Dependency>> {
    let mut list = workspace::cargo();
    list.args(["tree", "--package", "fused-dense", "--edges", "normal,build", "--target", "all", "--locked"]);
    list.args(["--prefix", "none", "--no-dedupe", "--format", "{p}\t{l}"]).args(features);
    let mut tree = dependencies(&workspace::output(&mut list)?);
    tree.retain(|one| one.name != "fused-dense");
    ensure!(!tree.is_empty(), "cargo lists no dependency");
    Ok(tree)
}

fn dependencies(text: &str) -> Vec<Dependency> {
    let of_line = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let mut words = package.split_whitespace().filter(|word| *word != "(proc-macro)");
        let (name, version) = (words.next()?.to_string(), words.next()?.to_string());
        let source = Some(words.collect::<Vec<_>>().join(" ")).filter(|source| !source.is_empty());
        Some(Dependency { name, version, source, licence: licence.to_string() })
    };
    let mut found: Vec<_> = text.lines().filter_map(of_line).collect();
    found.sort();
    found.dedup();
    found
}

/// Those of a tree that are not expected there.
fn strangers<'t>(tree: &'t [Dependency], expected: &[&str]) -> Vec<&'t Dependency> {
    tree.iter().filter(|one| !expected.contains(&one.name.as_str())).collect()
}

/// All that is wrong with a tree.
fn faults(tree: &[Dependency]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for Dependency { name, version, source, licence } in tree {
        *versions.entry(name).or_default() += 1;
        if let Some(source) = source {
            faults.push(format!("{name} {version} comes from {source}"));
        }
        if !is_allowed(licence) && (name.as_str(), licence.as_str()) != EXCEPTION {
            faults.push(format!("{name} {version} has the licence `{licence}`, expected one of {LICENCES:?}"));
        }
    }
    let twice = versions.iter().filter(|(_, count)| **count > 1);
    faults.extend(twice.map(|(name, count)| format!("{name} comes in {count} versions")));
    faults
}

/// Whether an expression offers a licence of ours: a plain list of alternatives, since no dependency has another.
fn is_allowed(expression: &str) -> bool {
    expression.replace('/', " OR ").split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
}

/// The same by `deny.toml`, with what else `cargo deny` knows.
fn denied() -> anyhow::Result<Outcome> {
    let has_tool = workspace::cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !has_tool {
        return Ok(Outcome::Skipped("no cargo-deny: cargo install cargo-deny --locked".to_string()));
    }
    let deny = |checks: &[&str]| {
        let mut check = workspace::cargo();
        workspace::output(check.args(["deny", "--locked", "check", "--disable-fetch"]).args(checks))
    };
    deny(&["licenses", "bans", "sources"])?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    if !std::fs::read_dir(home.join("advisory-dbs")).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(Outcome::Skipped("no database of known faults: cargo deny fetch".to_string()));
    }
    deny(&["advisories"])?;
    Ok(Outcome::Ran("licences, bans, sources and known faults".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_tree_is_said() {
        let text = "fused-dense v0.1.0 (/a/b)\tMIT OR Apache-2.0\neither v1.19.0\tMIT/Apache-2.0\neither v1.19.0\tMIT/Apache-2.0\n\
                    made v1.0.0 (proc-macro)\tZlib\neither v2.0.0\tMIT\nother v1.0.0 (https://a.example/b)\tGPL-3.0\nnone v1.0.0\t\n\
                    both v1.0.0\tMIT AND GPL-3.0\n";
        let found = faults(&dependencies(text));
        let expected = [
            "both v1.0.0",
            "fused-dense v0.1.0 comes from (/a/b)",
            "none v1.0.0 has the licence ``",
            "other v1.0.0 comes from (https://a.example/b)",
            "other v1.0.0 has the licence `GPL-3.0`",
            "either comes in 2 versions",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)), "{found:?}");
    }

    #[test]
    fn each_alternative_counts() {
        assert!(["MIT", "MIT/Apache-2.0", "GPL-3.0 OR Zlib"].into_iter().all(is_allowed));
        assert!(!["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0"].into_iter().any(is_allowed));
    }
}
