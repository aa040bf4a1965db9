//! Threads that all cases use: to start some for each would take most of the time.

use arbitrary::Unstructured;
use fused_dense::{Team, Threads};
use std::sync::{Arc, LazyLock};

/// As many as the machine may have cores, and more.
static TEAMS: LazyLock<[Team; 3]> = LazyLock::new(|| [2, 3, 5].map(Team::new));

static POOL: LazyLock<Arc<rayon::ThreadPool>> =
    LazyLock::new(|| Arc::new(rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads")));

/// Serial as often as shared, and then mostly a team, which is returned too.
pub(crate) fn threads(u: &mut Unstructured<'_>) -> arbitrary::Result<(Threads, Option<Team>)> {
    Ok(match u.int_in_range(0..=7)? {
        0..=3 => (Threads::Serial, None),
        4 => (Threads::Pool(Arc::clone(&POOL)), None),
        team => (Threads::from(&TEAMS[team - 5]), Some(TEAMS[team - 5].clone())),
    })
}
