//! What traces carry beside their ids (`tracestate`), through a program that makes a request for each that it gets, where the kernel lets probes
//! write: a list goes on only where all requests of its trace have brought the same one. Then a second agent comes, which adds nothing.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::{
    client::Connection,
    http_client::carried::{check_counted, shown},
    process::Running,
    recorder::Recorder,
    stage::listening,
    wire,
};

use crate::bench::{Bench, ended, left_without_loss, tracing};
use crate::chain::counted;
use crate::features::writes_from_probes;

/// A request that is relayed.
struct Relayed {
    /// Its trace, by a number.
    trace: u8,
    /// The values of its `tracestate`.
    brings: Vec<String>,
    /// What the request that is made for it has; empty: none.
    due: String,
    why: &'static str,
}

/// A list of so many bytes, of members of 20 and a last one of what is left.
fn list(bytes: usize) -> String {
    let member = |nth| format!("k{nth:02}={},", "v".repeat(15));
    let mut list: String = (0..bytes / 20).map(member).collect();
    let left = bytes - list.len();
    match left {
        0 => drop(list.pop().map(|_| list.push('v'))),
        _ => list.push_str(&format!("{}=", "z".repeat(left))[..left]),
    }
    list
}

fn all() -> Vec<Relayed> {
    let (one, other) = (list(60), list(61));
    let relayed = |trace, brings: &[&str], due: &str, why| Relayed {
        trace,
        brings: brings.iter().map(|&value| value.to_owned()).collect(),
        due: due.to_owned(),
        why,
    };
    let (longest, longer) = (list(512), list(513));
    vec![
        relayed(1, &[], "", "nothing was kept of any trace yet"),
        relayed(2, &[&one], &one, "its own"),
        relayed(2, &[&one], &one, "the same again"),
        relayed(3, &["a=1", "b=2,c=3"], "a=1,b=2,c=3", "two headers are one list"),
        relayed(3, &["a=1,b=2", "c=3"], "a=1,b=2,c=3", "the same list, divided in another way"),
        relayed(2, &[&other], "", "another list of the trace"),
        relayed(2, &[&one], "", "nobody knows which of the two from then on"),
        relayed(4, &[&one], &one, "the same list in another trace"),
        relayed(4, &[], "", "a request of the trace has none"),
        relayed(4, &[&one], "", "one had none"),
        relayed(5, &[], "", "none"),
        relayed(5, &[&one], "", "one before had none"),
        relayed(6, &[&longest], &longest, "the longest that is kept"),
        relayed(7, &[&longer], "", "longer than that"),
        relayed(7, &[&one], "", "one before could not be kept"),
        relayed(8, &["a=\tb"], "", "a tab is no character of one that is written"),
        relayed(9, &["a=\u{e9}"], "", "nor is one that is not ASCII"),
        relayed(10, &["a=~"], "a=~", "a tilde is the last one that is"),
        relayed(3, &["a=1,b=2,c=3"], "a=1,b=2,c=3", "what others did was none of this trace"),
    ]
}

/// Requests that are made while two agents are there, of which one in [`OF_TWO`] brings a list.
const OF_TWO_AGENTS: u8 = 32;
const OF_TWO: u8 = 8;
/// Lists that do not go on: the other one of its trace and the one behind it, two behind a request without one, the one that is too long and the
/// one behind it, and two with characters that are not written.
const NOT_KEPT: usize = 8;

/// What is relayed carries what is due, and what was left out is counted.
pub fn go_on(version: &str) -> Result<String> {
    let bench = Bench::of("carries", version)?;
    let recorder = Recorder::start()?;
    let mut app = Running::start(Command::new(&bench.app).arg(recorder.address().to_string()))?;
    let mut server = Connection::open(listening(&app)?)?;
    let mut first = agent(&bench, &app)?;
    let written = writes_from_probes();
    let all = all();
    let mut wrong = Vec::new();
    for (nth, relayed) in all.iter().enumerate() {
        let due = if written { Some(relayed.due.as_str()) } else { None };
        let is_right = relay(&mut server, &recorder, nth, relayed, due)?;
        wrong.extend(is_right.err().map(|said| format!("{nth}, {}: {said}", relayed.why)));
    }
    // By either of the two, and once.
    let mut second = agent(&bench, &app)?;
    for nth in 0..OF_TWO_AGENTS {
        let trace = 100 + nth;
        let brings = if nth % OF_TWO == 0 { vec![list(60)] } else { Vec::new() };
        let due = brings.first().cloned().unwrap_or_default();
        let relayed = Relayed { trace, brings, due, why: "two agents" };
        let due = written.then_some(relayed.due.as_str());
        let is_right = relay(&mut server, &recorder, all.len() + usize::from(nth), &relayed, due)?;
        wrong.extend(is_right.err().map(|said| format!("{nth}, {}: {said}", relayed.why)));
    }
    let mut logs = Vec::new();
    for agent in [&mut second, &mut first] {
        logs.push(left_without_loss(agent)?);
    }
    ensure!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.join("\n"),
        logs.iter().map(|log| shown(log)).collect::<String>()
    );
    if written {
        let of_all = all.iter().filter(|relayed| !relayed.due.is_empty()).count();
        let of_two = usize::from(OF_TWO_AGENTS.div_ceil(OF_TWO));
        let counted = |log: &String, name: &str| counted(log, name) as usize;
        let written: usize = logs.iter().map(|log| counted(log, "tracestate.written")).sum();
        ensure!(written == of_all + of_two, "{written} of {of_all} and {of_two} were counted");
        let not_kept = counted(&logs[1], "tracestate.not_kept");
        ensure!(not_kept == NOT_KEPT, "{not_kept} of {NOT_KEPT} were counted");
        check_counted(&logs[1], &[("tracestate.lost", 0), ("tracestate.no_room", 0)])?;
    }
    ended(&mut app)?;
    Ok(format!("{} requests, and {} of two agents; contexts written: {written}", all.len(), OF_TWO_AGENTS))
}

/// An agent that traces the program, and writes where it may.
fn agent(bench: &Bench, app: &Running) -> Result<Running> {
    let mut command = bench.strobe(&["run", "--pid", &app.pid().to_string()]);
    let agent = Running::start(command.env("OTEL_LOG_LEVEL", "debug").env("STROBE_PROPAGATION", "write"))?;
    tracing(&agent, 0)?;
    Ok(agent)
}

/// Has it relayed; what is wrong with what has arrived. `due`: the list, if contexts are written.
fn relay(
    server: &mut Connection,
    recorder: &Recorder,
    nth: usize,
    relayed: &Relayed,
    due: Option<&str>,
) -> Result<std::result::Result<(), String>> {
    let trace = format!("{:032x}", 0xfeed_0000_u32 + u32::from(relayed.trace));
    let states: String = relayed.brings.iter().map(|value| format!("tracestate: {value}\r\n")).collect();
    let traceparent = format!("traceparent: 00-{trace}-00000000000000aa-01\r\n");
    server.send(format!("GET /relay/{nth} HTTP/1.1\r\nHost: h\r\n{traceparent}{states}\r\n").as_bytes())?;
    let answer = server.receive(false)?;
    ensure!(answer.is_some_and(|answer| answer.status == 200), "the request {nth} was not answered with 200");
    let heads = recorder.take();
    let [head] = heads.as_slice() else { return Ok(Err(format!("{} requests", heads.len()))) };
    let text = String::from_utf8_lossy(head).into_owned();
    let parsed = wire::read_head(&mut head.as_slice())?;
    let values = |name: &str| -> Vec<String> {
        let named = |line: &str| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.trim_end().to_owned())
        };
        text.lines().filter_map(named).collect()
    };
    let (parents, lists) = (values("traceparent"), values("tracestate"));
    let Some(due) = due else {
        return Ok(if parents.is_empty() && lists.is_empty() { Ok(()) } else { Err(text) });
    };
    let is_of_the_trace = matches!(parents.as_slice(), [one] if one.get(3..35) == Some(trace.as_str()));
    let is_due = if due.is_empty() { lists.is_empty() } else { lists == [due] };
    let is_right = parsed.is_some() && is_of_the_trace && is_due;
    Ok(if is_right { Ok(()) } else { Err(format!("{due:?} is due, not\n{text}")) })
}
