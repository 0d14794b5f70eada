//! What one file says of names: what it defines, imports and names, module by module.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// What a module, inline or a file, has in it.
#[derive(Debug, Default)]
pub struct Words {
    /// Items that it defines.
    pub items: Vec<String>,
    /// `use`: the path, and the name that it has here.
    pub aliases: Vec<(Vec<String>, String)>,
    /// `use …::*`.
    pub globs: Vec<Vec<String>>,
    /// Paths of two words and more, wherever they stand.
    pub paths: Vec<Vec<String>>,
    /// The words of macros that stand where items do: they may define any of them.
    pub macro_words: Vec<String>,
    /// Modules: name, `#[path]`, and what an inline one has in it.
    pub modules: Vec<(String, Option<String>, Option<Words>)>,
}

impl Words {
    /// Of a file's items.
    pub fn of(items: &[syn::Item]) -> Self {
        let mut words = Self::default();
        for item in items {
            words.item(item);
        }
        words
    }

    fn item(&mut self, item: &syn::Item) {
        let (attributes, name) = parts(item);
        if attributes.iter().any(is_test_alone) {
            return;
        }
        self.items.extend(name.map(ToString::to_string));
        match item {
            syn::Item::Mod(module) => {
                let inline = module.content.as_ref().map(|(_, items)| Self::of(items));
                let path = module.attrs.iter().find_map(path_attribute);
                self.modules.push((module.ident.to_string(), path, inline));
            }
            syn::Item::Macro(call) if call.ident.is_none() => {
                flatten(call.mac.tokens.clone(), &mut |tree| {
                    if let TokenTree::Ident(word) = tree {
                        self.macro_words.push(word.to_string());
                    }
                });
                self.visit_item(item);
            }
            // Its rules name nothing in this place.
            syn::Item::Macro(_) => {}
            syn::Item::ForeignMod(block) => {
                let functions = block.items.iter().filter_map(|item| match item {
                    syn::ForeignItem::Fn(function) => Some(function.sig.ident.to_string()),
                    _ => None,
                });
                self.items.extend(functions);
            }
            _ => self.visit_item(item),
        }
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |word: &syn::Ident| before.iter().cloned().chain([plain(word)]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
            syn::UseTree::Glob(_) => self.globs.push(before.to_vec()),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.aliases.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
            }
            syn::UseTree::Name(name) => self.aliases.push((with(&name.ident), plain(&name.ident))),
            syn::UseTree::Rename(rename) if rename.ident == "self" => {
                self.aliases.push((before.to_vec(), plain(&rename.rename)));
            }
            syn::UseTree::Rename(rename) => self.aliases.push((with(&rename.ident), plain(&rename.rename))),
        }
    }

    /// Paths among the arguments of a macro, which nobody has parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut end = |path: &mut Vec<String>| {
            if path.len() > 1 {
                self.paths.push(std::mem::take(path));
            }
            path.clear();
        };
        flatten(tokens, &mut |tree| match tree {
            TokenTree::Ident(word) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(plain(word));
                colons = 0;
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
            _ => {
                end(&mut path);
                colons = 0;
            }
        });
        end(&mut path);
    }
}

impl<'ast> Visit<'ast> for Words {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
        if words.len() > 1 && path.leading_colon.is_none() {
            self.paths.push(words);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
    }
}

/// Every token, from the outside in; a group's ends stand as an empty group.
fn flatten(tokens: TokenStream, act: &mut dyn FnMut(&TokenTree)) {
    for tree in tokens {
        match &tree {
            TokenTree::Group(group) => {
                let edge = proc_macro2::Group::new(Delimiter::None, TokenStream::new());
                act(&TokenTree::Group(edge.clone()));
                flatten(group.stream(), act);
                act(&TokenTree::Group(edge));
            }
            _ => act(&tree),
        }
    }
}

fn plain(word: &syn::Ident) -> String {
    word.to_string().trim_start_matches("r#").to_owned()
}

/// An item's attributes, and its name if others can import it by one.
fn parts(item: &syn::Item) -> (&[syn::Attribute], Option<&syn::Ident>) {
    match item {
        syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        syn::Item::ForeignMod(item) => (&item.attrs, None),
        syn::Item::Impl(item) => (&item.attrs, None),
        syn::Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        syn::Item::Mod(item) => (&item.attrs, None),
        syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Union(item) => (&item.attrs, Some(&item.ident)),
        syn::Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

/// Whether an attribute is `#[cfg(test)]`.
pub fn is_test_alone(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let said = list.tokens.to_string();
    list.path.is_ident("cfg")
        && (said == "test" || said.starts_with("all (test") || said.starts_with("all(test"))
}

/// `#[path = "…"]`.
fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) if pair.path.is_ident("path") => {
            Some(text.value())
        }
        _ => None,
    }
}
