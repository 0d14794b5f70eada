//! The linker's names of functions and methods.

/// A linker name in its parts: `net/http.(*conn).serve` is `serve` of `*conn` in net/http.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Import path.
    pub package: String,
    /// `*conn`; without the star for a method of the value.
    pub receiver: Option<String>,
    /// Of the function or method, without type arguments.
    pub name: String,
}

impl Symbol {
    /// None if no package is named. Names are plain ([`offsets::names`]), so it takes the module's path to know where a package
    /// whose last word has a dot ends: `gopkg.in/yaml.v3.(*T).M` is not `(*T).M` of a type `v3`.
    pub fn parse(text: &str, module: &str) -> Option<Self> {
        // Type arguments hold slashes and dots of their own.
        let head = text.split(['(', '[']).next()?;
        let last = head.rfind('/').map_or(0, |slash| slash + 1);
        let of_module = head.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        let dot = if of_module { module.len() } else { last + head.get(last..)?.find('.')? };
        let (package, rest) = (text.get(..dot)?, text.get(dot + 1..)?);
        let bare = |text: &str| text.split('[').next().unwrap_or_default().to_owned();
        let (receiver, name) = match rest.strip_prefix('(').and_then(|rest| rest.rsplit_once(").")) {
            Some((receiver, name)) => (Some(bare(receiver)), bare(name)),
            None => match rest.split('[').next()?.split_once('.') {
                Some((receiver, name)) => (Some(receiver.to_owned()), bare(name)),
                None => (None, bare(rest)),
            },
        };
        (!package.is_empty()).then(|| Self { package: package.to_owned(), receiver, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_symbols() {
        for (text, package, receiver, name) in [
            ("net/http.(*conn).serve", "net/http", Some("*conn"), "serve"),
            ("a.b/c.T.M", "a.b/c", Some("T"), "M"),
            ("a.b/c.F", "a.b/c", None, "F"),
            ("a.b/c.F[go.shape.int]", "a.b/c", None, "F"),
            ("a.b/c.(*T[a.b/c.X]).M", "a.b/c", Some("*T"), "M"),
            ("gopkg.in/yaml.v3.(*T).M", "gopkg.in/yaml.v3", Some("*T"), "M"),
            ("gopkg.in/yaml.v3.F", "gopkg.in/yaml.v3", None, "F"),
            ("main.main", "main", None, "main"),
        ] {
            let expected = Symbol {
                package: package.to_owned(),
                receiver: receiver.map(str::to_owned),
                name: name.to_owned(),
            };
            assert_eq!(Symbol::parse(text, "gopkg.in/yaml.v3"), Some(expected), "{text}");
        }
        assert_eq!(Symbol::parse("main", "std"), None);
    }
}
