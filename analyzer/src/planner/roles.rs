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
        let (mut found, mut taken) = (Vec::new(), Vec::new());
        let (others, own): (Vec<&Role>, Vec<&Role>) = self
            .entry
            .roles
            .iter()
            .filter(|role| role.variable.is_none())
            .partition(|role| role.instead_of.is_some());
        // Those in place of a copy come behind: they are there only where the copied function is the one that a role wants.
        let is_wanted = |role: &Role, taken: &[&str]| {
            role.instead_of.as_deref().is_none_or(|copied| {
                taken.contains(&copied) && role.sites.iter().any(|site| self.holds(&site.function, copied))
            })
        };
        for role in own.into_iter().chain(others) {
            if is_wanted(role, &taken) {
                found.extend(self.role(role, findings, &mut taken));
            }
        }
        found
    }

    /// The functions for a role; the one that its alternative is about goes to those that are taken.
    pub(super) fn role<'r>(
        &self,
        role: &'r Role,
        findings: &mut Findings,
        taken: &mut Vec<&'r str>,
    ) -> Vec<Function> {
        let is_elsewhere = |site: &Alternative| self.is_absent(&site.function) || !self.applies(site);
        if role.if_present && role.sites.iter().all(is_elsewhere) {
            return Vec::new();
        }
        let mut failures = Vec::new();
        for (nth, alternative) in role.sites.iter().enumerate() {
            if !self.applies(alternative) {
                continue;
            }
            match self.alternative(role, alternative, &role.sites[nth + 1..]) {
                Ok(found) => {
                    taken.push(&alternative.function);
                    note_cost(role, &found, findings);
                    self.note_unseen(role, alternative, findings);
                    self.note_untold(role, alternative, findings);
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
            findings.lack(role.required || self.stands_for_required(role), role.gives.as_deref(), failure);
        }
        Vec::new()
    }

    /// Whether a required role leaves calls to this one: without it that would miss them, whatever the entry says of this one.
    fn stands_for_required(&self, role: &Role) -> bool {
        let is_at_entry = |role: &Role, name: &str| {
            role.sites.iter().any(|site| site.at == At::Entry && site.function == name)
        };
        role.instead_of.as_deref().is_some_and(|copied| {
            role.sites.iter().any(|site| site.at == At::Entry)
                && self.entry.roles.iter().any(|other| other.required && is_at_entry(other, copied))
        })
    }

    /// What an alternative finds. Where a function has several copies, each may want another one of those behind it in the same function:
    /// what the compiler did to one of them it need not have done to the next.
    fn alternative(
        &self,
        role: &Role,
        wanted: &Alternative,
        further: &[Alternative],
    ) -> Result<Vec<Function>, Failure> {
        let name = wanted.function.as_str();
        let holders = self.holders_of(name);
        self.is_whole(wanted, holders)?;
        let mut copies: Vec<GoFunction<'_>> = self.real_copies(name)?.into_iter().copied().collect();
        copies.extend(self.copied_closures(wanted)?);
        if holders.len() > inline::MAX_HOLDERS {
            let why = format!("more than {} functions hold a copy of it", inline::MAX_HOLDERS);
            return Err(Failure(Word::TooManyCopies, why));
        }
        if copies.is_empty() && holders.is_empty() {
            return Err(Failure(Word::NoFunction, "no such function in pclntab".to_owned()));
        }
        let further = further.iter().filter(|site| site.function == wanted.function && self.applies(site));
        let each = |find: &dyn Fn(&Alternative) -> Result<Function, Failure>| {
            find(wanted).or_else(|first| further.clone().find_map(|site| find(site).ok()).ok_or(first))
        };
        let own = copies.iter().map(|function| each(&|site| self.copy(role, site, function)));
        // The copies of a function's body are other roles' (`is_whole`): at its entry, and where it is there in place of another one,
        // which those do without.
        let held = holders.iter().filter(|_| wanted.at != At::Entry && role.instead_of.is_none());
        let held = held.map(|holder| each(&|site| self.held(role, site, holder)));
        own.chain(held).collect()
    }

    pub(super) fn holders_of(&self, name: &str) -> &[GoFunction<'_>] {
        self.facts.inlined_into.get(name).map_or(&[][..], |inlining| &inlining.holders)
    }

    /// Whether the compiler copied the body of one function into the other.
    fn holds(&self, function: &str, body: &str) -> bool {
        self.holders_of(body).iter().any(|holder| self.facts.functions.name(holder) == function)
    }

    /// Whether another role sees the calls of the function's copy in this one.
    fn is_seen_instead(&self, body: &str, holder: &GoFunction<'_>) -> bool {
        let name = self.facts.functions.name(holder);
        let roles = self.entry.roles.iter().filter(|role| role.instead_of.as_deref() == Some(body));
        roles.flat_map(|role| &role.sites).any(|site| site.at == At::Entry && site.function == name)
    }

    /// Whether probes in the function meet all that the alternative is about.
    fn is_whole(&self, wanted: &Alternative, holders: &[GoFunction<'_>]) -> Result<(), Failure> {
        let name = wanted.function.as_str();
        let inlined = |what: &str, outers: &str| Err(Failure(Word::Inlined, format!("{what}{outers}")));
        if !wanted.inlined
            && let Some(outers) = self.facts.holders(name)
            && (wanted.at != At::Entry || !holders.iter().all(|holder| self.is_seen_instead(name, holder)))
            && !self.is_instead(name)
        {
            return inlined("it was inlined into ", &format!("{outers}, a probe would miss those calls"));
        }
        if !wanted.inlined
            && let Some(outer) = closures::enclosing(name)
            && let Some(outers) = self.facts.holders(outer)
        {
            let rest = format!("{outers}, where its closures have other names");
            return inlined(&format!("{outer} was inlined into "), &rest);
        }
        Ok(())
    }

    /// Whether the function has a role in place of a copy that it holds. Where it was copied itself, a copy that lacks the other calls
    /// that one, and one that has it is the other's.
    fn is_instead(&self, name: &str) -> bool {
        let roles = self.entry.roles.iter().filter_map(|role| Some((role, role.instead_of.as_deref()?)));
        roles.into_iter().any(|(role, copied)| {
            role.sites.iter().any(|site| site.function == name) && self.holds(name, copied)
        })
    }

    /// The closures that the copies of the function around a closure have in its place: of the same name (since Go 1.27), or of one that
    /// begins with the name of the function that it was copied into (since Go 1.22).
    fn copied_closures(&self, wanted: &Alternative) -> Result<Vec<GoFunction<'_>>, Failure> {
        let name = wanted.function.as_str();
        let Some(outer) = closures::enclosing(name).filter(|_| wanted.inlined) else { return Ok(Vec::new()) };
        let mut found: Vec<GoFunction<'_>> = Vec::new();
        let holders = self.holders_of(outer);
        // A function that was copied into another twice has two of each closure there, and of the second nobody knows the name.
        let is_once = self.facts.inlined_into.get(outer).is_none_or(|it| it.copies == holders.len() as u64);
        for holder in holders {
            let holder_name = self.facts.functions.name(holder);
            let own = closures::without_package(name).map(|rest| format!("{holder_name}.{rest}"));
            let used = self.used_by(holder).map(|used| used.taken).unwrap_or_default();
            let made = used.into_iter().filter_map(|vaddr| self.facts.functions.beginning_at(vaddr));
            let mut made = made.filter(|function| {
                let made = self.facts.functions.name(function);
                made == name || own.as_ref() == Some(&made)
            });
            let Some(closure) = made.next() else {
                let why = format!("{outer} was inlined into {holder_name}, which has no such closure");
                return Err(Failure(Word::Inlined, why));
            };
            if !is_once && self.facts.functions.name(&closure) != name {
                let why = format!(
                    "{outer} was inlined more than once into a function, where its closures have other names"
                );
                return Err(Failure(Word::Inlined, why));
            }
            let is_new = |known: &GoFunction<'_>| known.vaddr != closure.vaddr;
            let is_own = self.copies(name)?.iter().any(|known| known.vaddr == closure.vaddr);
            if !is_own && found.iter().all(is_new) {
                found.push(closure);
            }
        }
        Ok(found)
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
    pub(super) fn is_absent(&self, name: &str) -> bool {
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
