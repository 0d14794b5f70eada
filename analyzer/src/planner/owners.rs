//! Whose version counts: the module that defines a struct, by its import path, whichever catalog entry asks for it.
//!
//! `golang.org/x/net/http2/hpack.HeaderField` is x/net's, also where gRPC's entry names it: gRPC's version says nothing of it.

use offsets::catalog::{self, Entry};
use offsets::{Database, Version, names};

use crate::go::buildinfo::BuiltModule;
use crate::go_image::GoImage;

/// A module and its version in this binary.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    /// Its path; `std` is the standard library.
    pub module: String,
    /// The version's text, without `go` for the standard library.
    pub version_text: Option<String>,
    /// The same, parsed.
    pub version: Option<Version>,
    /// Why the binary does not say the version, where it does not.
    pub unknown: Option<String>,
}

impl Owner {
    /// A module by its path.
    pub fn of_module(go: &GoImage<'_>, module: &str) -> Self {
        let (version_text, unknown) = match version_of(go, module) {
            Ok(text) => (Some(text), None),
            Err(why) => (None, Some(why)),
        };
        let version = version_text.as_deref().and_then(|text| Version::parse(module, text));
        Owner { module: module.to_owned(), version_text, version, unknown }
    }

    /// The module of the program itself, whose package `main` says nothing of its path.
    fn of_program(go: &GoImage<'_>) -> Self {
        let main = go.build.as_ref().and_then(|build| build.main.as_ref());
        Self::of_module(go, main.map_or(names::MAIN, |main| &main.path))
    }

    /// The owner of a struct that an entry names. The build information knows best which module a package came from; what it
    /// does not list may still be known to the catalog and the database by its name.
    pub fn of_struct(go: &GoImage<'_>, entry: &Entry, type_name: &str) -> Self {
        let package = names::package(type_name).unwrap_or_default();
        let built = go.build.as_ref();
        let listed = built.iter().flat_map(|build| build.modules().map(|module| module.path.as_str()));
        let recorded = catalog::entries().iter().map(|entry| entry.module.as_str());
        let known = recorded.chain(Database::embedded().modules()).chain([entry.module.as_str()]);
        if package == names::MAIN {
            return Self::of_program(go);
        }
        match names::owner(package, listed).filter(|owner| *owner != offsets::STD) {
            Some(owner) => Self::of_module(go, owner),
            None => Self::of_module(go, names::owner(package, known).unwrap_or(package)),
        }
    }
}

impl Owner {
    /// The owner of a function that an entry names, by the same rules.
    pub fn of_function(go: &GoImage<'_>, entry: &Entry, function: &str) -> Self {
        let built = go.build.as_ref();
        let listed = built.iter().flat_map(|build| build.modules().map(|module| module.path.as_str()));
        let recorded = catalog::entries().iter().map(|entry| entry.module.as_str());
        let known = recorded.chain(Database::embedded().modules()).chain([entry.module.as_str()]);
        if function.strip_prefix(names::MAIN).is_some_and(|rest| rest.starts_with('.')) {
            return Self::of_program(go);
        }
        let owner = names::owner_of_function(function, listed).filter(|owner| *owner != offsets::STD);
        match owner.or_else(|| names::owner_of_function(function, known)) {
            Some(owner) => Self::of_module(go, owner),
            None => Self::of_module(go, &entry.module),
        }
    }
}

/// The version of a module in this binary, after replacement; else why there is none.
fn version_of(go: &GoImage<'_>, module: &str) -> Result<String, String> {
    if module == offsets::STD {
        let text = go.go_version().ok_or("there is no build information, and no variable of that form")?;
        return match Version::parse(offsets::STD, text) {
            Some(_) => Ok(text.strip_prefix("go").unwrap_or(text).to_owned()),
            None => Err(format!("the binary calls its Go version {text:?}")),
        };
    }
    let build = go.build.as_ref().ok_or("there is no build information")?;
    let module = build.modules().find(|m| m.path == module);
    after_replacement(module.ok_or("the build information does not list its module")?)
}

/// Whose version counts for the structs of a module.
fn after_replacement(module: &BuiltModule) -> Result<String, String> {
    match module.replaced_by.as_deref() {
        // Another module's versions say nothing of this one's layouts.
        Some(other) if other.path != module.path => {
            Err(format!("{} is replaced by {} {}", module.path, other.path, other.version)
                .trim_end()
                .to_owned())
        }
        Some(same) => Ok(same.version.clone()),
        None => Ok(module.version.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, version: &str) -> BuiltModule {
        BuiltModule { path: path.into(), version: version.into(), ..BuiltModule::default() }
    }

    #[test]
    fn the_module_that_really_owns_a_struct_has_the_version() {
        let plain = module("google.golang.org/grpc", "v1.60.0");
        assert_eq!(after_replacement(&plain).as_deref(), Ok("v1.60.0"));
        let replaced = |by| BuiltModule { replaced_by: Some(Box::new(by)), ..plain.clone() };
        let same = replaced(module("google.golang.org/grpc", "v1.58.3"));
        assert_eq!(after_replacement(&same).as_deref(), Ok("v1.58.3"));
        let fork = after_replacement(&replaced(module("example.com/grpc", "v1.60.1")))
            .expect_err("a fork is another module");
        assert!(fork.contains("replaced by example.com/grpc v1.60.1"), "{fork}");
        let folder =
            after_replacement(&replaced(module("../grpc", ""))).expect_err("a folder has no version");
        assert!(folder.ends_with("replaced by ../grpc"), "{folder}");
    }
}
