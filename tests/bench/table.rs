//! Figures as people read them.

use crate::modes::{Hits, Mode, Round};

/// One table per number of headers: medians, the range of the rounds beside them.
pub fn print(headers: usize, results: &[(Mode, Round)]) {
    let of = |mode: Mode| {
        results.iter().filter(move |(m, _)| *m == mode).map(|(_, round)| *round).collect::<Vec<_>>()
    };
    let (bare, floor, strobe) = (of(Mode::Bare), of(Mode::Floor), of(Mode::Strobe));
    let target = |rounds: &[Round]| spread(rounds, |round| round.target_us);
    let base = target(&bare).1;
    println!("\n{headers} headers      target CPU per request        added");
    for (name, rounds) in [("bare", &bare), ("floor", &floor), ("strobe", &strobe)] {
        let (low, middle, high) = target(rounds);
        let added = if name == "bare" { String::new() } else { format!("{:+.2} µs", middle - base) };
        println!("{name:<8} {middle:>8.2} µs ({low:.2} to {high:.2})   {added:>12}");
    }
    let over_floor = target(&strobe).1 - target(&floor).1;
    println!("strobe over floor: {over_floor:+.2} µs per request");
    let (received, due) = strobe.iter().fold((0, 0), |(r, d), round| (r + round.received, d + round.due));
    println!(
        "agent: {:.2} µs of CPU per span, {:.1} MiB resident; {received} of {due} spans received",
        spread(&strobe, |round| round.agent_us).1,
        spread(&strobe, |round| round.resident_mib).1,
    );
}

/// Minimum, median, maximum.
fn spread(rounds: &[Round], value: impl Fn(&Round) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

pub fn print_hits(hits: &Hits) {
    let total: u64 = hits.programs.iter().map(|runs| runs.count).sum();
    println!(
        "\nprobe hits: {total} for {} requests, {:.3} per request",
        hits.requests,
        total as f64 / hits.requests as f64
    );
    for runs in &hits.programs {
        println!(
            "  {} runs, {} ns each (with the kernel's statistics on)",
            runs.count,
            runs.time_ns / runs.count.max(1)
        );
    }
    println!("kernel memory of the maps: {:.1} MiB", hits.maps_bytes as f64 / (1 << 20) as f64);
}
