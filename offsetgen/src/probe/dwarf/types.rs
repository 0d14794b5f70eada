//! Types: the layout of a struct, the packages that lie in it by value, and the words that a value is passed in.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use offsets::abi::{Kind, Word};
use offsets::names::package;

use super::program::{Entry, Place, Program, Unit, place, reference};
use crate::probe::shape::Layout;

/// No Go type nests deeper; a file that claims so is broken.
const DEPTH_LIMIT: usize = 64;

impl<'a> Program<'a, '_> {
    /// The struct at a place. The packages of the structs inside of it are added to `embedded`.
    pub(super) fn layout(&self, at: Place, embedded: &mut BTreeSet<String>) -> Result<Layout> {
        let (_, entry) = self.entry(at)?;
        let size = size(&entry).context("has no DW_AT_byte_size")?;
        let mut layout = Layout { size, ..Layout::default() };
        for (field, offset, kind) in self.members(at)? {
            let name = self.type_name(kind).with_context(|| format!("type of member {field}"))?;
            self.inside(kind, embedded, 0)?;
            layout.fields.insert(field, (offset, name));
        }
        Ok(layout)
    }

    /// A struct's members: name, offset, type.
    fn members(&self, at: Place) -> Result<Vec<(String, u64, Place)>> {
        let (unit, offset) = self.unit_of(at)?;
        let mut tree = unit.entries_tree(Some(offset))?;
        let mut children = tree.root()?.children();
        let mut members = Vec::new();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == gimli::DW_TAG_member {
                members.push(self.member(unit, entry)?);
            }
        }
        Ok(members)
    }

    fn member(&self, unit: &Unit<'a>, entry: &Entry<'a>) -> Result<(String, u64, Place)> {
        let field = self.name(unit, entry)?.context("a member without a name")?.into_owned();
        let location = entry.attr_value(gimli::DW_AT_data_member_location);
        let offset = location.and_then(|value| value.udata_value());
        let offset = offset.with_context(|| format!("member {field} has no constant offset"))?;
        let kind = self.kind_of(unit, entry).with_context(|| format!("type of member {field}"))?;
        Ok((field, offset, kind))
    }

    /// Where the `DW_AT_type` of a DIE leads.
    pub(super) fn kind_of(&self, unit: &Unit<'a>, entry: &Entry<'a>) -> Result<Place> {
        reference(unit, entry.attr_value(gimli::DW_AT_type)).context("has no DW_AT_type")
    }

    /// A type as Go spells it.
    pub(super) fn type_name(&self, at: Place) -> Result<String> {
        let (unit, entry) = self.entry(at)?;
        Ok(self.name(unit, &entry)?.with_context(|| format!("the type at {at:#x} has no name"))?.into_owned())
    }

    /// Adds the packages of the named types that a value of this type holds and that its layout follows from.
    pub(super) fn inside(&self, at: Place, embedded: &mut BTreeSet<String>, depth: usize) -> Result<()> {
        if depth > DEPTH_LIMIT {
            bail!("types nest deeper than {DEPTH_LIMIT}");
        }
        let (unit, entry) = self.entry(at)?;
        match entry.tag() {
            gimli::DW_TAG_typedef | gimli::DW_TAG_array_type => {
                let target = self.kind_of(unit, &entry)?;
                if self.entry(target)?.1.tag() == gimli::DW_TAG_array_type {
                    let name = self.name(unit, &entry)?.unwrap_or_default();
                    embedded.extend(package(&name).map(str::to_owned));
                }
                self.inside(target, embedded, depth + 1)
            }
            gimli::DW_TAG_base_type => {
                let name = self.name(unit, &entry)?.unwrap_or_default();
                embedded.extend(package(&name).map(str::to_owned));
                Ok(())
            }
            gimli::DW_TAG_structure_type => {
                let name = self.name(unit, &entry)?.unwrap_or_default();
                embedded.extend(package(&name).map(str::to_owned));
                for (_, _, kind) in self.members(at)? {
                    self.inside(kind, embedded, depth + 1)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A type as the calling convention sees it.
    pub(super) fn kind(&self, at: Place, depth: usize) -> Result<Kind> {
        if depth > DEPTH_LIMIT {
            bail!("types nest deeper than {DEPTH_LIMIT}");
        }
        let (unit, entry) = self.entry(at)?;
        Ok(match entry.tag() {
            gimli::DW_TAG_typedef => self.kind(self.kind_of(unit, &entry)?, depth + 1)?,
            gimli::DW_TAG_structure_type => {
                let members = self.members(at)?;
                let parts = members.iter().map(|(_, _, kind)| self.kind(*kind, depth + 1));
                Kind::Struct { size: size(&entry).unwrap_or(0), parts: parts.collect::<Result<_>>()? }
            }
            gimli::DW_TAG_array_type => {
                let element = self.kind(self.kind_of(unit, &entry)?, depth + 1)?;
                let size = size(&entry).unwrap_or(0);
                let count = size.checked_div(element.size()).unwrap_or(0);
                Kind::Array { size, count, element: Box::new(element) }
            }
            gimli::DW_TAG_base_type => {
                let encoding = entry.attr_value(gimli::DW_AT_encoding).and_then(|value| value.udata_value());
                let size = size(&entry).context("a base type without a size")?;
                match encoding.and_then(|encoding| u8::try_from(encoding).ok()).map(gimli::DwAte) {
                    Some(gimli::DW_ATE_float) => Kind::Words { size, words: vec![Word::Float] },
                    Some(gimli::DW_ATE_complex_float) => Kind::Words { size, words: vec![Word::Float; 2] },
                    _ => Kind::Words { size, words: vec![Word::Integer] },
                }
            }
            _ => Kind::Words { size: 8, words: vec![Word::Integer] },
        })
    }

    /// The DIEs below a place that have a tag.
    pub(super) fn children(&self, at: Place, tag: gimli::DwTag) -> Result<Vec<Place>> {
        let (unit, offset) = self.unit_of(at)?;
        let mut tree = unit.entries_tree(Some(offset))?;
        let mut children = tree.root()?.children();
        let mut found = Vec::new();
        while let Some(child) = children.next()? {
            if child.entry().tag() == tag {
                found.push(place(unit, child.entry().offset()));
            }
        }
        Ok(found)
    }
}

fn size(entry: &Entry<'_>) -> Option<u64> {
    entry.attr_value(gimli::DW_AT_byte_size).and_then(|value| value.udata_value())
}
