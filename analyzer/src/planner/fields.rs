//! Offsets of struct fields, from up to three witnesses that must agree.
//!
//! | type data | DWARF | database | result |
//! |---|---|---|---|
//! | all that know the field agree | | | its offset, with the names of those who vouch |
//! | two that know it differ, or one knows the struct without it | | | refused |
//! | nobody knows it | | | null; refused when required, else partial |

use std::collections::HashMap;

use offsets::Lookup;

use super::case::Case;
use super::facts::Fields;
use super::owners::Owner;
use super::remedies;
use super::verdict::{Findings, Matter};
use crate::plan::{Claim, Code, Field, Itab, MapImplementation, MapLayout, Witness};

/// What one witness says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    At(u64, String),
    NoSuchField,
}

impl Word {
    fn offset(&self) -> Option<u64> {
        match self {
            Word::At(offset, _) => Some(*offset),
            Word::NoSuchField => None,
        }
    }
}

type Testimony = Vec<(Witness, Word)>;

impl Case<'_> {
    /// The fields of the entry that this version is expected to have.
    pub fn fields(&self, findings: &mut Findings) -> Vec<Field> {
        let mut owners: HashMap<&str, Owner> = HashMap::new();
        for name in self.entry.fields.iter().map(|field| field.type_name.as_str()) {
            owners.entry(name).or_insert_with(|| Owner::of_struct(self.go, self.entry, name));
        }
        let owned = self.entry.fields.iter().filter_map(|f| Some((f, owners.get(f.type_name.as_str())?)));
        let expected = owned.filter_map(|(f, owner)| {
            let for_sure = match &owner.version {
                Some(version) if !f.versions.contains(version) => return None,
                Some(_) => !f.if_present,
                // Without a version: what every version has, and of the rest what the binary itself knows.
                None => !f.if_present && f.versions.since.is_none() && f.versions.until.is_none(),
            };
            let testimony = self.testimony(f, owner);
            (for_sure || self.is_known_as(f, &testimony)).then_some((f, owner, testimony))
        });
        expected.map(|(f, owner, testimony)| self.field(f, owner, &testimony, findings)).collect()
    }

    /// Does the binary itself know the field, and as this entry of the catalog has it? A field whose kind has changed is there
    /// once for each kind: without a version the binary's own kind says which entry counts, and where it is of none of them, all
    /// do, so that the Plan says what is wrong.
    fn is_known_as(&self, field: &offsets::catalog::Field, testimony: &Testimony) -> bool {
        let of_kind = |kind: &str| testimony.iter().any(|(_, w)| matches!(w, Word::At(_, k) if k == kind));
        let is_same =
            |f: &&offsets::catalog::Field| (&f.type_name, &f.name) == (&field.type_name, &field.name);
        let fits_another = || self.entry.fields.iter().filter(is_same).any(|f| of_kind(&f.kind));
        testimony.iter().any(|(_, w)| matches!(w, Word::At(..))) && (of_kind(&field.kind) || !fits_another())
    }

    fn field(
        &self,
        field: &offsets::catalog::Field,
        owner: &Owner,
        testimony: &Testimony,
        findings: &mut Findings,
    ) -> Field {
        let name = format!("{}.{}", field.type_name, field.name);
        let gives = field.gives.as_deref();
        let mut out = Field {
            type_name: field.type_name.clone(),
            field: field.name.clone(),
            kind: field.kind.clone(),
            offset: None,
            witnesses: Vec::new(),
            disputed: Vec::new(),
        };
        let ambiguous = [&self.facts.ambiguous, &self.facts.ambiguous_dwarf];
        if ambiguous.iter().any(|set| set.contains(&field.type_name)) {
            let why = format!("two types named {} have different fields", field.type_name);
            findings.refuse(Matter::new(Code::AmbiguousType, &field.type_name, why));
            return out;
        }
        match agree(testimony, &field.kind) {
            Ok(Some(offset)) => {
                out.offset = Some(offset);
                out.witnesses = testimony.iter().map(|&(w, _)| w).collect();
            }
            Ok(None) => findings.lack(field.required, gives, self.nobody(name, testimony, owner)),
            Err(dispute) => {
                out.disputed = claims(testimony);
                match dispute {
                    Dispute::Offsets(words) => {
                        let why = format!("witnesses disagree about {name}: {words}");
                        let of_binary = testimony.iter().filter(|(who, _)| *who != Witness::Database);
                        let matter = Matter::new(Code::WitnessesDisagree, name, why);
                        findings.refuse(
                            matter.with(remedies::of_dispute(of_binary.map(|(_, word)| word.offset()))),
                        );
                    }
                    Dispute::Kind(words) => {
                        let why =
                            format!("{name} is another type than the catalog's {}: {words}", field.kind);
                        findings.lack(field.required, gives, Matter::new(Code::OtherKind, name, why));
                    }
                }
            }
        }
        out
    }

    fn testimony(&self, field: &offsets::catalog::Field, owner: &Owner) -> Testimony {
        let own = |structs: &HashMap<String, Fields>| {
            let found = structs.get(&field.type_name)?;
            Some(match found.get(&field.name) {
                Some((offset, kind)) => Word::At(*offset, kind.clone()),
                None => Word::NoSuchField,
            })
        };
        let words = [
            (Witness::Types, own(&self.facts.types)),
            (Witness::Dwarf, own(&self.facts.dwarf)),
            (Witness::Database, self.recorded(field, owner)),
        ];
        words.into_iter().filter_map(|(witness, word)| Some((witness, word?))).collect()
    }

    fn recorded(&self, field: &offsets::catalog::Field, owner: &Owner) -> Option<Word> {
        let arch = self.go.image.arch.name();
        let version = owner.version_text.as_deref()?;
        let database = self.database.filter(|_| self.silenced(&owner.module).is_none())?;
        match database.lookup(&owner.module, version, arch, &field.type_name, &field.name) {
            Lookup::Exact { offset, kind } | Lookup::Between { offset, kind, .. } => {
                Some(Word::At(offset, kind.to_owned()))
            }
            Lookup::Absent(_) => Some(Word::NoSuchField),
            Lookup::Differs { .. } | Lookup::Outside | Lookup::Unknown => None,
        }
    }

    /// Why nobody vouches for a field.
    fn nobody(&self, name: String, testimony: &Testimony, owner: &Owner) -> Matter {
        if let Some((witness, _)) = testimony.first() {
            let why = format!("{name}: no such field ({})", word(*witness));
            return Matter::new(Code::NoSuchField, name, why);
        }
        let version = owner.version_text.as_deref().unwrap_or("of unknown version");
        let dwarf = match &self.facts.dwarf_error {
            Some(error) => format!("its DWARF cannot be read ({error})"),
            None => "no DWARF names it".to_owned(),
        };
        let silenced = self.silenced(&owner.module).map(|why| format!(" {why}")).unwrap_or_default();
        let why = format!(
            "{name}: not in the binary's type data, {dwarf}, and the database does not vouch for {} {version}{silenced}",
            owner.module
        );
        Matter::new(Code::NoWitness, name, why)
    }

    /// The itabs of the entry.
    pub fn itabs(&self, findings: &mut Findings) -> Vec<Itab> {
        let (all, pairs): (Vec<_>, Vec<_>) = self.entry.itabs.iter().partition(|w| w.concrete.is_none());
        let one = |wanted: &offsets::catalog::Itab| {
            let concrete = wanted.concrete.clone().unwrap_or_default();
            let key = (wanted.interface.clone(), concrete.clone());
            let vaddr = self.facts.itabs.get(&key).copied();
            if vaddr.is_none() {
                let pair = format!("({}, {concrete})", wanted.interface);
                let why = format!("no static itab of {pair} in the type data");
                let matter = Matter::new(Code::NoItab, pair, why);
                findings.lack(wanted.required, wanted.gives.as_deref(), matter);
            }
            Itab { interface: wanted.interface.clone(), concrete, vaddr, holds: None }
        };
        let mut out: Vec<Itab> = pairs.into_iter().map(one).collect();
        all.into_iter().for_each(|wanted| out.extend(self.implementers(wanted, findings)));
        out
    }

    /// Every concrete type that the binary has for an interface.
    fn implementers(&self, wanted: &offsets::catalog::Itab, findings: &mut Findings) -> Vec<Itab> {
        let name = wanted.interface.as_str();
        let found = self.facts.implementers.get(name);
        let Some(found) = found.filter(|found| !found.itabs.is_empty()) else {
            let why = format!("no static itab of any type for {name} in the type data");
            let matter = Matter::new(Code::NoItab, name, why);
            findings.lack(wanted.required, wanted.gives.as_deref(), matter);
            return Vec::new();
        };
        if let more @ 1.. = found.count.saturating_sub(found.itabs.len() as u64) {
            let why = format!("{} types have {name}: {more} of them are not listed", found.count);
            findings.note(Matter::new(Code::TooManyTypes, name, why));
        }
        found.itabs.clone()
    }

    /// The maps of the entry.
    pub fn maps(&self, findings: &mut Findings) -> Vec<MapLayout> {
        let one = |wanted: &offsets::catalog::Map| {
            if let Some(layout) = self.facts.maps.get(&wanted.type_name) {
                return layout.clone();
            }
            let why = format!("no descriptor of {} in the type data", wanted.type_name);
            let matter = Matter::new(Code::NoMap, &wanted.type_name, why);
            findings.lack(wanted.required, wanted.gives.as_deref(), matter);
            unknown_map(&wanted.type_name)
        };
        self.entry.maps.iter().map(one).collect()
    }
}

fn unknown_map(type_name: &str) -> MapLayout {
    MapLayout {
        type_name: type_name.to_owned(),
        implementation: None::<MapImplementation>,
        keys_offset: 0,
        key_stride: 0,
        elems_offset: 0,
        elem_stride: 0,
        group_size: 0,
        indirect_keys: false,
        indirect_elems: false,
    }
}

/// Why witnesses do not settle a field.
#[derive(Debug, PartialEq, Eq)]
enum Dispute {
    Offsets(String),
    Kind(String),
}

/// The offset that all witnesses give; nothing when none has the field.
fn agree(testimony: &Testimony, kind: &str) -> Result<Option<u64>, Dispute> {
    let offsets: Vec<Option<u64>> = testimony.iter().map(|(_, w)| w.offset()).collect();
    if offsets.windows(2).any(|pair| pair.first() != pair.last()) {
        return Err(Dispute::Offsets(say(testimony, |w| match w {
            Word::At(offset, _) => offset.to_string(),
            Word::NoSuchField => "no such field".to_owned(),
        })));
    }
    let strange = |w: &Word| matches!(w, Word::At(_, k) if k != kind);
    if testimony.iter().any(|(_, w)| strange(w)) {
        return Err(Dispute::Kind(say(testimony, |w| match w {
            Word::At(_, kind) => kind.clone(),
            Word::NoSuchField => "no such field".to_owned(),
        })));
    }
    Ok(offsets.first().copied().flatten())
}

/// Both sides of a dispute, for the Plan.
fn claims(testimony: &Testimony) -> Vec<Claim> {
    let claim = |(witness, said): &(Witness, Word)| match said {
        Word::At(offset, kind) => {
            Claim { witness: *witness, offset: Some(*offset), kind: Some(kind.clone()) }
        }
        Word::NoSuchField => Claim { witness: *witness, offset: None, kind: None },
    };
    testimony.iter().map(claim).collect()
}

fn say(testimony: &Testimony, what: impl Fn(&Word) -> String) -> String {
    let words: Vec<String> =
        testimony.iter().map(|(witness, w)| format!("{} {}", what(w), word(*witness))).collect();
    words.join(", ")
}

pub(super) fn word(witness: Witness) -> &'static str {
    match witness {
        Witness::Types => "by type data",
        Witness::Dwarf => "by DWARF",
        Witness::Database => "by the database",
        Witness::Args => "by its argument words",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64, kind: &str) -> Word {
        Word::At(offset, kind.to_owned())
    }

    #[test]
    fn witnesses_settle_dispute_or_are_silent() {
        use Witness::{Database, Dwarf, Types};
        let agreeing = vec![(Types, at(8, "int")), (Dwarf, at(8, "int")), (Database, at(8, "int"))];
        assert_eq!(agree(&agreeing, "int"), Ok(Some(8)));
        assert_eq!(agree(&Vec::new(), "int"), Ok(None));
        assert_eq!(agree(&vec![(Types, Word::NoSuchField)], "int"), Ok(None));
        let differing = vec![(Types, at(8, "int")), (Database, at(16, "int"))];
        assert!(
            matches!(agree(&differing, "int"), Err(Dispute::Offsets(w)) if w.contains("16 by the database"))
        );
        assert_eq!(claims(&differing).iter().map(|c| c.offset).collect::<Vec<_>>(), [Some(8), Some(16)]);
        let absent = vec![(Types, Word::NoSuchField), (Database, at(16, "int"))];
        assert!(matches!(agree(&absent, "int"), Err(Dispute::Offsets(_))));
        let strange = vec![(Types, at(8, "struct {}"))];
        assert!(matches!(agree(&strange, "*int"), Err(Dispute::Kind(_))));
    }
}
