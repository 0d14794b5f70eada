//! What a Plan says of contexts, as the programs want to be told it: a table without collisions.

use std::collections::HashSet;

use analyzer::{
    Plan,
    plan::{Held, Itab},
};
use runtime_ebpf::abi::{
    CONTEXT_HOLDS_CONTEXT, CONTEXT_HOLDS_REQUEST, CONTEXT_HOLDS_VALUE, CONTEXT_SLOT_BITS, ContextSlot,
    Contexts, MAX_OFFSET, NO_OFFSET,
};

use super::values::offset;

const INTERFACE: &str = "context.Context";
const VALUE: &str = "*context.valueCtx";
const REQUEST_KEY: &str = "*net/http.contextKey";
const SPAN_KEY: &str = "go.opentelemetry.io/otel/trace.traceContextKeyType";
/// What programs make by hand.
const SPANS: [&str; 2] = ["*go.opentelemetry.io/auto/sdk.span", "*go.opentelemetry.io/otel/trace.autoSpan"];
/// What a global tracer makes of a span without an SDK: it is a span that a program makes by hand where the Plan asks for this itab, since its
/// methods are then probed, and else stands for one of somebody else.
const GLOBAL: (&str, &str) =
    ("go.opentelemetry.io/otel/trace.Span", "go.opentelemetry.io/otel/internal/global.nonRecordingSpan");
/// What stands for a span of somebody else.
const REMOTE: [&str; 2] = [
    "go.opentelemetry.io/otel/trace.nonRecordingSpan",
    "go.opentelemetry.io/otel/internal/global.nonRecordingSpan",
];
const SPAN_CONTEXT: &str = "go.opentelemetry.io/otel/trace.SpanContext";
/// Where the programs take it that a SpanContext has its parts.
const PARTS: [(&str, u16); 3] = [("traceID", 0), ("spanID", 16), ("traceFlags", 24)];
const SLOTS: usize = 1 << CONTEXT_SLOT_BITS;
const EMPTY: ContextSlot = ContextSlot { itab_vaddr: 0, offset: 0, kind: 0 };
/// Multipliers that are tried for a table without collisions.
const TRIES: u64 = 4096;

/// What leads from one context to the next in this binary. Where types are so many that some find no slot of their own, those of
/// the standard library come first: a chain ends at what is left out, and says nothing.
pub fn contexts(plan: &Plan) -> Contexts {
    let mut known: Vec<(bool, ContextSlot)> = Vec::new();
    let mut seen = HashSet::new();
    for itab in plan.libraries.iter().flat_map(|library| &library.itabs) {
        if let Some(slot) = slot(itab)
            && seen.insert(slot.itab_vaddr)
        {
            let is_users = !itab.concrete.trim_start_matches('*').starts_with("context.");
            known.push((is_users, slot));
        }
    }
    known.sort_by_key(|(is_users, slot)| (*is_users, slot.itab_vaddr));
    let slots: Vec<ContextSlot> = known.into_iter().map(|(_, slot)| slot).collect();
    let (multiplier, slots) = table(&slots);
    let types = || plan.libraries.iter().flat_map(|library| &library.types);
    let descriptor = |name: &str| {
        types().find(|t| t.type_name == name && t.vaddr.is_some()).and_then(|t| t.vaddr).unwrap_or(0)
    };
    let is_global = |itab: &Itab| (itab.interface.as_str(), itab.concrete.as_str()) == GLOBAL;
    let are_made = plan.libraries.iter().flat_map(|library| &library.itabs).any(is_global);
    let [one, other] = SPANS.map(descriptor);
    let of_any = |type_name, field| of_any(plan, type_name, field);
    let are_known = has_known_ids(plan);
    let context_of = |span| if are_known { of_any(span, "sc") } else { NO_OFFSET };
    Contexts {
        multiplier,
        request_key_type: descriptor(REQUEST_KEY),
        span_key_type: descriptor(SPAN_KEY),
        span_types: filled([one, other, if are_made { descriptor(GLOBAL.1) } else { 0 }]),
        remote_types: REMOTE.map(descriptor),
        remote_contexts: REMOTE.map(context_of),
        request_ctx: of_any("net/http.Request", "ctx"),
        reserved: 0,
        slots,
    }
}

/// Those that are known, again and again: the programs ask of one whether there are any, and compare with all.
fn filled(types: [u64; 3]) -> [u64; 3] {
    let known = types.iter().copied().find(|vaddr| *vaddr != 0).unwrap_or(0);
    types.map(|vaddr| if vaddr == 0 { known } else { vaddr })
}

/// Whether a SpanContext of this binary has its ids and flags where the programs read and write them.
pub fn has_known_ids(plan: &Plan) -> bool {
    PARTS.iter().all(|(part, at)| of_any(plan, SPAN_CONTEXT, part) == *at)
}

/// Where a struct has a field, by whichever library of the Plan asks for it.
fn of_any(plan: &Plan, type_name: &'static str, field: &'static str) -> u16 {
    let of = |library| offset(library, type_name, field, u64::from(MAX_OFFSET));
    plan.libraries.iter().map(of).find(|at| *at != NO_OFFSET).unwrap_or(NO_OFFSET)
}

fn slot(itab: &Itab) -> Option<ContextSlot> {
    let Held { type_name, offset } = itab.holds.as_ref().filter(|_| itab.interface == INTERFACE)?;
    let kind = match type_name.as_str() {
        INTERFACE if itab.concrete == VALUE => CONTEXT_HOLDS_VALUE,
        INTERFACE => CONTEXT_HOLDS_CONTEXT,
        "*net/http.Request" => CONTEXT_HOLDS_REQUEST,
        _ => return None,
    };
    let offset = u32::try_from(*offset).ok()?;
    Some(ContextSlot { itab_vaddr: itab.vaddr.filter(|vaddr| *vaddr != 0)?, offset, kind })
}

/// Places slots by the first multiplier that leads each to a slot of its own, else by the one that leaves out the fewest.
pub fn table(known: &[ContextSlot]) -> (u64, [ContextSlot; SLOTS]) {
    let mut best = (0, [EMPTY; SLOTS], usize::MAX);
    for n in 0..TRIES {
        // Odd numbers far from one another (Steele, Lea, Flood 2014: the golden ratio's).
        let multiplier = (2 * n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut slots = [EMPTY; SLOTS];
        let mut left_out = 0;
        for one in known {
            let hash = one.itab_vaddr.wrapping_mul(multiplier) >> (64 - CONTEXT_SLOT_BITS);
            match usize::try_from(hash).ok().and_then(|at| slots.get_mut(at)) {
                Some(slot) if slot.itab_vaddr == 0 => *slot = *one,
                _ => left_out += 1,
            }
        }
        if left_out < best.2 {
            best = (multiplier, slots, left_out);
        }
        if left_out == 0 {
            break;
        }
    }
    (best.0, best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(table: &(u64, [ContextSlot; SLOTS]), vaddr: u64) -> bool {
        let at = usize::try_from(vaddr.wrapping_mul(table.0) >> (64 - CONTEXT_SLOT_BITS)).expect("small");
        table.1[at].itab_vaddr == vaddr
    }

    fn some(count: u64) -> Vec<ContextSlot> {
        let one = |n| ContextSlot { itab_vaddr: 0x67_0000 + 48 * n, offset: 0, kind: CONTEXT_HOLDS_CONTEXT };
        (0..count).map(one).collect()
    }

    #[test]
    fn each_type_has_a_slot_of_its_own() {
        for count in [0, 1, 8, 16, 24] {
            let all = some(count);
            let table = table(&all);
            assert!(all.iter().all(|slot| found(&table, slot.itab_vaddr)), "{count}");
        }
    }

    #[test]
    fn where_they_are_too_many_the_first_have_one() {
        let all = some(300);
        let table = table(&all);
        let placed = all.iter().filter(|slot| found(&table, slot.itab_vaddr)).count();
        assert!(placed > SLOTS / 2 && found(&table, all[0].itab_vaddr), "{placed}");
    }
}
