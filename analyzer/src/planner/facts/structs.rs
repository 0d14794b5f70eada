//! The structs that the catalog names, as type data has them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};

use offsets::catalog::Entry;

use crate::error::{ErrorKind, Result};
use crate::go::types::{NameBudget, Type, Types};
use crate::go::wanted::Names;
use crate::planner::names::bare_name;

/// More fields than this the structs that the catalog names do not have; in real binaries they have some hundreds.
const MAX_WANTED_FIELDS: u64 = 1 << 20;
/// So much of a field's name tells two structs of one name apart; no field of a library is longer.
const TELLING_BYTES: usize = 64;

/// The fields of a struct, as one witness has them: name → (offset, kind). Of type data those that the catalog names.
pub(in crate::planner) type Fields = HashMap<String, (u64, String)>;

/// A struct's full name, and the fields that the catalog names.
type Wanted<'n> = (&'n str, Vec<&'n [u8]>);

/// The structs that the catalog names.
pub(super) struct Structs<'n> {
    /// Without their packages.
    bare: Names<'n>,
    /// At a bare name's position: who has it.
    full: Vec<Vec<Wanted<'n>>>,
}

/// What was seen of them.
#[derive(Default)]
pub(super) struct Seen<'n> {
    /// Those that were found, by full name.
    pub structs: HashMap<String, Fields>,
    /// Names that several structs have which differ.
    pub ambiguous: HashSet<String>,
    /// A hash of all fields' names and offsets, by the struct's full name.
    telling: HashMap<&'n str, u64>,
    /// Spent on kinds.
    names: NameBudget,
    /// Fields of any of them: many structs of one name may share a long table.
    count: u64,
}

impl<'n> Seen<'n> {
    /// Keeps the fields of a struct of that name without its package, if the catalog names it.
    pub fn keep(&mut self, types: &Types<'_>, t: &Type<'_>, bare: &[u8], wanted: &Structs<'n>) -> Result<()> {
        let Some((name, wanted)) = wanted.find(types, t, bare) else { return Ok(()) };
        let (mut fields, mut all) = (Fields::new(), DefaultHasher::new());
        // Kinds are put together for the catalog's fields only: of one struct they may be a gigabyte.
        for field in types.fields(t) {
            self.count()?;
            (field.offset, field.name.len(), field.name.get(..field.name.len().min(TELLING_BYTES)))
                .hash(&mut all);
            if wanted.contains(&field.name) {
                let kind = types.full_name_within(field.type_vaddr, &mut self.names)?.unwrap_or_default();
                fields.insert(String::from_utf8_lossy(field.name).into_owned(), (field.offset, kind));
            }
        }
        let all = all.finish();
        if self.telling.insert(name, all).is_some_and(|other| other != all)
            || self.structs.get(name).is_some_and(|other| *other != fields)
        {
            self.ambiguous.insert(name.to_owned());
        }
        self.structs.insert(name.to_owned(), fields);
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.count += 1;
        if self.count > MAX_WANTED_FIELDS {
            let (what, count, limit) =
                ("fields of structs that the catalog names", self.count, MAX_WANTED_FIELDS);
            return Err(ErrorKind::Budget { what, count, limit });
        }
        Ok(())
    }
}

impl<'n> Structs<'n> {
    /// Those that these entries name.
    pub fn new(present: &[&'n Entry]) -> Self {
        let mut fields: BTreeMap<(&str, &str), Vec<&[u8]>> = BTreeMap::new();
        for field in present.iter().flat_map(|e| &e.fields) {
            let full = field.type_name.as_str();
            fields.entry((bare_name(full), full)).or_default().push(field.name.as_bytes());
        }
        let mut full: BTreeMap<&str, Vec<Wanted<'_>>> = BTreeMap::new();
        for ((bare, name), fields) in fields {
            full.entry(bare).or_default().push((name, fields));
        }
        Structs { bare: Names::new(full.keys().copied()), full: full.into_values().collect() }
    }

    /// The names without their packages.
    pub fn names(&self) -> impl Iterator<Item = &'n str> + use<'_, 'n> {
        self.full.iter().flatten().map(|(full, _)| bare_name(full))
    }

    /// The wanted name and fields of a struct.
    fn find(&self, types: &Types<'_>, t: &Type<'_>, bare: &[u8]) -> Option<(&'n str, &[&'n [u8]])> {
        let full = self.full.get(self.bare.position(bare)?)?;
        let (name, fields) = full.iter().find(|(name, _)| types.has_full_name(t.vaddr, name))?;
        Some((name, fields))
    }
}
