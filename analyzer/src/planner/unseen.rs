//! Calls that a site does not see: one behind a callee is behind the direct calls in its function, and the same callee may be
//! deferred there, called in a closure, or through a variable.

use offsets::catalog::{At, Role, Site as Alternative, Status};

use super::case::Case;
use super::verdict::{Findings, Matter};
use crate::go::functions::Function as GoFunction;
use crate::plan::Code as Word;
use crate::sites::used::{self, Used};

/// Most closures of a function that are looked into.
const MAX_CLOSURES: usize = 64;

impl Case<'_> {
    /// Says of an entry of the user's own where its callee is called otherwise too. Who wrote strobe's entries has looked at the source.
    pub(super) fn note_unseen(&self, role: &Role, wanted: &Alternative, findings: &mut Findings) {
        let Some(callee) = wanted.callee.as_deref() else { return };
        if self.entry.status != Status::Custom || !matches!(wanted.at, At::AfterCall | At::Call) {
            return;
        }
        let targets: Vec<u64> = self.copies(callee).unwrap_or_default().iter().map(|f| f.vaddr).collect();
        let functions = self.copies(&wanted.function).unwrap_or_default();
        if functions.iter().any(|function| self.calls_otherwise(function, &targets)) {
            let name = &wanted.function;
            let why = format!(
                "{name} also calls {callee} by defer, in a closure or through a variable: the site of role {} sees its direct calls \
                 alone",
                role.name
            );
            findings.note(Matter::new(Word::OtherCalls, name, why));
        }
    }

    /// Says where a caller's calls are not told from others: they come through a function that stands alone in this build.
    pub(super) fn note_untold(&self, role: &Role, wanted: &Alternative, findings: &mut Findings) {
        for through in &wanted.through {
            let targets: Vec<u64> =
                self.copies(through).unwrap_or_default().iter().map(|f| f.vaddr).collect();
            let is_through = |used: Used| targets.iter().any(|target| used.called.contains(target));
            for name in &wanted.callers {
                let mut callers = self.copies(name).unwrap_or_default().iter();
                let is_own = callers.any(|caller| self.used_by(caller).is_some_and(is_through));
                // Where the caller was copied itself, its copies call it.
                let of_copy =
                    |holder| self.returns_within(holder, name, through).is_ok_and(|it| !it.is_empty());
                if is_own || self.holders_of(name).iter().any(of_copy) {
                    let why = format!(
                        "{name} calls {through}, which is mostly copied into it: at role {} its calls are not told from others",
                        role.name
                    );
                    findings.note(Matter::new(Word::NoCaller, through, why));
                }
            }
        }
    }

    fn calls_otherwise(&self, function: &GoFunction<'_>, targets: &[u64]) -> bool {
        let Some(used) = self.used_by(function) else { return false };
        let hits = |set: &std::collections::BTreeSet<u64>| targets.iter().any(|target| set.contains(target));
        if hits(&used.taken) {
            return true;
        }
        let name = self.facts.functions.name(function);
        let own = |vaddr: &u64| {
            let closure = self.facts.functions.beginning_at(*vaddr)?;
            let rest = self.facts.functions.name(&closure);
            rest.strip_prefix(name.as_str())?.starts_with('.').then_some(closure)
        };
        let closures = used.taken.union(&used.called).filter_map(own).take(MAX_CLOSURES);
        closures
            .filter_map(|closure| self.used_by(&closure))
            .any(|used| hits(&used.called) || hits(&used.taken))
    }

    /// What a function calls and takes; nothing where that cannot be told.
    pub(super) fn used_by(&self, function: &GoFunction<'_>) -> Option<Used> {
        used::by(&self.go.image, &self.code(function).ok()?)
    }
}
