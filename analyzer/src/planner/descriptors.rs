//! Sizes of types and addresses of their descriptors, by the same rules as offsets of fields ([`fields`](super::fields)): all who
//! know a figure have to agree.

use offsets::catalog::WantedType;

use super::Case;
use super::owners::Owner;
use super::remedies;
use super::verdict::{Findings, Matter};
use crate::plan::{Code, Descriptor, Size, SizeClaim, Witness};

impl Case<'_> {
    /// The sizes that the entry asks for.
    pub fn sizes(&self, findings: &mut Findings) -> Vec<Size> {
        let expected = self.entry.sizes.iter().filter_map(|wanted| Some((wanted, self.expected(wanted)?)));
        expected.map(|(wanted, owner)| self.size(wanted, &owner, findings)).collect()
    }

    /// The descriptors that the entry asks for.
    pub fn descriptors(&self, findings: &mut Findings) -> Vec<Descriptor> {
        let expected = self.entry.types.iter().filter(|wanted| self.expected(wanted).is_some());
        expected.map(|wanted| self.descriptor(wanted, findings)).collect()
    }

    /// The type's owner, if its version is one that has the type. Without a version: what every version has, and of the rest
    /// what the binary knows.
    fn expected(&self, wanted: &WantedType) -> Option<Owner> {
        let name = wanted.type_name.as_str();
        let owner = Owner::of_struct(self.go, self.entry, name.trim_start_matches('*'));
        let unlimited = wanted.versions.since.is_none() && wanted.versions.until.is_none();
        let is_known = self.facts.descriptors.contains_key(name);
        let is_expected = match &owner.version {
            Some(version) => wanted.versions.contains(version) && (is_known || !wanted.if_present),
            None => is_known || (unlimited && !wanted.if_present),
        };
        is_expected.then_some(owner)
    }

    fn size(&self, wanted: &WantedType, owner: &Owner, findings: &mut Findings) -> Size {
        let name = wanted.type_name.as_str();
        let recorded = || {
            let version = owner.version_text.as_deref()?;
            let database = self.database.filter(|_| self.silenced(&owner.module).is_none())?;
            database.size(&owner.module, version, self.go.image.arch.name(), name).known().copied()
        };
        let said: Vec<(Witness, u64)> = [
            (Witness::Types, self.facts.descriptors.get(name).map(|found| found.size)),
            (Witness::Dwarf, self.facts.dwarf_sizes.get(name).copied()),
            (Witness::Database, recorded()),
        ]
        .into_iter()
        .filter_map(|(witness, size)| Some((witness, size?)))
        .collect();
        let mut out =
            Size { type_name: name.to_owned(), size: None, witnesses: Vec::new(), disputed: Vec::new() };
        if self.is_ambiguous(name, findings) {
            return out;
        }
        match said.first() {
            None => {
                let why = format!("nobody knows the size of {name}");
                findings.lack(
                    wanted.required,
                    wanted.gives.as_deref(),
                    Matter::new(Code::NoWitness, name, why),
                );
            }
            Some((_, first)) if said.iter().all(|(_, size)| size == first) => {
                out.size = Some(*first);
                out.witnesses = said.iter().map(|(witness, _)| *witness).collect();
            }
            Some(_) => {
                let words: Vec<String> = said
                    .iter()
                    .map(|(witness, size)| format!("{size} {}", super::fields::word(*witness)))
                    .collect();
                let why = format!("witnesses disagree about the size of {name}: {}", words.join(", "));
                let matter = Matter::new(Code::WitnessesDisagree, name, why);
                let of_binary = said.iter().filter(|(witness, _)| *witness != Witness::Database);
                findings.refuse(matter.with(remedies::of_dispute(of_binary.map(|(_, size)| size))));
                out.disputed = said.iter().map(|&(witness, size)| SizeClaim { witness, size }).collect();
            }
        }
        out
    }

    fn descriptor(&self, wanted: &WantedType, findings: &mut Findings) -> Descriptor {
        let name = wanted.type_name.as_str();
        let mut out = Descriptor { type_name: name.to_owned(), vaddr: None, witnesses: Vec::new() };
        if self.is_ambiguous(name, findings) {
            return out;
        }
        match self.facts.descriptors.get(name) {
            Some(found) => (out.vaddr, out.witnesses) = (Some(found.vaddr), vec![Witness::Types]),
            None if wanted.if_present => {}
            None => {
                let why = format!("no descriptor of {name} in the type data");
                findings.lack(wanted.required, wanted.gives.as_deref(), Matter::new(Code::NoType, name, why));
            }
        }
        out
    }

    fn is_ambiguous(&self, name: &str, findings: &mut Findings) -> bool {
        let several = self.facts.descriptors.get(name).is_some_and(|found| found.several);
        if several || self.facts.ambiguous_dwarf.contains(name) {
            let why = format!("there are several types named {name}");
            findings.refuse(Matter::new(Code::AmbiguousType, name, why));
        }
        several || self.facts.ambiguous_dwarf.contains(name)
    }
}
