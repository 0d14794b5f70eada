//! Figures as people read them.

use analyzer::plan::{Cost, Site};

use strobe_tests::calls;

use crate::{
    figures::{COUNTED, Figures},
    measure::Runs,
    modes::{AgentUse, Hits, Mode, Turn},
};

/// One table per case: medians over the turns with the quartiles beside them. What was added is the median of the differences
/// within a turn, since the machine's speed changes from one to the next.
pub fn print(case: &str, turns: &[Turn], agent: &AgentUse) {
    println!("\n{case}: target CPU per request, and what was added");
    for mode in Mode::ALL {
        let name = format!("{mode:?}").to_lowercase();
        let (low, middle, high) = spread(turns, |turn| turn[mode as usize]);
        let added = match mode {
            Mode::Bare => String::new(),
            _ => signed(turns, |turn| turn[mode as usize] - turn[Mode::Bare as usize]),
        };
        println!("{name:<8} {middle:>8.2} µs ({low:.2} to {high:.2})   {added}");
    }
    println!("strobe over floor: {}", signed(turns, over_floor));
    println!(
        "agent: {:.2} µs of CPU per span, {:.1} MiB resident; {} of {} spans received",
        agent.cpu_us_per_span, agent.resident_mib, agent.received, agent.due
    );
}

/// The head of a table of operations, one in each row.
pub fn print_head() {
    println!("\nCPU of the target per operation, medians (in brackets the quartiles)");
    println!(
        "{:<24} {:>6} {:>10} {:>10} {:>10}  {:<27} {:>15} {:>12} {:>16}",
        "operation",
        "hits",
        "bare",
        "floor",
        "strobe",
        "strobe over floor",
        "calls (reads)",
        "agent/span",
        "spans"
    );
}

/// What was measured of one.
pub fn print_row(name: &str, figures: &Figures) {
    let middle = |value: &dyn Fn(&Turn) -> f64| spread(&figures.turns, value).1;
    let added = |mode: Mode| middle(&|turn: &Turn| turn[mode as usize] - turn[Mode::Bare as usize]);
    let calls = figures.calls.as_ref().map_or("-".to_owned(), |calls| {
        let (all, reads) = calls::per_request(COUNTED, calls);
        format!("{all:.1} ({reads:.1})")
    });
    println!(
        "{name:<24} {:>6.3} {:>7.2} µs {:>+7.2} µs {:>+7.2} µs  {:<27} {calls:>15} {:>9.2} µs {:>16}",
        figures.hits.per_request(),
        middle(&|turn: &Turn| turn[Mode::Bare as usize]),
        added(Mode::Floor),
        added(Mode::Strobe),
        signed(&figures.turns, over_floor),
        figures.agent.cpu_us_per_span,
        format!("{} of {}", figures.agent.received, figures.agent.due)
    );
    for loss in &figures.losses {
        println!("  the agent: {loss}");
    }
}

/// What strobe adds to what any agent pays.
pub fn over_floor(turn: &Turn) -> f64 {
    turn[Mode::Strobe as usize] - turn[Mode::Floor as usize]
}

fn signed(turns: &[Turn], value: impl Fn(&Turn) -> f64) -> String {
    let (low, middle, high) = spread(turns, value);
    format!("{middle:+.2} µs ({low:+.2} to {high:+.2})")
}

/// The quartiles.
pub fn spread(turns: &[Turn], value: impl Fn(&Turn) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = turns.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN);
    (at(1), at(2), at(3))
}

/// Where the probes of the hot path are.
pub fn print_sites(sites: &[(String, Site)]) {
    for (function, site) in sites {
        let how = match site.cost {
            Cost::Emulated => "emulated",
            Cost::Stepped => "single-stepped",
        };
        println!("probed: {function} at {:#x}, bytes {}, {how}", site.vaddr, site.bytes);
    }
}

pub fn print_hits(case: &str, hits: &Hits) {
    let total = hits.total();
    let time_ns: u64 = hits.programs.iter().map(|runs| runs.time_ns).sum();
    println!(
        "\n{case}: {total} probe hits for {} requests, {:.3} per request; in the programs {} ns per request",
        hits.requests,
        hits.per_request(),
        time_ns / hits.requests as u64
    );
    for runs in &hits.programs {
        println!("  {} runs of {:.0} ns (the kernel's statistics included)", runs.count, runs.each_ns());
    }
    println!("kernel memory of the maps: {:.1} MiB", hits.maps_bytes as f64 / (1 << 20) as f64);
}

/// What any agent pays on this kernel: the empty program, which runs at both sites, the one with sixteen reads.
pub fn print_kernel([empty, reads]: &[Runs; 2]) {
    let read_ns = (reads.each_ns() - empty.each_ns()) / 16.0;
    println!(
        "\nthe kernel's own: an empty program {:.0} ns, one read of 8 bytes {read_ns:.0} ns",
        empty.each_ns()
    );
}
