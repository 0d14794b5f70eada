//! For each role of a catalog entry the first site alternative that exists and misses no call.

use std::cell::Cell;

use offsets::Version;
use offsets::catalog::{At, Role, Site as Alternative};

use super::Case;
use super::facts::{Copies, MAX_COPIES};
use super::failure::Failure;
use super::values::results_kept;
use super::verdict::{Findings, Matter};
use crate::go::buildinfo::Minor;
use crate::go::functions::{self, Function as GoFunction};
use crate::plan::{Code as Word, Cost, Function, Site, Value};
use crate::sites::{self, Code};

/// Most bytes of code that are decoded for one library; its functions with roles have some ten KB. Each library has its own:
/// one with a huge function would else take the others down.
const MAX_DECODED_BYTES: u64 = 4 << 20;
/// What a run of the stack pointer's table counts for, in bytes of code.
const RUN_BYTES: u64 = 4;

impl Case<'_> {
    /// The functions to probe.
    pub fn roles(&self, findings: &mut Findings) -> Vec<Function> {
        self.entry.roles.iter().flat_map(|role| self.role(role, findings)).collect()
    }

    fn role(&self, role: &Role, findings: &mut Findings) -> Vec<Function> {
        if role.if_present && role.sites.iter().all(|site| self.is_absent(&site.function)) {
            return Vec::new();
        }
        let mut failures = Vec::new();
        for alternative in &role.sites {
            if !self.applies(alternative) {
                continue;
            }
            match self.alternative(role, alternative) {
                Ok(found) => {
                    note_cost(role, &found, findings);
                    let note = |note: &String| Matter::new(Word::SiteNote, &alternative.function, note);
                    alternative.note.iter().for_each(|text| findings.note(note(text)));
                    return found;
                }
                Err(failure) => failures.push(failure.of(role, &alternative.function)),
            }
        }
        if failures.is_empty() {
            let why = format!("no site for role {}: the catalog names none for this version", role.name);
            failures.push(Matter::new(Word::NoAlternative, &role.name, why));
        }
        for failure in failures {
            findings.lack(role.required, role.gives.as_deref(), failure);
        }
        Vec::new()
    }

    fn alternative(&self, role: &Role, wanted: &Alternative) -> Result<Vec<Function>, Failure> {
        let name = wanted.function.as_str();
        if let Some(outers) = self.facts.inlined_into.get(name) {
            let why = format!("it was inlined into {outers}, a probe would miss those calls");
            return Err(Failure(Word::Inlined, why));
        }
        let copies = self.copies(name)?;
        let minor = self.minor();
        let real: Vec<&GoFunction<'_>> =
            copies.iter().filter(|f| !functions::is_wrapper(f.func_id(), minor)).collect();
        if real.is_empty() {
            return Err(Failure(Word::NoFunction, "no such function in pclntab".to_owned()));
        }
        real.into_iter().map(|f| self.copy(role, wanted, f)).collect()
    }

    /// Whether the program has neither the function nor an inlined copy of it.
    fn is_absent(&self, name: &str) -> bool {
        !self.facts.inlined_into.contains_key(name) && !self.facts.copies.contains_key(name)
    }

    /// All functions of that name.
    fn copies(&self, name: &str) -> Result<&[GoFunction<'_>], Failure> {
        self.facts.copies.get(name).map_or(Ok(&[]), |copies| few(name, copies))
    }

    /// Whether the alternative means what its role says. Of a module's fork or an unknown version the argument words decide, which
    /// are compared afterwards; of the standard library, whose release the tables tell nearly, an alternative has to hold for all
    /// releases with these tables.
    fn applies(&self, alternative: &Alternative) -> bool {
        if let Some(version) = &self.owner.version {
            return alternative.versions.contains(version);
        }
        let (first, last) = self.go.module.minors();
        let is_std = self.entry.module == offsets::STD;
        let unlimited = alternative.versions.since.is_none() && alternative.versions.until.is_none();
        let holds = |minor: Minor| {
            let version = Version::parse(offsets::STD, &minor.to_string());
            version.is_some_and(|v| alternative.versions.contains(&v))
        };
        let told_by_args = !is_std && alternative.args.is_some();
        unlimited || told_by_args || (is_std && holds(first) && (last.0 == u16::MAX || holds(last)))
    }

    fn minor(&self) -> u16 {
        self.go.minor().0
    }

    fn copy(
        &self,
        role: &Role,
        wanted: &Alternative,
        function: &GoFunction<'_>,
    ) -> Result<Function, Failure> {
        if let Some(expected) = wanted.args.as_deref() {
            let found = self.facts.functions.arg_shape(function);
            if found.as_deref() != Some(expected) {
                let found = found.unwrap_or_else(|| "not recorded".to_owned());
                let why = format!("its argument words are {found}, the catalog has {expected}");
                return Err(Failure(Word::OtherArguments, why));
            }
        }
        let values = self.values(wanted, function)?;
        let sites = self.sites(wanted, function, &values)?;
        Ok(Function {
            name: wanted.function.clone(),
            role: role.name.clone(),
            site: wanted.name.clone(),
            vaddr: function.vaddr,
            size: function.size,
            sites,
            values,
        })
    }

    fn sites(
        &self,
        wanted: &Alternative,
        function: &GoFunction<'_>,
        values: &[Value],
    ) -> Result<Vec<Site>, Failure> {
        let image = &self.go.image;
        spend(&self.decoded_bytes, function.size)?;
        let code = Code::read(image, &self.facts.functions, *function).ok_or_else(|| {
            let (size, vaddr) = (function.size, function.vaddr);
            Failure(Word::NoCode, format!("its {size} bytes at {vaddr:#x} are not in the file, or too many"))
        })?;
        spend(&self.decoded_bytes, RUN_BYTES.saturating_mul(code.pcsp.len() as u64))?;
        match wanted.at {
            At::Entry => sites::entry(image, &code).map(|site| vec![site]).ok_or_else(|| {
                let why = "its prologue is none that is known, so no entry site is sound";
                Failure(Word::NoEntrySite, why.to_owned())
            }),
            At::Exit => sites::exits(image, &code)
                .ok_or_else(|| Failure(Word::NoExitSite, "its returns cannot all be found".to_owned())),
            At::AfterCall => self.after_call(wanted, &code, results_kept(values, image.arch)?),
        }
    }

    fn after_call(&self, wanted: &Alternative, code: &Code<'_>, results: u8) -> Result<Vec<Site>, Failure> {
        let callee = wanted.callee.as_deref().unwrap_or_default();
        let targets: Vec<u64> = self.copies(callee)?.iter().map(|f| f.vaddr).collect();
        if self.facts.inlined_into.contains_key(callee) {
            let why = format!("{callee} was inlined, a probe behind its calls would miss some");
            return Err(Failure(Word::Inlined, why));
        }
        sites::after_calls(&self.go.image, code, &targets, results).ok_or_else(|| {
            let why =
                format!("no emulated instruction follows each call of {callee} with its results in place");
            Failure(Word::NoSiteAfterCall, why)
        })
    }
}

/// The copies of a function, unless they are too many.
fn few<'f, 'a>(name: &str, copies: &'f Copies<'a>) -> Result<&'f [GoFunction<'a>], Failure> {
    if copies.kept.len() <= MAX_COPIES {
        return Ok(&copies.kept);
    }
    let why = format!("there are {} functions of the name {name}, the limit is {MAX_COPIES}", copies.count);
    Err(Failure(Word::TooManyCopies, why))
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

/// A stepped site on a hot path costs several microseconds a call, which the reader should know.
fn note_cost(role: &Role, found: &[Function], findings: &mut Findings) {
    let stepped = found.iter().flat_map(|f| &f.sites).any(|s| s.cost == Cost::Stepped);
    if let Some(function) = found.first().filter(|_| role.hot && stepped) {
        let why = format!(
            "the site of role {} in {} is single-stepped: 4 µs a call, up to 20 µs in a virtual machine",
            role.name, function.name
        );
        findings.note(Matter::new(Word::SingleStepped, &function.name, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
