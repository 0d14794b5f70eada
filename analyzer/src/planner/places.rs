//! What a site alternative finds in one function: the sites, and what belongs to them.

use std::cell::Cell;
use std::ops::Range;

use offsets::catalog::{At, Indirect, Site as Alternative, Status};

use super::case::Case;
use super::failure::Failure;
use super::values::{first_register, results_kept};
use crate::go::functions::{Function as GoFunction, Run};
use crate::go::inline;
use crate::plan::{Caller, Code as Word, ResultSlots, Value};
use crate::sites::calls::{self, Callees, Question, Trouble};
use crate::sites::{self, Code, Site, slots};

/// Most bytes of code that are decoded for one library; its functions with roles have some ten KB. Each library has its own:
/// one with a huge function would else take the others down.
const MAX_DECODED_BYTES: u64 = 4 << 20;
/// What a run of the stack pointer's table or an entry of an inline tree counts for, in bytes of code.
const RUN_BYTES: u64 = 4;

/// Whose argument is where the cases of a `select` are.
const SELECT: &str = "runtime.selectgo";
/// Where the first method's address is in an itab (`abi.ITab.Fun`).
const METHODS_AT: u64 = 24;

impl Case<'_> {
    /// The sites in a function, or where it holds a copy of another (`body`), those in the copy.
    pub(super) fn sites(
        &self,
        wanted: &Alternative,
        function: &GoFunction<'_>,
        body: Option<&str>,
        values: &[Value],
    ) -> Result<Vec<Site>, Failure> {
        let image = &self.go.image;
        let code = self.code(function)?;
        match wanted.at {
            At::Entry => sites::entry(image, &code).map(|site| vec![site]).ok_or_else(|| {
                let why = "its prologue is none that is known, so no entry site is sound";
                Failure(Word::NoEntrySite, why.to_owned())
            }),
            At::Exit => sites::exits(image, &code)
                .ok_or_else(|| Failure(Word::NoExitSite, "its returns cannot all be found".to_owned())),
            At::AfterCall => {
                let results = results_kept(values, image.arch)?;
                let nil = wanted.unless_nil.as_deref().map(|name| first_register(values, name, image.arch));
                self.calls(wanted, function, &code, body, results, nil.transpose()?)
            }
            At::Call => self.calls(wanted, function, &code, body, 0, None),
        }
    }

    /// A function's code, counted against what is decoded for a library.
    pub(super) fn code<'f>(&'f self, function: &GoFunction<'f>) -> Result<Code<'f>, Failure> {
        spend(&self.decoded_bytes, function.size)?;
        let code = Code::read(&self.go.image, &self.facts.functions, *function).ok_or_else(|| {
            let (size, vaddr) = (function.size, function.vaddr);
            Failure(Word::NoCode, format!("its {size} bytes at {vaddr:#x} are not in the file, or too many"))
        })?;
        spend(&self.decoded_bytes, RUN_BYTES.saturating_mul(code.pcsp.len() as u64))?;
        Ok(code)
    }

    /// The sites at calls or behind them.
    fn calls(
        &self,
        wanted: &Alternative,
        function: &GoFunction<'_>,
        code: &Code<'_>,
        body: Option<&str>,
        results: u8,
        unless_nil: Option<u8>,
    ) -> Result<Vec<Site>, Failure> {
        let runs = self.inline_indexes(function)?;
        let within =
            body.map(|name| self.bodies(function, &runs, name)).transpose()?.map(Option::unwrap_or_default);
        let callee = wanted.callee.as_deref().unwrap_or_default();
        // Those before the last do nothing else, so that a copy of theirs calls the next.
        let last = wanted.by_name.last().map(String::as_str).unwrap_or_default();
        for name in [callee, last].into_iter().filter(|name| !name.is_empty()) {
            if self.bodies(function, &runs, name)?.is_some() {
                let why =
                    format!("{name} was inlined into it, a probe at or behind its calls would miss some");
                return Err(Failure(Word::Inlined, why));
            }
        }
        let vaddrs =
            |name| -> Result<Vec<u64>, Failure> { Ok(self.copies(name)?.iter().map(|f| f.vaddr).collect()) };
        let targets = vaddrs(callee)?;
        let by_name = wanted.by_name.iter().map(|name| vaddrs(name)).collect::<Result<Vec<_>, _>>()?.concat();
        let functions = &self.facts.functions;
        let asked = Question {
            callees: match wanted.indirect {
                None => Callees::Functions(&targets),
                Some(Indirect::Method(number)) => Callees::Method(number),
                Some(Indirect::Closure) => Callees::Closure,
            },
            by_name: &by_name,
            counts: &|offset| within.as_deref().is_none_or(|ranges| are_around(ranges, offset as u64)),
            is_compiled: &|vaddr| functions.beginning_at(vaddr).is_some_and(|f| !f.is_asm()),
            is_guard: &|vaddr| self.is_callable(vaddr) && !self.is_of(vaddr, wanted.indirect, &by_name),
            results,
            also_reached: wanted.also_reached,
            stepped: wanted.stepped,
            repeats: wanted.repeats,
            cases: callee == SELECT && wanted.at == At::AfterCall,
        };
        let what = if callee.is_empty() { "its indirect calls" } else { callee };
        if let Some(register) = unless_nil {
            return calls::not_nil_after_calls(&self.go.image, code, &asked, register).map_err(|trouble| {
                Failure(word(trouble, Word::NoSiteAfterCall), format!("{what}: {trouble}"))
            });
        }
        match wanted.at {
            At::Call => calls::at_calls(&self.go.image, code, &asked)
                .map_err(|trouble| Failure(word(trouble, Word::NoCallSite), format!("{what}: {trouble}"))),
            _ => calls::after_calls(&self.go.image, code, &asked).map_err(|trouble| {
                // Of strobe's own entries it was decided; who writes one should know that there is a way.
                let own = self.entry.status == Status::Custom && !wanted.stepped;
                let would_do = || {
                    spend(&self.decoded_bytes, function.size).ok()?;
                    calls::after_calls(&self.go.image, code, &Question { stepped: true, ..asked }).ok()
                };
                let hint = match own.then(would_do).flatten() {
                    Some(_) => "; with `stepped = true` there is a site that the kernel steps",
                    None => "",
                };
                Failure(word(trouble, Word::NoSiteAfterCall), format!("{what}: {trouble}{hint}"))
            }),
        }
    }

    /// Which entry of its inline tree each of a function's instructions belongs to, counted as code is.
    fn inline_indexes(&self, function: &GoFunction<'_>) -> Result<Vec<Run>, Failure> {
        let runs = self.facts.functions.inline_indexes(function);
        spend(&self.decoded_bytes, RUN_BYTES.saturating_mul(runs.len() as u64))?;
        Ok(runs)
    }

    /// Where a function has the body of another one, ascending; nothing where it has none. What is read for that is counted as code is.
    fn bodies(
        &self,
        function: &GoFunction<'_>,
        runs: &[Run],
        name: &str,
    ) -> Result<Option<Vec<Range<u64>>>, Failure> {
        let (image, functions) = (&self.go.image, &self.facts.functions);
        if !self.facts.inlined_into.contains_key(name) {
            return Ok(None);
        }
        let read = (runs.len() as u64).saturating_add(inline::len(runs));
        spend(&self.decoded_bytes, RUN_BYTES.saturating_mul(read))?;
        Ok(inline::bodies(image, functions, function, runs, name))
    }

    /// Whether an address is that of one of these functions, or of a method table that has one at the method's place.
    fn is_of(&self, vaddr: u64, indirect: Option<Indirect>, functions: &[u64]) -> bool {
        let Some(Indirect::Method(number)) = indirect else { return functions.contains(&vaddr) };
        let at = vaddr.checked_add(METHODS_AT + 8 * u64::from(number));
        at.and_then(|at| self.go.image.pointer(at)).is_some_and(|method| functions.contains(&method))
    }

    /// Whether an address is a function's or a method table's, that is, what a devirtualised call compares with.
    fn is_callable(&self, vaddr: u64) -> bool {
        let functions = &self.facts.functions;
        let method = vaddr.checked_add(METHODS_AT).and_then(|at| self.go.image.pointer(at));
        functions.beginning_at(vaddr).is_some() || method.is_some_and(|m| functions.beginning_at(m).is_some())
    }

    /// What the return address is compared with at the sites: the functions that may call, and where one was copied into another the
    /// places that its calls return to.
    pub(super) fn callers(&self, wanted: &Alternative) -> Result<Vec<Caller>, Failure> {
        let mut out = Vec::new();
        for name in &wanted.callers {
            out.extend(self.caller(name)?);
            for holder in self.holders_of(name) {
                out.extend(self.returns_within(holder, name, &wanted.function)?);
            }
        }
        let function = wanted.results_of.as_deref().filter(|name| !wanted.callers.iter().any(|c| c == name));
        if let Some(name) = wanted.results_of.as_deref()
            && let Some(outers) = self.facts.holders(name)
        {
            // Its results would be kept in another function's frame.
            let why = format!("its caller {name} was inlined into {outers}");
            return Err(Failure(Word::NoCaller, why));
        }
        out.extend(function.map(|name| self.caller(name)).transpose()?.into_iter().flatten());
        Ok(out)
    }

    /// The functions of that name that could call.
    fn caller(&self, name: &str) -> Result<Vec<Caller>, Failure> {
        let copies = self.copies(name)?;
        if copies.is_empty() && self.holders_of(name).is_empty() {
            return Err(Failure(Word::NoCaller, format!("there is no function {name} that could call it")));
        }
        let caller = |f: &GoFunction<'_>| Caller { name: name.to_owned(), vaddr: f.vaddr, size: f.size };
        Ok(copies.iter().map(caller).collect())
    }

    /// Where the calls of a function return to that stand in another's copy in this one.
    pub(super) fn returns_within(
        &self,
        holder: &GoFunction<'_>,
        caller: &str,
        callee: &str,
    ) -> Result<Vec<Caller>, Failure> {
        let code = self.code(holder)?;
        let runs = self.inline_indexes(holder)?;
        let bodies = self.bodies(holder, &runs, caller)?.unwrap_or_default();
        let targets = self.copies(callee)?;
        let is_target = |to: u64| targets.iter().any(|f| f.vaddr == code.vaddr.wrapping_add(to));
        let within = |offset: usize| are_around(&bodies, offset as u64);
        let mut out = Vec::new();
        for (call, next, to) in sites::calls_of(self.go.image.arch, &code) {
            let to = to.ok_or_else(|| {
                let name = self.facts.functions.name(holder);
                Failure(Word::NoCaller, format!("{caller} was inlined into {name}, which cannot be decoded"))
            })?;
            if is_target(to) && within(call) {
                out.push(Caller {
                    name: caller.to_owned(),
                    vaddr: code.vaddr.wrapping_add(next as u64),
                    size: 1,
                });
            }
        }
        Ok(out)
    }

    /// Whether a function can have deferred another: it calls it, as it does where it need not keep a list of what it defers, or takes
    /// its address. What it does neither with has the results of somebody else.
    fn must_defer(&self, function: &GoFunction<'_>, name: &str, deferred: &str) -> Result<(), Failure> {
        let Some(used) = self.used_by(function) else { return Ok(()) };
        let is_used = |f: &GoFunction<'_>| used.called.contains(&f.vaddr) || used.taken.contains(&f.vaddr);
        if self.copies(deferred)?.iter().any(is_used) {
            return Ok(());
        }
        Err(Failure(
            Word::NoResultSlots,
            format!("{name} does not defer it, so its results are not those of {name}"),
        ))
    }

    /// Where the function that deferred this one keeps its results.
    pub(super) fn result_slots(&self, wanted: &Alternative) -> Result<Option<ResultSlots>, Failure> {
        let Some(name) = wanted.results_of.as_deref() else { return Ok(None) };
        let [function] = self.copies(name)? else {
            let why = format!("there is not one function {name} whose results it could be");
            return Err(Failure(Word::NoResultSlots, why));
        };
        self.must_defer(function, name, &wanted.function)?;
        let code = self.code(function)?;
        let slots = slots::results(&self.go.image, &code, function.deferreturn());
        let refused = |why: String| Failure(Word::NoResultSlots, format!("results of {name}: {why}"));
        let slots = slots.map_err(|trouble| refused(trouble.to_string()))?;
        // What comes back in a register for floating point numbers or on the stack has no slot that could be read there.
        let words = wanted.returns.as_deref().map_or(0, |text| text.split_whitespace().count());
        if slots.len() != words {
            return Err(refused(format!(
                "{} words come from the stack, the catalog has {words}",
                slots.len()
            )));
        }
        Ok(Some(ResultSlots { function: name.to_owned(), slots }))
    }
}

/// Whether one of these ranges, which ascend, holds an offset. There may be as many of them as there are instructions, for each of which
/// it is asked.
fn are_around(ranges: &[Range<u64>], offset: u64) -> bool {
    ranges.get(ranges.partition_point(|range| range.end <= offset)).is_some_and(|range| range.start <= offset)
}

/// The word for a trouble, when it has one of its own.
fn word(trouble: Trouble, otherwise: Word) -> Word {
    if trouble == Trouble::Devirtualised { Word::Devirtualised } else { otherwise }
}

/// Counts code that is decoded: many roles can name one huge function.
fn spend(decoded_bytes: &Cell<u64>, bytes: u64) -> Result<(), Failure> {
    let sum = decoded_bytes.get().saturating_add(bytes);
    decoded_bytes.set(sum);
    if sum <= MAX_DECODED_BYTES {
        return Ok(());
    }
    let why = format!("{sum} bytes of code to decode, the limit for a library is {MAX_DECODED_BYTES}");
    Err(Failure(Word::TooMuchCode, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_found_among_ranges() {
        let ranges = [0..2, 2..2, 2..3, 5..9, 9..12, 40..41];
        for offset in 0..50 {
            let want = ranges.iter().any(|range| range.contains(&offset));
            assert_eq!(are_around(&ranges, offset), want, "{offset}");
        }
        assert!(!are_around(&[], 0));
    }

    #[test]
    fn code_is_bounded() {
        let decoded = Cell::new(0);
        for _ in 0..8 {
            spend(&decoded, 1 << 19).expect("4 MiB in all");
        }
        let Failure(code, why) = spend(&decoded, 1).expect_err("one byte more");
        assert!(code == Word::TooMuchCode && why.starts_with("4194305 bytes of code"), "{why}");
        assert!(spend(&decoded, u64::MAX).is_err());
    }
}
