//! One run of the comparison, from finding the peers to the last row.

use super::args::{Args, Item};
use super::buffer::Placement;
use super::measure::{self, Effort, Place, Subject, Timed};
use super::recipe::Recipe;
use super::run::{PeerInfo, PeerTime, Row, Run, count};
use super::shape::{Network, Pass, Weights};
use super::table::{self, Table};
use super::training::Training;
use super::verify::Judge;
use super::workload::{Task, Workload};
use crate::machine::affinity::{keep_to_core, use_cores};
use crate::machine::{Ceilings, Machine};
use crate::peers::{self, Contender, Found, Fused, Plan, Sharing, library};
use crate::workspace;
use anyhow::{Context, ensure};
use fused_dense::{Activation, Dense, Isa};
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;
use std::collections::{HashMap, HashSet};

/// Whether this program has crates built in that would use more than the instruction set asked for.
pub fn needs_another_build(isa: Option<Isa>) -> bool {
    isa.is_some_and(|isa| isa < Isa::Avx512) && cfg!(feature = "avx512") && Isa::available().contains(&Isa::Avx512)
}

/// Runs the same command in a build without what the crates have for AVX-512.
///
/// # Errors
/// Where it cannot be built or fails.
pub fn run_another_build() -> anyhow::Result<()> {
    anstream::eprintln!("{}", "the crates that are compared with are built anew, without AVX-512".dimmed());
    let status = workspace::cargo()
        .args(["run", "--quiet", "--release", "--package", "xtask", "--no-default-features", "--target-dir"])
        .arg(workspace::target().join("without-avx512"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .current_dir(std::env::current_dir()?)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the other build failed");
    Ok(())
}

/// Where memory begins by turns: on cache lines and past them.
const PLACEMENTS: [Placement; 2] = [Placement::LINE, Placement::ALLOCATOR];

/// Copies of each routine, with memory of its own: as many at each placement.
const COPIES: usize = 2 * PLACEMENTS.len();

/// The placements of the copies, one behind the other.
fn placements() -> impl Iterator<Item = Placement> {
    PLACEMENTS.into_iter().cycle().take(COPIES)
}

/// Measures a run, printing its table row by row.
///
/// # Errors
/// Where a peer fails, or computes something else.
pub fn measured(args: &Args) -> anyhow::Result<Run> {
    let isa = args.isa.map_or_else(|| Dense::new(1, 1, Activation::Identity).isa(), Ok)?;
    // SAFETY: no other thread runs yet.
    unsafe { library::prepare_environment(isa, args.most_threads()) };
    let peers = chosen_peers(args, isa)?;
    let items = args.items();

    let mut run = Run {
        command: command_line(std::env::args().skip(1)),
        caches: args.caches(),
        machine: Machine::named(isa),
        peers: peers.iter().map(|peer| info(&**peer, isa)).collect(),
        rows: Vec::new(),
    };
    table::print_run(&run);
    let names: Vec<String> = peers.iter().map(|peer| peer.name().to_string()).collect();
    let packed = format!("{}{}", Pass::Backward, Weights::Packed.suffix());
    let passes = items.iter().map(|item| format!("{}{}", item.pass, item.recipe.suffix())).chain([packed]);
    let table = Table::new(items.iter().map(|item| item.network.to_string()), passes, &names, args.all);

    let progress = progress_bar(items.len() * args.threads.len());
    let mut session = Session {
        ours: ours(isa, args.sharing),
        peers,
        effort: args.effort(),
        progress,
        told: HashSet::new(),
        frameworks_everywhere: args.frameworks || !args.peer.is_empty(),
    };
    let mut trainings: HashMap<(Network, Recipe), Training> = HashMap::new();
    for &threads in &args.threads {
        use_cores(threads);
        let before = Ceilings::measure(isa, threads);
        session.progress.suspend(|| {
            println!();
            table::print_ceilings(&before, "before");
            table.print_header();
        });
        run.machine.before.push(before.clone());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        for item in &items {
            let Item { network, pass, recipe, samples, .. } = item;
            session.progress.set_message(format!("{network} {pass}"));
            let shape = network.layers().next().context("a network without layers")?;
            let (works, training, data_set): (Vec<Workload>, _, _);
            let tasks: Vec<Task<'_>> = match pass {
                Pass::Step => {
                    let new = || Training::of_steps(network.clone(), *recipe);
                    training = trainings.entry((network.clone(), *recipe)).or_insert_with(new);
                    vec![Task::Step(training); COPIES]
                }
                Pass::Epoch => {
                    // Too large to be kept for another number of threads.
                    data_set = Training::of_epochs(network.clone(), *recipe, *samples);
                    vec![Task::Epoch(&data_set); COPIES]
                }
                Pass::Forward | Pass::Backward => {
                    works = placements().map(|placement| placement.of(|| Workload::new(shape))).collect();
                    let task = if *pass == Pass::Forward { Task::Forward } else { Task::Backward };
                    works.iter().map(task).collect()
                }
            };
            let mut measure = || session.rows(item, &tasks, threads);
            // One thread is the caller's own, as a user without a pool would have it.
            let rows = if threads == 1 { measure() } else { pool.install(|| spread(threads, measure)) }?;
            session.progress.inc(1);
            session.progress.suspend(|| rows.iter().for_each(|row| table.print_row(row, &before)));
            run.rows.extend(rows);
        }
        let after = Ceilings::measure(isa, threads);
        session.progress.suspend(|| table::print_ceilings(&after, "after"));
        run.machine.after.push(after);
    }
    session.progress.finish_and_clear();
    Ok(run)
}

/// Does it on the worker of a pool that it is called by, with the others kept to a core each.
fn spread<R>(threads: usize, measure: impl FnOnce() -> R) -> R {
    let caller = rayon::current_thread_index().unwrap_or(0);
    rayon::broadcast(|worker| keep_to_core((worker.index() + threads - caller) % threads));
    measure()
}

/// Our layers, once for each way to hand over weights.
fn ours(isa: Isa, sharing: Sharing) -> Vec<Box<dyn Contender>> {
    let with = |weights| Box::new(Fused { isa, sharing, weights, tuning: None }) as Box<dyn Contender>;
    [Weights::Plain, Weights::Packed].map(with).into()
}

/// The contenders, and how they take part.
struct Session {
    /// Our layers, once for each way to hand over weights.
    ours: Vec<Box<dyn Contender>>,
    peers: Vec<Box<dyn Contender>>,
    effort: Effort,
    progress: ProgressBar,
    /// Notes that were printed about absent peers.
    told: HashSet<String>,
    /// Whether frameworks take part in layers too.
    frameworks_everywhere: bool,
}

impl Session {
    /// Checks and measures one item, of whose task there are equal copies: a row for each way to hand over weights.
    fn rows(&mut self, item: &Item, tasks: &[Task<'_>], threads: usize) -> anyhow::Result<Vec<Row>> {
        let Self { ours, peers, effort, progress, told, frameworks_everywhere } = self;
        let mut entrance = Entrance { item, tasks, threads, effort, judge: None };
        let mut absent = |name: &str, reason: String| {
            if told.insert(format!("{name}: {reason}")) {
                let line = format!("without {name} for {}{}: {reason}", item.pass, item.recipe.suffix());
                progress.suspend(|| anstream::eprintln!("{}", line.dimmed()));
            }
        };
        let mut subjects = Vec::new();
        let mut contenders = Vec::new();
        // Ours among the subjects, by how they take weights.
        let mut places = Vec::new();
        // A step changes the weights: packed beforehand, they would be the wrong ones.
        let takes_part =
            |contender: &dyn Contender| !item.pass.is_of_networks() || contender.weights() == Weights::Plain;
        for contender in ours.iter().filter(|contender| takes_part(&***contender)) {
            match entrance.admit(&**contender)? {
                Entry::Admitted(copies) => {
                    places.push((contender.weights(), subjects.len()));
                    subjects.push(Subject::ours(copies).at_placements(PLACEMENTS.len()));
                    contenders.push(contender);
                }
                Entry::Absent(reason) => absent(contender.name(), reason),
            }
        }
        for contender in peers.iter() {
            let Some(&(_, place)) = places.iter().find(|(weights, _)| *weights == contender.weights()) else {
                continue;
            };
            if contender.is_slow_to_prepare() && !item.pass.is_of_networks() && !*frameworks_everywhere {
                continue;
            }
            match entrance.admit(&**contender)? {
                Entry::Admitted(copies) => {
                    subjects.push(Subject::peer(copies, place));
                    contenders.push(contender);
                }
                Entry::Absent(reason) => absent(contender.name(), reason),
            }
        }
        measure::measure(&mut subjects, effort)?;
        // A peer that packs nothing may be the faster one all the same: packed weights are compared with everybody's.
        let takes_weights = |subject: Weights, row: Weights| subject == Weights::Plain || row == Weights::Packed;
        let peer_times = |weights: Weights, place: usize| {
            let of_row = |&index: &usize| takes_weights(contenders[index].weights(), weights);
            let time = |index: usize| {
                let (name, nanoseconds) = (contenders[index].name().into(), subjects[index].nanoseconds());
                PeerTime { name, nanoseconds, ratio: measure::ratio(&subjects, index, place) }
            };
            (places.len()..subjects.len()).filter(of_row).map(time).collect()
        };
        let row = |(weights, place): (Weights, usize)| Row {
            suite: item.suite.clone(),
            network: item.network.clone(),
            pass: item.pass,
            recipe: item.recipe,
            steps: item.samples / item.network.batch,
            weights,
            threads,
            nanoseconds: subjects[place].nanoseconds(),
            peers: peer_times(weights, place),
        };
        Ok(places.iter().copied().map(row).collect())
    }
}

/// Lets contenders in whose results are right.
struct Entrance<'a> {
    item: &'a Item,
    tasks: &'a [Task<'a>],
    threads: usize,
    effort: &'a Effort,
    /// Made of the first one's results, which are ours.
    judge: Option<Judge>,
}

enum Entry<'a> {
    /// A copy for each of the task's, or one where making them takes long.
    Admitted(Vec<Timed<'a>>),
    Absent(String),
}

impl<'a> Entrance<'a> {
    fn admit(&mut self, contender: &'a dyn Contender) -> anyhow::Result<Entry<'a>> {
        let Item { network, pass, recipe, .. } = self.item;
        let what = || format!("{}, {network} {pass}{} on {}", contender.name(), recipe.suffix(), count(self.threads));
        let count = if contender.is_slow_to_prepare() { 1 } else { self.tasks.len() };
        let place = match contender.has_own_threads() {
            true => Place::Anywhere { threads: self.threads },
            false => Place::FirstCore,
        };
        // Before its threads are started.
        place.take();
        let mut copies = Vec::new();
        for (&task, placement) in self.tasks[..count].iter().zip(placements()) {
            let mut routine = match placement.of(|| contender.plan(task, self.threads)).with_context(what)? {
                Plan::Ready(routine) => routine,
                Plan::Absent(reason) => return Ok(Entry::Absent(reason)),
            };
            routine.rehearse().with_context(what)?;
            let results = routine.results().with_context(what)?;
            match &self.judge {
                None => self.judge = Some(Judge::new(task.expected(), results).with_context(what)?),
                Some(judge) => judge.check(&results).with_context(what)?,
            }
            copies.push(Timed::calibrate(routine, self.threads, place, self.effort.caches).with_context(what)?);
        }
        Ok(Entry::Admitted(copies))
    }
}

/// The peers that can be had, or those of them that were named.
fn chosen_peers(args: &Args, isa: Isa) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let looks_for_none = args.smoke && args.peer.is_empty();
    let found = if looks_for_none { peers::built_in(&args.library)? } else { peers::find(&args.library)? };
    found.ensure_has(&args.peer)?;
    let advice = found.advice();
    let Found { mut contenders, absent } = found;
    for (name, reason) in &absent {
        anstream::eprintln!("{}", format!("without {name}: {reason}").dimmed());
    }
    if let Some(advice) = advice {
        anstream::eprintln!("{}", advice.dimmed());
    }
    let is_named = |peer: &dyn Contender| args.peer.iter().any(|name| name == peer.name());
    for peer in contenders.iter().filter(|peer| !peer.is_held_to(isa)) {
        let name = peer.name();
        let line = if is_named(&**peer) {
            format!("{name} cannot be held to {isa}: it uses what it finds")
        } else if args.peer.is_empty() {
            format!("without {name}: it cannot be held to {isa} (--peer {name} has it all the same)")
        } else {
            continue;
        };
        anstream::eprintln!("{}", line.yellow());
    }
    contenders.retain(|peer| if args.peer.is_empty() { peer.is_held_to(isa) } else { is_named(&**peer) });
    Ok(contenders)
}

/// A report's words about a peer.
fn info(peer: &dyn Contender, isa: Isa) -> PeerInfo {
    let held = if peer.is_held_to(isa) { String::new() } else { format!(" (not held to {isa})") };
    PeerInfo { name: peer.name().into(), version: format!("{}{held}", peer.version()) }
}

/// The command that repeats this run: what was typed, but for where results went.
fn command_line(arguments: impl IntoIterator<Item = String>) -> String {
    const FILES: [&str; 3] = ["--json", "--html", "--against"];
    let mut command = String::from("cargo xtask");
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if FILES.contains(&argument.as_str()) {
            arguments.next();
        } else if argument != "--readme" && !FILES.iter().any(|file| argument.starts_with(&format!("{file}="))) {
            command = command + " " + &argument;
        }
    }
    command
}

/// Progress over so many rows.
pub fn progress_bar(items: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left  {msg}").expect("the template names known keys");
    ProgressBar::new(items as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Caches;
    use crate::bench::shape::Shape;
    use crate::peers::Sharing;
    use clap::{Parser, ValueEnum};
    use std::time::Duration;

    #[test]
    fn the_command_leaves_out_where_results_went() {
        let typed = "bench --json a.json --suite mnist --html=b.html --readme --threads 1,2";
        let command = command_line(typed.split(' ').map(str::to_string));
        assert_eq!(command, "cargo xtask bench --suite mnist --threads 1,2");
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn names(line: &str) -> anyhow::Result<Vec<String>> {
        let Line { args } = Line::try_parse_from(line.split(' '))?;
        let peers = chosen_peers(&args, Isa::available()[0])?;
        Ok(peers.iter().map(|peer| peer.name().to_string()).collect())
    }

    /// In a smoke test too, for which nothing else is looked for.
    #[test]
    fn named_peers_take_part_and_others_do_not() {
        assert_eq!(names("bench --smoke").unwrap(), ["matrixmultiply", "faer", "gemm"]);
        assert_eq!(names("bench --smoke --peer faer").unwrap(), ["faer"]);
        for line in ["bench --smoke --peer nosuch", "bench --peer faer,nosuch"] {
            let error = names(line).unwrap_err().to_string();
            assert!(error.contains("--peer nosuch: expected one of matrixmultiply, faer"), "{error}");
        }
    }

    fn session(ours: Vec<Box<dyn Contender>>, peers: Vec<Box<dyn Contender>>, frameworks_everywhere: bool) -> Session {
        let effort = Effort { per_row: Duration::ZERO, min_rounds: 1, max_rounds: 1, caches: Caches::Warm };
        let (progress, told) = (ProgressBar::hidden(), HashSet::new());
        Session { ours, peers, effort, progress, told, frameworks_everywhere }
    }

    fn rows(session: &mut Session, network: &Network, (pass, recipe): (Pass, Recipe), threads: usize) -> Vec<Row> {
        let batches = if pass == Pass::Epoch { 3 } else { 1 };
        let item =
            Item { suite: "test".into(), network: network.clone(), pass, recipe, samples: batches * network.batch };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let work = Workload::new(network.layers().next().unwrap());
        let training = match pass {
            Pass::Epoch => Training::of_epochs(network.clone(), recipe, item.samples),
            _ => Training::of_steps(network.clone(), recipe),
        };
        let task = match pass {
            Pass::Forward => Task::Forward(&work),
            Pass::Backward => Task::Backward(&work),
            Pass::Step => Task::Step(&training),
            Pass::Epoch => Task::Epoch(&training),
        };
        pool.install(|| session.rows(&item, &[task], threads)).unwrap()
    }

    /// All libraries that are found compute what we compute, at sizes that meet every tail.
    #[test]
    fn libraries_agree_with_ours() {
        for sharing in [Sharing::Team, Sharing::Pool] {
            for isa in Isa::available() {
                let mut session = session(ours(isa, sharing), peers::find(&[]).unwrap().contenders, false);
                let of = |weights| {
                    let libraries = session.peers.iter().filter(|peer| !peer.is_slow_to_prepare());
                    libraries.filter(|peer| peer.weights() == weights).count()
                };
                let (plain, packed) = (of(Weights::Plain), of(Weights::Packed));
                for shape in [Shape::new(1, 1, 1), Shape::new(3, 17, 5), Shape::new(33, 70, 65)] {
                    for (pass, threads) in [Pass::Forward, Pass::Backward].into_iter().flat_map(|p| [(p, 1), (p, 2)]) {
                        let found = rows(&mut session, &shape.into(), (pass, Recipe::Sigmoid), threads);
                        let counts: Vec<_> = found.iter().map(|row| (row.weights, row.peers.len())).collect();
                        assert_eq!(counts, [(Weights::Plain, plain), (Weights::Packed, plain + packed)]);
                    }
                }
            }
        }
    }

    /// So do the frameworks that are quickly there, and everybody's training has the same outcome.
    #[test]
    fn frameworks_and_training_agree_with_ours() {
        let contenders = peers::find(&[]).unwrap().contenders;
        let has_layers = |peer: &dyn Contender| ["pytorch", "jax"].contains(&peer.name());
        let (frameworks, mut others): (Vec<_>, Vec<_>) = contenders.into_iter().partition(|peer| has_layers(&**peer));
        // Other ways to use a framework take long to compile.
        others.retain(|peer| !peer.is_slow_to_prepare() || peer.name() == "scikit-learn");
        let count = frameworks.len();
        let mut session = session(ours(Isa::available()[0], Sharing::Team), frameworks, true);
        for pass in [Pass::Forward, Pass::Backward, Pass::Epoch] {
            let found = rows(&mut session, &Network::new(3, &[17, 5]), (pass, Recipe::Sigmoid), 1);
            assert_eq!(found[0].peers.len(), count, "{pass}");
        }
        session.peers.extend(others);
        let on_one = Recipe::value_variants().iter().map(|&recipe| (1, recipe));
        for (threads, recipe) in on_one.chain([(2, Recipe::ReluSoftmaxAdam)]) {
            let found = rows(&mut session, &Network::new(33, &[20, 30, 17, 3]), (Pass::Step, recipe), threads);
            assert!(found[0].peers.len() >= count + peers::embedded().len(), "{recipe}");
        }
    }
}
