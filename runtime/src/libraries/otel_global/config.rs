//! The configuration of the programs, from the library's part of the Plan.

use analyzer::{
    Plan,
    plan::{self, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, ContextSlot, MAX_OFFSET},
    libraries::OTEL_GLOBAL,
    otel_global::{
        ATTRIBUTES, ENTRIES, ERROR, FUNCTION, File, KIND, LINK_ATTRIBUTES, LINKS, NEW_ROOT, RETURNS, SCHEMA,
        STACK_TRACE, TIME, VALUE, VERSION,
    },
};

use crate::libraries::{
    contexts,
    library::ConfigError,
    values::{needed, offset, role, stack_check, unusable},
};

/// Roles at entries, in the order of their places in [`File`].
const ROLES: [&str; ENTRIES] =
    ["start", "end", "set_attributes", "set_name", "set_status", "add_event", "record_error", "add_link"];

const SPAN: &str = "go.opentelemetry.io/otel/trace.Span";
const MADE: &str = "go.opentelemetry.io/otel/internal/global.nonRecordingSpan";
const TRACER: &str = "go.opentelemetry.io/otel/internal/global.tracer";
const LINK: &str = "go.opentelemetry.io/otel/trace.Link";
const OF_ATTRIBUTES: [(&str, &str, u64); 6] = [
    ("go.opentelemetry.io/otel/attribute.KeyValue", "Key", 0),
    ("go.opentelemetry.io/otel/attribute.KeyValue", "Value", VALUE),
    ("go.opentelemetry.io/otel/attribute.Value", "vtype", 0),
    ("go.opentelemetry.io/otel/attribute.Value", "numeric", 8),
    ("go.opentelemetry.io/otel/attribute.Value", "stringly", 16),
    ("go.opentelemetry.io/otel/attribute.Value", "slice", 32),
];

const TYPES: [(&str, u32); 8] = [
    ("go.opentelemetry.io/otel/trace.attributeOption", ATTRIBUTES),
    ("go.opentelemetry.io/otel/trace.timestampOption", TIME),
    ("go.opentelemetry.io/otel/trace.spanOptionFunc", FUNCTION),
    ("go.opentelemetry.io/otel/trace.tracerOptionFunc", FUNCTION),
    ("go.opentelemetry.io/otel/trace.stackTraceOption", STACK_TRACE),
    ("*errors.errorString", ERROR),
    ("*fmt.wrapError", ERROR),
    ("*fmt.wrapErrors", ERROR),
];

const CLOSURES: [(&str, u32); 5] = [
    ("go.opentelemetry.io/otel/trace.WithInstrumentationVersion", VERSION),
    ("go.opentelemetry.io/otel/trace.WithSchemaURL", SCHEMA),
    ("go.opentelemetry.io/otel/trace.WithSpanKind", KIND),
    ("go.opentelemetry.io/otel/trace.WithNewRoot", NEW_ROOT),
    ("go.opentelemetry.io/otel/trace.WithLinks", LINKS),
];

const ANYWHERE: u64 = MAX_OFFSET as u64;

/// Whether links lie in memory as the programs take it.
pub fn knows_links(library: &plan::Library) -> bool {
    offset(library, LINK, "SpanContext", ANYWHERE) == 0
        && u64::from(offset(library, LINK, "Attributes", ANYWHERE)) == LINK_ATTRIBUTES
}

/// The value of the map.
pub fn file(library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    for (type_name, field, at) in OF_ATTRIBUTES {
        if u64::from(needed(library, OTEL_GLOBAL.id, (type_name, field), ANYWHERE)?) != at {
            return Err(unusable(library, OTEL_GLOBAL.id, (type_name, field), at));
        }
    }
    let (mut entry_vaddrs, mut checks) = ([0; ENTRIES], [CHECK_NONE; ENTRIES]);
    for ((name, vaddr), check) in ROLES.iter().zip(&mut entry_vaddrs).zip(&mut checks) {
        if let Some(site) = role(library, name).and_then(|function| function.sites.first()) {
            *vaddr = site.vaddr;
            *check = if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE };
        }
    }
    let no_site = |role| ConfigError::NoSite { library: OTEL_GLOBAL.id, role };
    let returns = &role(library, "started").ok_or_else(|| no_site("started"))?.sites;
    if entry_vaddrs[0] == 0 || entry_vaddrs[1] == 0 {
        return Err(no_site(if entry_vaddrs[0] == 0 { "start" } else { "end" }));
    }
    let mut return_vaddrs = [0; RETURNS];
    if returns.len() > RETURNS {
        return Err(no_site("started"));
    }
    return_vaddrs.iter_mut().zip(returns).for_each(|(vaddr, site)| *vaddr = site.vaddr);
    let itab = library.itabs.iter().find(|itab| itab.interface == SPAN && itab.concrete == MADE);
    let itab_vaddr = itab.and_then(|itab| itab.vaddr);
    let of_tracer = |field| needed(library, OTEL_GLOBAL.id, (TRACER, field), ANYWHERE);
    let (multiplier, slots) = contexts::table(&meanings(library));
    Ok(File {
        entry_vaddrs,
        return_vaddrs,
        itab_vaddr: itab_vaddr.ok_or(ConfigError::Itab {
            library: OTEL_GLOBAL.id,
            interface: SPAN,
            concrete: MADE,
        })?,
        span_type_vaddr: descriptor(library, MADE).unwrap_or(0),
        types_vaddr: plan.types_vaddr.unwrap_or(0),
        multiplier,
        slots,
        checks,
        name: of_tracer("name")?,
        options: of_tracer("opts")?,
        delegate: of_tracer("delegate")?,
        has_new_root: u16::from(closures(library, NEW_ROOT).next().is_some()),
    })
}

fn descriptor(library: &plan::Library, name: &str) -> Option<u64> {
    library.types.iter().find(|found| found.type_name == name).and_then(|found| found.vaddr)
}

/// The closures that mean this.
fn closures(library: &plan::Library, class: u32) -> impl Iterator<Item = u64> {
    let named = CLOSURES.iter().filter(move |(_, of)| *of == class);
    let found = |(name, _): &(&str, u32)| library.closures.iter().find(|closures| closures.of == *name);
    named.filter_map(found).flat_map(|closures| closures.vaddrs.iter().copied())
}

/// What the addresses mean that the programs meet. Of closures, of which there is one for each copy of a function, there may be more than
/// find a place: the programs count those that they do not know.
fn meanings(library: &plan::Library) -> Vec<ContextSlot> {
    let types = TYPES.iter().filter_map(|(name, class)| Some((descriptor(library, name)?, *class)));
    let of_closures = |class: u32| closures(library, class).map(move |vaddr| (vaddr, class));
    let wanted =
        CLOSURES.iter().map(|(_, class)| *class).filter(|class| *class != LINKS || knows_links(library));
    let all = types.chain(wanted.flat_map(of_closures));
    all.map(|(itab_vaddr, kind)| ContextSlot { itab_vaddr, offset: 0, kind }).collect()
}
