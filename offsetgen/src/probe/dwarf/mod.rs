//! What the DWARF of a Go program says of structs and functions.
//!
//! | DIE | attribute | is |
//! |---|---|---|
//! | `DW_TAG_structure_type` | `DW_AT_name`, `DW_AT_byte_size` | the struct with its full import path |
//! | `DW_TAG_member` in it | `DW_AT_name`, `DW_AT_data_member_location`, `DW_AT_type` | field, offset, a DIE whose name is the type as Go spells it |
//! | `DW_TAG_subprogram` | `DW_AT_name`, `DW_AT_inline` | a function, or with `DW_AT_inline` what its inlined copies refer to |
//! | `DW_TAG_formal_parameter` in it | `DW_AT_variable_parameter` | a parameter, or with it a result |
//! | `DW_TAG_inlined_subroutine` | `DW_AT_abstract_origin` | a call that was inlined |
//!
//! Sections may be compressed; from Go 1.25 they are DWARF 5. Deliberately not here: lines, locations, variables.

mod functions;
mod program;
mod types;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::shape::{Layout, Shape, Signature};
use super::wanted::Wanted;
use program::{Entry, Place, Program, Unit, origin, place, with_program};

/// All structs and functions of the programs that were compiled, plainly named.
#[derive(Debug, Default)]
pub struct Names {
    /// With full import path.
    pub structs: BTreeSet<String>,
    /// As the linker has them.
    pub functions: BTreeSet<String>,
}

/// What one program has shown.
#[derive(Debug, Default)]
pub struct Found {
    /// The wanted structs and functions; none is what is not in the program.
    pub shape: Shape,
    /// The packages of all types that lie by value in the wanted structs, or in what the wanted functions take and give.
    pub embedded: BTreeSet<String>,
}

/// The wanted structs and functions that one program has.
pub fn read(path: &Path, wanted: &Wanted, arch: &str) -> Result<Found> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: the file lies in a folder that this process has just made for itself; nothing else writes to it.
    let map =
        unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    read_bytes(&map, wanted, arch).context("cannot read the DWARF")
}

/// Adds the names of all structs and functions of one program.
pub fn names(path: &Path, names: &mut Names) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: as in `read`.
    let map =
        unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    with_program(&map, |program| program.names(names)).context("cannot read the DWARF")
}

fn read_bytes(bytes: &[u8], wanted: &Wanted, arch: &str) -> Result<Found> {
    with_program(bytes, |program| program.answer(wanted, &program.sight(wanted)?, arch))
}

/// What a walk over all DIEs has met.
#[derive(Default)]
struct Sightings {
    structs: BTreeMap<String, Vec<Place>>,
    /// Subprograms with a name of their own: a copy that is called.
    concrete: BTreeMap<String, Place>,
    /// Subprograms that only inlined and out-of-line copies refer to.
    r#abstract: BTreeMap<String, Place>,
    /// Copies that refer to an abstract one.
    copies: HashMap<Place, Place>,
    /// How many calls of an abstract one were inlined.
    inlined: HashMap<Place, usize>,
}

impl<'a> Program<'a, '_> {
    fn sight(&self, wanted: &Wanted) -> Result<Sightings> {
        let mut seen = Sightings::default();
        for unit in self.units {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                self.count(unit, entry, wanted, &mut seen)?;
            }
        }
        Ok(seen)
    }

    fn names(&self, all: &mut Names) -> Result<()> {
        for unit in self.units {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                let names = match entry.tag() {
                    gimli::DW_TAG_structure_type => &mut all.structs,
                    gimli::DW_TAG_subprogram => &mut all.functions,
                    _ => continue,
                };
                names.extend(self.name(unit, entry)?.map(Cow::into_owned));
            }
        }
        Ok(())
    }

    fn count(&self, unit: &Unit<'a>, entry: &Entry<'a>, wanted: &Wanted, seen: &mut Sightings) -> Result<()> {
        let place = || place(unit, entry.offset());
        match entry.tag() {
            gimli::DW_TAG_structure_type => {
                if let Some(name) = self.name(unit, entry)?.filter(|name| wanted.structs.contains(&**name)) {
                    seen.structs.entry(name.into_owned()).or_default().push(place());
                }
            }
            gimli::DW_TAG_subprogram => {
                if let Some(origin) = origin(unit, entry) {
                    seen.copies.insert(origin, place());
                } else if let Some(name) = self.name(unit, entry)?.filter(|n| wanted.functions.contains(&**n))
                {
                    let known = if entry.has_attr(gimli::DW_AT_inline) {
                        &mut seen.r#abstract
                    } else {
                        &mut seen.concrete
                    };
                    known.insert(name.into_owned(), place());
                }
            }
            gimli::DW_TAG_inlined_subroutine => {
                if let Some(origin) = origin(unit, entry) {
                    *seen.inlined.entry(origin).or_default() += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&self, wanted: &Wanted, seen: &Sightings, arch: &str) -> Result<Found> {
        let mut found = Found::default();
        for name in &wanted.structs {
            let mut layout: Option<Layout> = None;
            for place in seen.structs.get(*name).into_iter().flatten() {
                let other = self.layout(*place, &mut found.embedded).with_context(|| (*name).to_owned())?;
                if layout.as_ref().is_some_and(|known| *known != other) {
                    bail!("{name} has two layouts");
                }
                layout = Some(other);
            }
            found.shape.structs.insert((*name).to_owned(), layout);
        }
        for name in &wanted.functions {
            let signature = self.signature(name, seen, arch, &mut found.embedded);
            let signature = signature.with_context(|| (*name).to_owned())?;
            found.shape.functions.insert((*name).to_owned(), signature);
        }
        Ok(found)
    }

    fn signature(
        &self,
        name: &str,
        seen: &Sightings,
        arch: &str,
        embedded: &mut BTreeSet<String>,
    ) -> Result<Option<Signature>> {
        let r#abstract = seen.r#abstract.get(name);
        let inlined = r#abstract.and_then(|place| seen.inlined.get(place)).copied().unwrap_or(0);
        let copy = seen.concrete.get(name).or_else(|| seen.copies.get(r#abstract?));
        functions::signature(self, r#abstract.copied(), copy.copied(), inlined, arch, embedded)
    }
}
