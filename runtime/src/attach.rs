//! What a Plan asks for in the kernel: which programs at which places of the file, and how the libraries are configured.
//!
//! Nothing is attached here (`guard::keeper` does it); planning fails per library (house.md, decision 2).

use analyzer::{
    Plan,
    plan::{self, Code, Status, Verdict},
};
use anyhow::{Context as _, ensure};
use runtime_ebpf::{abi, sockets::Connections};
use tracing::{info, warn};

use crate::{
    config::{SwitchedOff, WRITE},
    guard::keeper::Probe,
    libraries::{self, Carrier, Library},
    spans::Kind,
};

/// All that is done for a file.
pub struct Layout {
    /// What the core has to know of it.
    pub core: abi::File,
    /// What leads from one of its contexts to the next.
    pub contexts: Box<abi::Contexts>,
    /// What leads from one of its connections to the kernel's descriptor.
    pub connections: Connections,
    /// What is attached at once.
    pub first: Part,
    /// What is attached when it is missed ([`Library::waits_until_missed`]).
    pub missed: Part,
    /// Variables of the program, by their addresses in the file, that point to a bool which says whether spans come to be probed: what
    /// it is to say.
    pub switches: Vec<(u64, bool)>,
}

/// Libraries that are attached together.
#[derive(Default)]
pub struct Part {
    /// They and their configurations.
    pub libraries: Vec<(&'static dyn Library, Vec<u8>)>,
    /// The programs that the probes name by their places.
    pub programs: Vec<&'static str>,
    /// Where they go.
    pub probes: Vec<Probe>,
}

/// The libraries of a Plan that this agent can trace; each one that it cannot is logged with the reason.
fn traceable<'a>(plan: &'a Plan, off: &SwitchedOff) -> Vec<&'a plan::Library> {
    let mut found = Vec::new();
    for library in plan.libraries.iter().filter(|library| library.status == Status::Custom) {
        info!(file = plan.file, "{}", said_of_own(library));
    }
    for library in plan.libraries.iter().filter(|library| library.status == Status::Instrumented) {
        let reason = library.reason.as_deref().unwrap_or("no reason given");
        if let Some(variable) = off.by(&library.id) {
            info!(file = plan.file, "{}: not traced: {variable} is false", library.id);
            continue;
        }
        match library.verdict {
            _ if libraries::by_id(&library.id).is_none() => {
                warn!(file = plan.file, "{}: not traced by this version of strobe", library.id);
            }
            Verdict::Refused => warn!(file = plan.file, "{}: not traced: {reason}", library.id),
            Verdict::Partial => {
                warn!(file = plan.file, "{}: traced in part: {reason}", library.id);
                found.push(library);
            }
            Verdict::Ready if library.functions.is_empty() => {
                info!(file = plan.file, "{}: {reason}", library.id)
            }
            Verdict::Ready => found.push(library),
        }
    }
    found
}

/// What the log says of an entry of the user's own.
fn said_of_own(library: &plan::Library) -> String {
    let reason = library.reason.as_deref().unwrap_or("no reason given");
    let planned = match library.verdict {
        Verdict::Ready => "planned by your own catalog".to_owned(),
        Verdict::Partial => format!("planned in part by your own catalog: {reason}"),
        Verdict::Refused => format!("refused, as your own catalog has it: {reason}"),
    };
    format!("{}: {planned}; no spans are made of it yet", library.id)
}

/// Why nothing in this file is traced, in the Plan's own words where nobody has switched it off. Entries of the user's own are not
/// in it: nothing would be traced of them anyway.
fn refusal(plan: &Plan, off: &SwitchedOff) -> String {
    let reason = |library: &plan::Library| match off.by(&library.id) {
        Some(variable) => Some(format!("{}: {variable} is false", library.id)),
        None => library.reason.as_ref().map(|reason| format!("{}: {reason}", library.id)),
    };
    let strobes = plan.libraries.iter().filter(|library| library.status != Status::Custom);
    let reasons: Vec<String> = strobes.filter_map(reason).collect();
    if reasons.is_empty() {
        format!("nothing in it that strobe traces ({}); `analyze` shows what it has", libraries::ids())
    } else {
        reasons.join("; ")
    }
}

/// What the log says of a traced library because something is not written into the program: what it leaves alone, and what it does not tell.
fn said_of_writing(library: &plan::Library, off: &SwitchedOff) -> Vec<String> {
    let id = &library.id;
    let alone = library.findings.iter().filter(|finding| finding.code == Code::LeftAlone);
    // With ids what wants them is not left alone.
    let alone: Vec<String> = alone
        .filter(|_| !off.telling() || library.variables.is_empty())
        .map(|finding| format!("{id}: {}", finding.message))
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let tells = |library: &&dyn Library| !library.telling().is_empty() && library.carriers().is_empty();
    let tells = libraries::by_id(id).as_ref().is_some_and(tells);
    match (off.writing(), off.telling()) {
        (true, _) if !library.variables.is_empty() => {
            vec![format!("{id}: spans by way of OpenTelemetry's API are not traced: {WRITE} is false")]
        }
        (false, false) if tells => vec![format!(
            "{id}: the program does not know the ids of its spans: the kernel does not let probes write (`strobe features`)"
        )],
        _ => Vec::new(),
    }
}

/// Why requests of a library that is traced do not carry their trace context, where they could.
fn said_of_contexts(library: &plan::Library, plan: &Plan, off: &SwitchedOff) -> Option<String> {
    let traced = libraries::by_id(&library.id)?;
    let unsure = |carrier: &Carrier| off.no_contexts().is_some() || !traced.may_carry(carrier, library, plan);
    // What the program does not have is not missing: HTTP/2 may be left out of it.
    let has_any = |carrier: &Carrier| {
        library.functions.iter().any(|function| carrier.roles.contains(&function.role.as_str()))
    };
    let without: Vec<&str> = traced
        .carriers()
        .iter()
        .filter(|carrier| has_any(carrier) && unsure(carrier))
        .map(|carrier| carrier.what)
        .collect();
    let why =
        || off.no_contexts().unwrap_or_else(|| "`analyze` says what is not known of this file".to_owned());
    (!without.is_empty()).then(|| {
        format!("{}: {} do not carry their trace context: {}", library.id, without.join(" and "), why())
    })
}

fn makes_spans(library: &plan::Library) -> bool {
    libraries::by_id(&library.id).is_none_or(Library::makes_spans)
}

/// What is to be done for a file with this Plan; an error says why that would be nothing.
pub fn layout(plan: &Plan, off: &SwitchedOff) -> anyhow::Result<Layout> {
    let mut layout = Layout {
        core: libraries::core(plan),
        contexts: Box::new(libraries::contexts(plan)),
        connections: libraries::connections(plan),
        first: Part::default(),
        missed: Part::default(),
        switches: Vec::new(),
    };
    let mut found = traceable(plan, off);
    // Those that make spans first: the others add to them.
    found.sort_by_key(|library| !makes_spans(library));
    let mut traced = Vec::new();
    for library in found {
        if !makes_spans(library) && !layout.first.makes_spans_of_servers() {
            info!(file = plan.file, "{}: not attached: no server of this file is traced", library.id);
            continue;
        }
        match layout.add(library, plan, off) {
            Ok(()) => {
                let said = said_of_writing(library, off).into_iter();
                let said = said.chain(said_of_contexts(library, plan, off));
                said.for_each(|said| info!(file = plan.file, "{said}"));
                traced.push(library.id.as_str());
            }
            Err(error) => warn!(file = plan.file, "{}: not traced: {error:#}", library.id),
        }
    }
    for library in plan.libraries.iter().filter(|library| !library.variables.is_empty()) {
        let on = traced.contains(&library.id.as_str());
        let is_on = |variable: &plan::Variable| on && (off.telling() || !variable.wants_ids);
        if !off.writing() {
            layout
                .switches
                .extend(library.variables.iter().map(|variable| (variable.vaddr, is_on(variable))));
        }
    }
    layout.core.parents = u16::from(layout.first.asks_for_parents());
    if layout.first.probes.is_empty() {
        anyhow::bail!("{}: {}", plan.file, refusal(plan, off));
    }
    Ok(layout)
}

impl Layout {
    fn add(&mut self, library: &plan::Library, plan: &Plan, off: &SwitchedOff) -> anyhow::Result<()> {
        let traced = libraries::by_id(&library.id).context("not traced by this version of strobe")?;
        let part = if traced.waits_until_missed() { &mut self.missed } else { &mut self.first };
        part.add(traced, library, plan, off)?;
        self.core.libraries |= 1 << traced.code();
        Ok(())
    }
}

impl Part {
    fn makes_spans_of_servers(&self) -> bool {
        self.libraries.iter().any(|(library, _)| library.makes_spans() && library.kind() == Kind::Server)
    }

    /// Whether anybody has to know what is open: for calls, or for a server within another.
    fn asks_for_parents(&self) -> bool {
        let all = || self.libraries.iter().map(|(library, _)| library);
        let servers = all().filter(|library| library.makes_spans() && library.kind() == Kind::Server).count();
        all().any(|library| library.asks_for_parents() || servers > 1 && library.is_served_within_another())
    }

    fn add(
        &mut self,
        traced: &'static dyn Library,
        library: &plan::Library,
        plan: &Plan,
        off: &SwitchedOff,
    ) -> anyhow::Result<()> {
        let config = traced.config(library, plan)?;
        let mut probes = Vec::new();
        let mut functions = Vec::new();
        let tells = off.telling() && traced.may_tell(library, plan);
        let carriers = traced.carriers().iter().filter(|_| off.no_contexts().is_none());
        let carrying: Vec<&str> = carriers
            .filter(|carrier| traced.may_carry(carrier, library, plan))
            .flat_map(|carrier| carrier.roles)
            .copied()
            .collect();
        let is_wanted = |role: &str| {
            let is_of_use =
                off.correlating() || !traced.correlating().contains(&role) || carrying.contains(&role);
            is_of_use && traced.takes(role, library, !carrying.is_empty())
        };
        for function in library.functions.iter().filter(|function| is_wanted(&function.role)) {
            let of_role = |all: &'static [(&'static str, &'static str)]| {
                all.iter().enumerate().find(|(_, (role, _))| *role == function.role)
            };
            let (own, writing) = (of_role(traced.programs()), of_role(traced.telling()));
            ensure!(own.or(writing).is_some(), "no program for the role `{}`", function.role);
            // A role that only a program that writes has comes last.
            let place = own.map_or(usize::MAX, |(place, _)| place);
            let writes = tells || carrying.contains(&function.role.as_str());
            let program = writing.filter(|_| writes).or(own);
            functions.extend(program.map(|(_, (_, program))| (place, *program, function)));
        }
        // The keeper wants those first that begin something.
        functions.sort_by_key(|(place, ..)| *place);
        for (_, program, function) in functions {
            let program = self.place(program)?;
            probes.extend(function.sites.iter().map(|site| Probe {
                program,
                file_offset: site.file_offset,
                bytes: site.bytes.clone(),
            }));
        }
        self.libraries.push((traced, config));
        self.probes.extend(probes);
        Ok(())
    }

    fn place(&mut self, program: &'static str) -> anyhow::Result<u16> {
        let place = self.programs.iter().position(|known| *known == program).unwrap_or_else(|| {
            self.programs.push(program);
            self.programs.len() - 1
        });
        u16::try_from(place).context("too many programs for one file")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(libraries: &[(&str, &str, &str, Option<&str>)]) -> Plan {
        let library = |&(id, status, verdict, reason): &(&str, &str, &str, Option<&str>)| {
            json!({
                "id": id, "module": "std", "version": null, "version_match": "unknown", "status": status,
                "verdict": verdict, "reason": reason, "findings": [], "functions": [], "fields": [], "itabs": [],
                "maps": [], "sizes": [], "types": [],
            })
        };
        let libraries: Vec<_> = libraries.iter().map(library).collect();
        let plan = json!({
            "schema_version": 1, "tool_version": "0", "database": "", "file": "app", "arch": "amd64", "go_version": null,
            "build_id": {"go": null, "gnu": null}, "debug_file": null, "modules": [], "libraries": libraries,
        });
        serde_json::from_value(plan).expect("a Plan")
    }

    #[test]
    fn an_entry_of_the_users_own_is_never_why_nothing_is_traced() {
        let mine = ("mine", "custom", "refused", Some("no site for role leaf"));
        let off = SwitchedOff::default();
        let said = refusal(&plan(&[mine]), &off);
        assert!(said.starts_with("nothing in it that strobe traces"), "{said}");
        let server = ("net/http.server", "instrumented", "refused", Some("no URL"));
        assert_eq!(refusal(&plan(&[mine, server]), &off), "net/http.server: no URL");
    }

    #[test]
    fn the_log_says_what_is_not_written_and_why() {
        let said = |wants_ids: Option<bool>, alone: Option<&str>, off: &SwitchedOff| {
            let mut plan = plan(&[("go.opentelemetry.io/auto/sdk", "instrumented", "ready", None)]);
            let library = &mut plan.libraries[0];
            let (name, function) = ("enabled".to_owned(), "f".to_owned());
            library.variables.extend(wants_ids.map(|wants_ids| plan::Variable {
                name,
                function,
                vaddr: 8,
                wants_ids,
            }));
            library.findings.extend(alone.map(|message| plan::Finding {
                code: Code::LeftAlone,
                severity: plan::Severity::Note,
                subject: "g".to_owned(),
                message: message.to_owned(),
                loses: None,
                remedy: None,
            }));
            said_of_writing(library, off).join("; ").replace("go.opentelemetry.io/auto/sdk: ", "")
        };
        let (locked, free) = (SwitchedOff::default(), SwitchedOff::default().with_telling(true));
        assert_eq!(said(None, Some("no spans, because of its SDK"), &locked), "no spans, because of its SDK");
        assert_eq!(said(None, Some("no spans, because of its SDK"), &free), "no spans, because of its SDK");
        assert_eq!(said(Some(true), Some("it passes them on"), &locked), "it passes them on");
        assert_eq!(said(Some(true), Some("it passes them on"), &free), "");
        assert!(said(Some(false), None, &locked).starts_with("the program does not know the ids"));
        assert_eq!(said(Some(false), None, &free), "");
    }

    #[test]
    fn the_log_says_what_became_of_an_entry_of_the_users_own() {
        let said = |verdict, reason| said_of_own(&plan(&[("mine", "custom", verdict, reason)]).libraries[0]);
        assert_eq!(said("ready", None), "mine: planned by your own catalog; no spans are made of it yet");
        let refused = said("refused", Some("no site for role leaf"));
        assert_eq!(
            refused,
            "mine: refused, as your own catalog has it: no site for role leaf; no spans are made of it yet"
        );
        assert!(
            said("partial", Some("without x")).contains("planned in part by your own catalog: without x")
        );
    }
}
