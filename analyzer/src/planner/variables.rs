//! Variables of packages whose addresses the catalog wants, as calls show them that are given their words.

use offsets::abi;
use offsets::catalog::{Has, Role, Unless};

use super::case::Case;
use super::verdict::{Findings, Matter};
use crate::plan::{Code, Function, Variable, Word};
use crate::sites::{self, variables};

impl Case<'_> {
    /// The variables of the entry.
    pub fn variables(&self, findings: &mut Findings) -> Vec<Variable> {
        let wanted = self.entry.roles.iter().filter_map(|role| Some((role, role.variable.as_deref()?)));
        wanted.filter_map(|(role, value)| self.variable(role, value, findings)).collect()
    }

    fn variable(&self, role: &Role, value: &str, findings: &mut Findings) -> Option<Variable> {
        let functions = self.role(role, findings, &mut Vec::new());
        let first = functions.first()?;
        let unless = self.unless(&role.unless);
        if let Some((Unless { because, but_with_ids, .. }, what)) = unless {
            let gives = role.gives.as_deref().unwrap_or(&role.name);
            let but = if *but_with_ids { ", but where the kernel lets probes write those" } else { "" };
            let why = format!("no {gives}, because the program {because} (it has {what}){but}");
            findings.note(Matter::new(Code::LeftAlone, what, why));
            if !but_with_ids {
                return None;
            }
        }
        let mut found = functions.iter().map(|function| self.one(function, value));
        let vaddr = found.next()?.filter(|vaddr| found.all(|other| other == Some(*vaddr)));
        let Some(vaddr) = vaddr else {
            let why = format!("{}: its argument {value} is not one and the same variable", first.name);
            let matter = Matter::new(Code::NoVariable, &first.name, why);
            findings.lack(role.required, role.gives.as_deref(), matter);
            return None;
        };
        let (name, function) = (role.name.clone(), first.name.clone());
        Some(Variable { name, function, vaddr, wants_ids: unless.is_some() })
    }

    /// Whether the whole entry is none of this program's concern.
    pub fn is_left_alone(&self, findings: &mut Findings) -> bool {
        let unless = self.unless(&self.entry.unless);
        if let Some((Unless { because, .. }, what)) = unless {
            let why = format!("it is left alone, because the program {because} (it has {what})");
            findings.note(Matter::new(Code::LeftAlone, what, why));
        }
        unless.is_some()
    }

    /// What makes a role none of this program's concern, and its name.
    fn unless<'r>(&'r self, unless: &'r [Unless]) -> Option<(&'r Unless, &'r str)> {
        let has = |unless: &'r Unless| Some((unless, self.what_it_has(&unless.has)?));
        let mut found = unless.iter().filter_map(has);
        // What rules it out altogether before what does so for want of ids.
        found.clone().find(|(unless, _)| !unless.but_with_ids).or_else(|| found.next())
    }

    /// The name of what the program has of that.
    fn what_it_has<'n>(&'n self, has: &'n Has) -> Option<&'n str> {
        match has {
            Has::Function(name) => (!self.is_absent(name)).then_some(name),
            Has::Implementer { interface, but } => {
                let found = self.facts.implementers.get(interface)?;
                let known = found.itabs.iter().map(|itab| itab.concrete.as_str());
                let own = known.into_iter().find(|concrete| !but.iter().any(|name| name == concrete));
                // Those that are not listed are none of the few that are known.
                let is_cut = found.count > found.itabs.len() as u64;
                own.or_else(|| is_cut.then_some(interface.as_str()))
            }
        }
    }

    /// The variable that all the calls in a function are given.
    fn one(&self, function: &Function, value: &str) -> Option<u64> {
        let value = function.values.iter().find(|found| found.name == value)?;
        let [Word::Register(name)] = value.words.as_slice() else { return None };
        let arch = self.go.image.arch;
        let place = abi::integer_registers(arch.name()).iter().position(|register| register == name)?;
        let register = sites::register(arch, place)?;
        let real = self.facts.functions.beginning_at(function.vaddr)?;
        let code = self.code(&real).ok()?;
        let offset = |vaddr: u64| usize::try_from(vaddr.checked_sub(code.vaddr)?).ok();
        let mut calls = function.sites.iter().map(|site| offset(site.vaddr)).collect::<Option<Vec<_>>>()?;
        calls.sort_unstable();
        let word = variables::loaded_for(&self.go.image, &code, &calls, register)?;
        self.go.image.is_writable(word).then_some(word)
    }
}
