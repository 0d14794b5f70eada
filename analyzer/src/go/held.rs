//! Where a concrete type of `context.Context` holds another context, or the request whose context it is, and where one of `net.Conn` holds
//! another connection.
//!
//! Frameworks pass contexts of their own on (`gin.Context` has a `*http.Request`, echo's and kratos' too), as does the standard
//! library (`cancelCtx` embeds the parent). Whoever follows a chain of contexts needs the offset of the next one.

use super::types::{Kind, Type, Types};

/// The interfaces of which it is asked, as type data names them.
const CONTEXT: &str = "context.Context";
const CONN: &str = "net.Conn";
/// What has a context of its own.
const REQUEST: &str = "*net/http.Request";
/// Structs embedded in structs; `timerCtx` has one.
const MAX_DEPTH: u32 = 3;
/// Fields of one type that are looked at.
const MAX_FIELDS: usize = 256;

/// What leads on from a value of a concrete type: the name of the field's type, and its offset from where the interface's data
/// word points. None of a type that is as long as a pointer and no pointer: the data word is then the value.
///
/// | in this order | because |
/// |---|---|
/// | the embedded context that lies least deep, if it is the only one there | Go promotes its methods, `Value` among them |
/// | a field of the struct itself that is a context, if it is the only one | `withoutCancelCtx` has its parent so; of several nothing tells which |
/// | the request that lies least deep, embedded or as the struct's own field, if it is the only one there | contexts of web frameworks |
pub fn context(types: &Types<'_>, concrete: u64) -> Option<(&'static str, u64)> {
    first(types, concrete, &[(CONTEXT, true), (CONTEXT, false), (REQUEST, false)])
}

/// The same of a connection: the embedded one, else the struct's only one.
pub fn conn(types: &Types<'_>, concrete: u64) -> Option<(&'static str, u64)> {
    first(types, concrete, &[(CONN, true), (CONN, false)])
}

/// The first of these that a value has: a type's name, and whether it counts only where it is embedded.
fn first(types: &Types<'_>, concrete: u64, wanted: &[(&'static str, bool)]) -> Option<(&'static str, u64)> {
    let t = types.get(concrete)?;
    let value = if t.kind == Kind::Pointer { types.get(types.elem(&t)?)? } else { t };
    if t.kind != Kind::Pointer && t.size() <= 8 {
        return None;
    }
    let found = |&(name, embedded_alone): &(_, bool)| match least_deep(types, value, name, embedded_alone) {
        Found::One(offset) => Some(Some((name, offset))),
        // Go refuses to promote either, so nothing less likely is right.
        Found::Several => Some(None),
        Found::None => None,
    };
    wanted.iter().find_map(found).flatten()
}

/// How many there are where the first ones are.
enum Found {
    None,
    One(u64),
    Several,
}

/// Fields of that type, level by level: those of the struct, then those of the structs that are embedded in it. Named fields count in
/// the struct itself, unless `embedded_alone`.
fn least_deep<'a>(types: &Types<'a>, t: Type<'a>, name: &str, embedded_alone: bool) -> Found {
    let mut left = MAX_FIELDS;
    let mut level = vec![(t, 0_u64)];
    for depth in 0..=MAX_DEPTH {
        let (mut found, mut below) = (Vec::new(), Vec::new());
        for (t, base) in &level {
            for field in types.fields(t) {
                let Some(fewer) = left.checked_sub(1) else { return Found::None };
                left = fewer;
                let Some(offset) = base.checked_add(field.offset) else { return Found::None };
                let counts = field.embedded || (depth == 0 && !embedded_alone);
                if counts && types.has_full_name(field.type_vaddr, name) {
                    found.push(offset);
                } else if let Some(inner) = types.get(field.type_vaddr)
                    && field.embedded
                    && inner.kind == Kind::Struct
                {
                    below.push((inner, offset));
                }
            }
        }
        match found[..] {
            [] => level = below,
            [offset] => return Found::One(offset),
            _ => return Found::Several,
        }
    }
    Found::None
}
