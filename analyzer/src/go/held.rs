//! Where a concrete type of `context.Context` holds another context, or the request whose context it is.
//!
//! Frameworks pass contexts of their own on (`gin.Context` has a `*http.Request`, echo's and kratos' too), as does the standard
//! library (`cancelCtx` embeds the parent). Whoever follows a chain of contexts needs the offset of the next one.

use super::types::{Kind, Type, Types};

/// The interface, as type data names it.
const CONTEXT: &str = "context.Context";
/// What has a context of its own.
const REQUEST: &str = "*net/http.Request";
/// Structs within structs; `timerCtx` has one.
const MAX_DEPTH: u32 = 3;
/// Fields of one type that are looked at.
const MAX_FIELDS: usize = 256;

/// What leads on from a value of a concrete type: the name of the field's type, and its offset from where the interface's data
/// word points. A context is preferred to a request. None of a type that is as long as a pointer and no pointer: the data word
/// is then the value.
pub fn context(types: &Types<'_>, concrete: u64) -> Option<(&'static str, u64)> {
    let t = types.get(concrete)?;
    let value = if t.kind == Kind::Pointer { types.get(types.elem(&t)?)? } else { t };
    if t.kind != Kind::Pointer && t.size() <= 8 {
        return None;
    }
    let mut left = MAX_FIELDS;
    let held = [CONTEXT, REQUEST].into_iter();
    held.filter_map(|name| Some((name, find(types, &value, name, 0, &mut left)?))).next()
}

fn find(types: &Types<'_>, t: &Type<'_>, name: &str, depth: u32, left: &mut usize) -> Option<u64> {
    for field in types.fields(t) {
        *left = left.checked_sub(1)?;
        if types.has_full_name(field.type_vaddr, name) {
            return Some(field.offset);
        }
        let inner =
            types.get(field.type_vaddr).filter(|inner| inner.kind == Kind::Struct && depth < MAX_DEPTH);
        let inside = inner.and_then(|inner| find(types, &inner, name, depth + 1, left));
        if let Some(inside) = inside {
            return field.offset.checked_add(inside);
        }
    }
    None
}
