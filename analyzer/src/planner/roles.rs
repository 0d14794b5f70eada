//! For each role of a catalog entry the first site alternative that exists and misses no call.

use offsets::Version;
use offsets::abi::shape;
use offsets::catalog::{At, Role, Site as Alternative};

use super::case::Case;
use super::closures;
use super::facts::{Copies, MAX_COPIES};
use super::failure::Failure;
use super::verdict::{Findings, Matter};
use crate::go::arginfo;
use crate::go::functions::Function as GoFunction;
use crate::go::inline;
use crate::go::release::Minor;
use crate::plan::{Code as Word, Cost, Function};

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
                    self.note_unseen(role, alternative, findings);
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
        self.is_whole(wanted)?;
        let copies = self.real_copies(name)?;
        let holders = self.facts.inlined_into.get(name).map_or(&[][..], |inlining| &inlining.holders);
        if holders.len() > inline::MAX_HOLDERS {
            let why = format!("more than {} functions hold a copy of it", inline::MAX_HOLDERS);
            return Err(Failure(Word::TooManyCopies, why));
        }
        if copies.is_empty() && holders.is_empty() {
            return Err(Failure(Word::NoFunction, "no such function in pclntab".to_owned()));
        }
        let own = copies.into_iter().map(|function| self.copy(role, wanted, function));
        let held = holders.iter().map(|holder| self.held(role, wanted, holder));
        own.chain(held).collect()
    }

    /// Whether probes in the function meet all that the alternative is about.
    fn is_whole(&self, wanted: &Alternative) -> Result<(), Failure> {
        let name = wanted.function.as_str();
        if let Some(outers) = self.facts.holders(name).filter(|_| !wanted.inlined) {
            let why = format!("it was inlined into {outers}, a probe would miss those calls");
            return Err(Failure(Word::Inlined, why));
        }
        let outer = closures::enclosing(name);
        if let Some((outer, outers)) = outer.and_then(|outer| Some((outer, self.facts.holders(outer)?))) {
            let why = format!("{outer} was inlined into {outers}, where its closures have other names");
            return Err(Failure(Word::Inlined, why));
        }
        Ok(())
    }

    /// The functions of that name that do what it says. A wrapper that only calls another function of the same name (assembly has
    /// one for compiled callers) does not; one that is alone is the function, as what `defer` of a call is wrapped in.
    fn real_copies(&self, name: &str) -> Result<Vec<&GoFunction<'_>>, Failure> {
        let copies = self.copies(name)?;
        let real = |f: &&GoFunction<'_>| !self.go.is_wrapper(f);
        let found: Vec<_> = copies.iter().filter(real).collect();
        Ok(if found.is_empty() { copies.iter().collect() } else { found })
    }

    /// Whether the program has neither the function nor an inlined copy of it.
    fn is_absent(&self, name: &str) -> bool {
        !self.facts.inlined_into.contains_key(name) && !self.facts.copies.contains_key(name)
    }

    /// All functions of that name.
    pub(super) fn copies(&self, name: &str) -> Result<&[GoFunction<'_>], Failure> {
        self.facts.copies.get(name).map_or(Ok(&[]), |copies| few(name, copies))
    }

    /// Whether the alternative means what its role says. Of a module's fork or an unknown version the argument words decide, which
    /// are compared afterwards; of the standard library, whose release the tables tell nearly, an alternative has to hold for all
    /// releases with these tables.
    fn applies(&self, alternative: &Alternative) -> bool {
        if let Some(version) = &self.owner.version {
            return alternative.versions.contains(version);
        }
        let is_std = self.entry.module == offsets::STD;
        let unlimited = alternative.versions.since.is_none() && alternative.versions.until.is_none();
        let holds = |minor: Minor| {
            let version = Version::parse(offsets::STD, &minor.to_string());
            version.is_some_and(|v| alternative.versions.contains(&v))
        };
        let told_by_args = !is_std && alternative.args.is_some();
        let all_hold = || self.go.module.releases().all(|release| holds(release.minor));
        unlimited || told_by_args || (is_std && all_hold())
    }

    fn copy(
        &self,
        role: &Role,
        wanted: &Alternative,
        function: &GoFunction<'_>,
    ) -> Result<Function, Failure> {
        // At a call the arguments that are in place are the callee's.
        if wanted.at != At::Call {
            self.takes(wanted, function)?;
        }
        self.found(role, wanted, function, None)
    }

    /// Whether a function takes the argument words that the catalog says.
    fn takes(&self, wanted: &Alternative, function: &GoFunction<'_>) -> Result<(), Failure> {
        let Some(args) = wanted.args.as_deref() else { return Ok(()) };
        let subject = wanted.callee.as_deref().unwrap_or(&wanted.function);
        let hides_first = arginfo::omits_first(subject);
        let expected = if hides_first { shape::behind_the_first(args) } else { args };
        let found = self.facts.functions.arg_shape(function);
        if found.as_deref() == Some(expected) || (expected.is_empty() && found.is_none()) {
            return Ok(());
        }
        let found = found.unwrap_or_else(|| "not recorded".to_owned());
        let behind =
            if hides_first { " behind the first parameter, which its record leaves out," } else { "" };
        let why = format!("its argument words are {found},{behind} the catalog has {expected}");
        Err(Failure(Word::OtherArguments, why))
    }

    /// What is found in a function that holds a copy of the wanted one.
    fn held(&self, role: &Role, wanted: &Alternative, holder: &GoFunction<'_>) -> Result<Function, Failure> {
        let name = self.facts.functions.name(holder);
        let found = self.found(role, wanted, holder, Some(&wanted.function));
        let found =
            found.map_err(|Failure(code, why)| Failure(code, format!("{why} (inlined into {name})")))?;
        Ok(Function { name, inlined: Some(wanted.function.clone()), ..found })
    }

    fn found(
        &self,
        role: &Role,
        wanted: &Alternative,
        function: &GoFunction<'_>,
        body: Option<&str>,
    ) -> Result<Function, Failure> {
        let mut subject = *function;
        if wanted.at == At::Call {
            let callee = wanted.callee.as_deref().unwrap_or_default();
            for copy in self.real_copies(callee)? {
                self.takes(wanted, copy)?;
                subject = *copy;
            }
        }
        let values = self.values(wanted, &subject)?;
        Ok(Function {
            name: wanted.function.clone(),
            role: role.name.clone(),
            site: wanted.name.clone(),
            vaddr: function.vaddr,
            size: function.size,
            sites: self.sites(wanted, function, body, &values)?.into_iter().map(Into::into).collect(),
            values,
            inlined: None,
            callers: self.callers(wanted)?,
            result_slots: self.result_slots(wanted)?,
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
