//! Where the item that a path names is defined.

use std::path::Path;

use super::tree::{Crate, Module, ModuleId};

/// Imports that lead to imports: more than so many are none of ours, or a circle of their own.
const DEPTH: usize = 16;

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'c> {
    /// A module itself.
    Module(ModuleId),
    /// An item, or something of one, which this file defines.
    Item(&'c Path),
}

impl Crate {
    /// What a path means in a module; none is what another crate has.
    pub fn meaning(&self, of: ModuleId, path: &[String]) -> Option<Meaning<'_>> {
        self.follow(of, path, 0)
    }

    fn follow(&self, of: ModuleId, path: &[String], depth: usize) -> Option<Meaning<'_>> {
        let (first, mut rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Meaning::Module(0),
            "self" => Meaning::Module(of),
            "super" => Meaning::Module(self.modules.get(of)?.parent?),
            name => self.named(of, name, !rest.is_empty(), depth)?,
        };
        while let (Meaning::Module(module), Some((name, after))) = (here, rest.split_first()) {
            here = match name.as_str() {
                "super" => Meaning::Module(self.modules.get(module)?.parent?),
                name => self.named(module, name, !after.is_empty(), depth)?,
            };
            rest = after;
        }
        Some(here)
    }

    /// What a name means in a module. A module and an item may have one name: where more follows, it is the module's.
    fn named(&self, of: ModuleId, name: &str, goes_on: bool, depth: usize) -> Option<Meaning<'_>> {
        let module = self.modules.get(of)?;
        if depth > DEPTH {
            return None;
        }
        let child = module.children.get(name).map(|child| Meaning::Module(*child));
        let is = |known: &String| known == name;
        let item = module.words.items.iter().any(is).then_some(Meaning::Item(&module.file));
        let own = if goes_on { child.or(item) } else { item.or(child) };
        own.or_else(|| self.imported(of, module, name, depth)).or_else(|| {
            let made = module.words.macro_words.iter().any(is);
            made.then_some(Meaning::Item(&module.file))
        })
    }

    fn imported(&self, of: ModuleId, module: &Module, name: &str, depth: usize) -> Option<Meaning<'_>> {
        let mut aliases = module.words.aliases.iter().filter(|(path, alias)| {
            // `use name::…` of another crate would lead to itself.
            alias == name && path.first().is_none_or(|first| path.len() > 1 || first != name)
        });
        let by_name = aliases.find_map(|(path, _)| {
            // A name that its own import begins with is another crate's, or a child's.
            match path.first().filter(|first| *first == name) {
                Some(first) if !module.children.contains_key(first) => None,
                _ => self.follow(of, path, depth + 1),
            }
        });
        by_name.or_else(|| {
            module.words.globs.iter().find_map(|path| match self.follow(of, path, depth + 1)? {
                Meaning::Module(from) if from != of => self.named(from, name, false, depth + 1),
                _ => None,
            })
        })
    }
}
