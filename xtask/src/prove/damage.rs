//! `prove damage`: changed backups are found before a database is touched.

use std::collections::BTreeMap;
use std::path::Path;

use whimbrel_testkit::proof::damage::{Bench, Damage};

use super::{Findings, Request, each};

/// Without `--count`, every byte of the small backup is flipped, and it is cut at every length.
const EVERY: usize = 1;

pub(super) fn prove(program: &Path, request: &Request) -> Findings {
    let bench = Bench::new(program);
    let mut cases = bench.cases(EVERY);
    if let Some(count) = request.count {
        let step = (cases.len() / count.max(1)).max(1);
        cases = bench.cases(step);
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *kinds.entry(kind(case)).or_default() += 1;
    }
    let failures = each(&cases, |case| bench.run(program, case).err());
    let notes = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Findings { cases: cases.len(), failures: failures.into_iter().flatten().collect(), notes }
}

fn kind(case: &Damage) -> &'static str {
    match case {
        Damage::Field(_) => "fields of the manifest",
        Damage::Flipped(..) => "flipped bytes",
        Damage::Cut(..) => "cuts",
        Damage::Removed(_) | Damage::Repeated(..) | Damage::Swapped(..) | Damage::Foreign(_) => {
            "chunks removed, repeated, swapped or foreign"
        }
        Damage::All | Damage::More => "all chunks bad, a file more",
        Damage::Replayed | Damage::ForeignSigner | Damage::WrongKey => {
            "old manifest, foreign signature, wrong key"
        }
    }
}
