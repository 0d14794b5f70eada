//! Where the parameters and results lie that a site of the catalog wants to have read.
//!
//! | witness | of a parameter | of a result |
//! |---|---|---|
//! | the binary | `args` of the catalog are held against its FUNCDATA_ArgInfo before, and Go's calling convention assigns them; the frame offsets there tell what came in registers | none: nothing in a stripped binary says it; the catalog's `returns` stands in |
//! | the database | the place of each parameter in that version | the same of each result |
//!
//! Those that speak must agree, else the alternative is not taken: a register too far is read without any error.

use offsets::abi::{self, Assignment, Kind, Place, shape};
use offsets::catalog::{At, Site as Alternative, Source};
use offsets::database::Signature;

use super::case::Case;
use super::failure::Failure;
use super::owners::Owner;
use crate::go::arginfo;
use crate::go::functions::Function as GoFunction;
use crate::plan::{Arch, Code, Value, Witness, Word};

/// Most words of one value on the stack; a message of kafka-go has 19.
const MAX_STACK_WORDS: u64 = 64;

/// What one witness says of a value: where, and how many bytes where it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    place: Place,
    size: Option<u64>,
}

impl Case<'_> {
    /// The values of an alternative at its sites in a function.
    pub fn values(&self, wanted: &Alternative, function: &GoFunction<'_>) -> Result<Vec<Value>, Failure> {
        if wanted.values.is_empty() {
            return Ok(Vec::new());
        }
        let subject = wanted.callee.as_deref().unwrap_or(&wanted.function);
        let owner = Owner::of_function(self.go, self.entry, subject);
        // What an indirect call calls has no name that one could look up.
        let recorded = self.signature(&owner, subject).filter(|_| wanted.indirect.is_none());
        let arch = self.go.image.arch.name();
        let declared = Declared::of(wanted, arch);
        if wanted.at.sees_arguments()
            && let Some(frame) = self.facts.functions.arg_offsets(function)
        {
            let differ =
                |why| Failure(Code::PlacesDisagree, format!("the frame of {subject} is another: {why}"));
            declared.held_against(&frame, arginfo::omits_first(subject)).map_err(differ)?;
        }
        let one = |value: &offsets::catalog::Value| {
            let by_shape = declared.claim(value.source);
            let by_database = recorded.map(|signature| self.recorded_claim(signature, value.source));
            let is_told = declared.is_told(value.source);
            let (claim, witnesses) = settle(is_told, value.source, by_shape, by_database.transpose()?)
                .map_err(|Failure(code, why)| Failure(code, format!("{} of {subject}: {why}", value.name)))?;
            let words = words(&claim, self.go.image.arch, wanted.at)
                .map_err(|why| Failure(Code::NoPlace, format!("{} of {subject}: {why}", value.name)))?;
            Ok(Value { name: value.name.clone(), source: value.source.to_string(), words, witnesses })
        };
        wanted.values.iter().map(one).collect()
    }

    /// How the database has it that a function is called.
    fn signature(&self, owner: &Owner, function: &str) -> Option<&'static Signature> {
        let version = owner.version_text.as_deref()?;
        let database = self.database.filter(|_| self.silenced(&owner.module).is_none())?;
        database.function(&owner.module, version, self.go.image.arch.name(), function).known()
    }

    /// The database's word for a value; an error if the function has no such parameter or result there.
    fn recorded_claim(&self, signature: &Signature, source: Source) -> Result<Claim, Failure> {
        let found = match source {
            Source::Arg(position) => signature.params.get(position),
            Source::Result(position) => signature.results.get(position),
        };
        let disagrees = |why: String| Failure(Code::PlacesDisagree, why);
        let found = found.ok_or_else(|| disagrees(format!("the database has no {source}")))?;
        let place = found.at.parse().map_err(|error| disagrees(format!("the database: {error}")))?;
        let arch = self.go.image.arch.name();
        let size = || {
            let owner = Owner::of_struct(self.go, self.entry, &found.r#type);
            let version = owner.version_text.as_deref()?;
            let database = self.database.filter(|_| self.silenced(&owner.module).is_none())?;
            database.size(&owner.module, version, arch, &found.r#type).known().copied()
        };
        Ok(Claim { size: predeclared_size(&found.r#type).or_else(size), place })
    }
}

/// What the catalog says of a site's function.
struct Declared {
    params: Vec<Kind>,
    params_whole: bool,
    results: Vec<Kind>,
    assigned: Assignment,
}

impl Declared {
    fn of(wanted: &Alternative, arch: &str) -> Self {
        // Behind a call the arguments are those of the function that has the site, and no longer there.
        let args = wanted.args.as_deref().filter(|_| wanted.at != At::AfterCall);
        let args = args.and_then(shape::parse);
        let returns = wanted.returns.as_deref().and_then(shape::parse);
        let params_whole = args.as_ref().is_some_and(|shape| shape.is_whole);
        let [params, results] = [args, returns].map(|shape| shape.map(|s| s.kinds).unwrap_or_default());
        let assigned = abi::assign(&params, &results, arch);
        Declared { params, params_whole, results, assigned }
    }

    fn claim(&self, source: Source) -> Option<Claim> {
        let (places, kinds, position) = match source {
            Source::Arg(position) => (&self.assigned.params, &self.params, position),
            Source::Result(position) => (&self.assigned.results, &self.results, position),
        };
        let (place, kind) = (places.get(position)?.clone(), kinds.get(position)?);
        // The first result on the stack lies behind all parameters there, which are not known here.
        let is_counted = matches!(source, Source::Arg(_)) || self.params_whole;
        let is_known = matches!(place, Place::Registers(_)) || is_counted;
        is_known.then_some(Claim { place, size: Some(kind.size()) })
    }

    /// Whether the binary's record of its arguments tells where a value lies. Of an array it says the same as of a struct, and that
    /// lies on the stack: behind a parameter in a register the offsets tell the two apart, and in front of all such they do not.
    fn is_told(&self, source: Source) -> bool {
        let Source::Arg(position) = source else { return false };
        let in_front = self.params.iter().take(position.saturating_add(1));
        in_front.clone().find(|kind| kind.size() > 0).is_none_or(|first| !may_hold_array(first))
    }

    /// The binary tells each parameter's offset in the caller's frame, where those that come in registers have room behind those
    /// of the stack. An array that was taken for a struct, for one, is seen by that. `hides_first`: of the first parameter it tells
    /// nothing, and the offset of the second one tells how long that is.
    fn held_against(&self, frame: &[Option<u8>], hides_first: bool) -> Result<(), String> {
        let (mut spill, mut spills_at, mut at) = (0_u64, None, 0);
        for (position, (kind, place)) in self.params.iter().zip(&self.assigned.params).enumerate() {
            spill = spill.next_multiple_of(kind.align());
            let mut offsets = Vec::new();
            if hides_first && position == 0 {
                spill += if matches!(place, Place::Registers(_)) { kind.size() } else { 0 };
                continue;
            }
            word_offsets(kind, 0, &mut offsets);
            for offset in offsets {
                let found = frame.get(at).copied().ok_or("it has fewer words")?.map(u64::from);
                at += 1;
                let Some(found) = found else { continue };
                let want = match place {
                    Place::Stack(base) => base + offset,
                    // The first of them says where the room begins, at a place that has to be one.
                    Place::Registers(_) => {
                        let start = *spills_at.get_or_insert(found.saturating_sub(spill + offset));
                        if start % 8 != 0 || (self.params_whole && start < self.assigned.params_end) {
                            return Err(format!("a word lies at {found}, among those of the stack"));
                        }
                        if hides_first && start != self.assigned.spills_at {
                            let why = "so the first parameter, of which nothing is told, has another size";
                            return Err(format!("a word lies at {found}, {why}"));
                        }
                        start + spill + offset
                    }
                };
                if found != want {
                    return Err(format!("a word lies at {found}, by the catalog's `args` at {want}"));
                }
            }
            if matches!(place, Place::Registers(_)) {
                spill += kind.size();
            }
        }
        Ok(())
    }
}

/// Whether what the shape has for a struct may be an array of several elements, or have one in it: its parts are alike.
fn may_hold_array(kind: &Kind) -> bool {
    let Kind::Struct { parts, .. } = kind else { return false };
    let alike = parts.len() > 1 && parts.windows(2).all(|two| two[0] == two[1]);
    alike || parts.iter().any(may_hold_array)
}

/// Where the words of a value lie in it, in the order in which the compiler lists them.
fn word_offsets(kind: &Kind, base: u64, out: &mut Vec<u64>) {
    let Kind::Struct { parts, .. } = kind else { return out.push(base) };
    let mut at = 0_u64;
    for part in parts {
        at = at.next_multiple_of(part.align());
        word_offsets(part, base + at, out);
        at += part.size();
    }
}

/// The place that all who speak give. `is_told`: the binary tells it.
fn settle(
    is_told: bool,
    source: Source,
    by_shape: Option<Claim>,
    by_database: Option<Claim>,
) -> Result<(Claim, Vec<Witness>), Failure> {
    // Of a result the shape is the catalog's alone.
    let shape_witness = is_told.then_some(Witness::Args);
    match (by_shape, by_database) {
        (Some(shape), Some(database)) if shape.place == database.place => {
            Ok((shape, shape_witness.into_iter().chain([Witness::Database]).collect()))
        }
        (Some(shape), Some(database)) => {
            let said = |place: &Place| match place.to_string() {
                none if none.is_empty() => "nowhere".to_owned(),
                some => some,
            };
            let (shape, database) = (said(&shape.place), said(&database.place));
            let why = format!("{source} is in {shape} by the catalog's words, in {database} by the database");
            Err(Failure(Code::PlacesDisagree, why))
        }
        (Some(shape), None) => Ok((shape, shape_witness.into_iter().collect())),
        (None, Some(database)) => Ok((database, vec![Witness::Database])),
        (None, None) => Err(Failure(Code::NoPlace, format!("nobody says where {source} lies"))),
    }
}

/// The words of a value, from the stack pointer at the site where they are not in registers.
fn words(claim: &Claim, arch: Arch, at: At) -> Result<Vec<Word>, String> {
    let offset = match &claim.place {
        Place::Registers(names) => return Ok(names.iter().cloned().map(Word::Register).collect()),
        Place::Stack(offset) => offset,
    };
    let size = claim.size.ok_or("it lies on the stack, and nobody says how long it is")?;
    let count = size.div_ceil(8);
    if count > MAX_STACK_WORDS {
        return Err(format!("it has {count} words on the stack, the limit is {MAX_STACK_WORDS}"));
    }
    let start = offset + above_stack_pointer(arch, at);
    Ok((0..count).map(|word| Word::Stack(start + word * 8)).collect())
}

/// How far above the stack pointer the first word of parameters and results lies. At the first instructions of a function and at
/// its return there is one word between, the return address or the place for it.
fn above_stack_pointer(arch: Arch, at: At) -> u64 {
    match at {
        At::AfterCall | At::Call => arch.call_frame(),
        At::Entry | At::Exit => 8,
    }
}

/// The size of a type that is the same everywhere: predeclared ones and those that are a word, two or three.
fn predeclared_size(kind: &str) -> Option<u64> {
    Some(match kind {
        "bool" | "int8" | "uint8" | "byte" => 1,
        "int16" | "uint16" => 2,
        "int32" | "uint32" | "float32" => 4,
        "int" | "uint" | "int64" | "uint64" | "uintptr" | "float64" | "unsafe.Pointer" => 8,
        "string" | "error" | "interface {}" => 16,
        _ if kind.starts_with("[]") => 24,
        _ if ["*", "map[", "chan ", "func("].iter().any(|head| kind.starts_with(head)) => 8,
        _ => return None,
    })
}

/// How many of the first result registers have to be left alone for these values to be read; an error if one is in a register
/// that carries no integers.
pub(super) fn results_kept(values: &[Value], arch: Arch) -> Result<u8, Failure> {
    let registers = abi::integer_registers(arch.name());
    let mut kept = 0;
    for (value, word) in values.iter().flat_map(|value| value.words.iter().map(move |word| (value, word))) {
        let Word::Register(name) = word else { continue };
        let position = registers.iter().position(|register| register == name);
        let position = position.and_then(|position| u8::try_from(position).ok()).ok_or_else(|| {
            let why =
                format!("{} is in {name}, which is not watched between the call and the site", value.name);
            Failure(Code::NoPlace, why)
        })?;
        kept = kept.max(position + 1);
    }
    Ok(kept)
}

/// The machine's number of the register that has the first word of a value.
pub(super) fn first_register(values: &[Value], name: &str, arch: Arch) -> Result<u8, Failure> {
    let value = values.iter().find(|value| value.name == name);
    let register = value.and_then(|value| match value.words.first()? {
        Word::Register(register) => Some(register),
        Word::Stack(_) => None,
    });
    let registers = abi::integer_registers(arch.name());
    let place = register.and_then(|name| registers.iter().position(|known| known == name));
    place.and_then(|place| crate::sites::register(arch, place)).ok_or_else(|| {
        Failure(Code::NoPlace, format!("{name} is in no register that a branch could depend on"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(args: &str, arch: &str) -> Declared {
        let text = format!(
            "id = \"x\"\ntitle = \"x\"\nmodule = \"std\"\nstatus = \"recorded\"\n[[role]]\nname = \
             \"r\"\nrequired = true\n[[role.site]]\nfunction = \"a.f\"\nat = \"entry\"\nargs = \"{args}\"\n"
        );
        let entries = offsets::catalog::load_dir([("x.toml", text.as_str())]).expect("a catalog");
        Declared::of(&entries[0].roles[0].sites[0], arch)
    }

    fn frame(offsets: &[u8]) -> Vec<Option<u8>> {
        offsets.iter().copied().map(Some).collect()
    }

    #[test]
    fn frame_offsets_tell_the_stack_from_registers() {
        // f(a uint8, b [2]uintptr, c uint8): b at 0, the room for a and c behind it.
        let other = declared("1 {8 8} 1", "amd64");
        assert_eq!(other.held_against(&frame(&[0, 8, 16, 24]), false), Ok(()));
        assert!(
            other.held_against(&frame(&[16, 0, 8, 17]), false).is_err_and(|why| why.contains("lies at 0"))
        );
        // Results on the stack, 152 bytes, are in front of that room.
        let fetch = declared("8 {8 8}", "amd64");
        assert_eq!(fetch.held_against(&frame(&[152, 160, 168]), false), Ok(()));
        assert!(fetch.held_against(&frame(&[150, 158, 166]), false).is_err());
        assert!(fetch.held_against(&frame(&[0, 8]), false).is_err(), "a word less");
        assert_eq!(fetch.held_against(&[Some(232), None, None], false), Ok(()));
        // (*Framer).WriteHeaders: the second parameter is on the stack of amd64, in registers of arm64.
        let shape = "8 {4 {8 8 8} 1 1 1 {4 1 1}}";
        let stack = frame(&[48, 0, 8, 16, 24, 32, 33, 34, 36, 40, 41]);
        assert_eq!(declared(shape, "amd64").held_against(&stack, false), Ok(()));
        assert!(declared(shape, "arm64").held_against(&stack, false).is_err());
    }

    #[test]
    fn a_generic_function_s_first_parameter_has_the_size_that_leaves_room_for_it() {
        // F[T](dictionary, n int, text string): the record begins with n.
        let generic =
            |args: &str, offsets: &[u8]| declared(args, "amd64").held_against(&frame(offsets), true);
        assert_eq!(generic("8 8 {8 8}", &[8, 16, 24]), Ok(()));
        assert!(generic("{8 8} 8 {8 8}", &[8, 16, 24]).is_err());
        assert!(generic("1 8 {8 8}", &[16, 24, 32]).is_err_and(|why| why.contains("another size")));
    }

    #[test]
    fn what_may_be_an_array_is_told_only_behind_a_parameter_in_a_register() {
        for (args, position, is_told) in [
            ("{8 8} 8", 0, false),
            ("{8 8} 8", 1, false),
            ("{} {8 8} 8", 2, false),
            ("{{8 8}} 8", 1, false),
            ("{8 {8 8}} 8", 1, false),
            ("8 {8 8} 8", 2, true),
            ("{8 1} 8", 1, true),
            ("{8} {8 8} 8", 2, true),
        ] {
            assert_eq!(declared(args, "amd64").is_told(Source::Arg(position)), is_told, "{args}, {position}");
        }
        assert!(!declared("8", "amd64").is_told(Source::Result(0)));
    }

    #[test]
    fn witnesses_agree_or_the_value_is_not_read() {
        let at = |text: &str| Claim { place: text.parse().expect("a place"), size: Some(16) };
        let (claim, by) =
            settle(true, Source::Arg(1), Some(at("rbx rcx")), Some(at("rbx rcx"))).expect("they agree");
        assert_eq!((claim, by), (at("rbx rcx"), vec![Witness::Args, Witness::Database]));
        let Failure(code, why) =
            settle(true, Source::Arg(1), Some(at("rbx")), Some(at("rdi"))).expect_err("they do not");
        assert_eq!(code, Code::PlacesDisagree);
        assert!(why.contains("rbx by the catalog's words, in rdi by the database"), "{why}");
        let (_, by) = settle(false, Source::Result(1), Some(at("rbx")), None).expect("the catalog's word");
        assert!(by.is_empty());
        assert!(
            settle(false, Source::Result(0), None, None).is_err_and(|Failure(code, _)| code == Code::NoPlace)
        );
    }

    #[test]
    fn the_stack_is_counted_from_the_stack_pointer_at_the_site() {
        let claim = Claim { place: Place::Stack(16), size: Some(20) };
        let at = |arch, at| words(&claim, arch, at).expect("words");
        let three = |first: u64| vec![Word::Stack(first), Word::Stack(first + 8), Word::Stack(first + 16)];
        assert_eq!(at(Arch::Amd64, At::Entry), three(24));
        assert_eq!(at(Arch::Amd64, At::Exit), three(24));
        assert_eq!(at(Arch::Amd64, At::AfterCall), three(16));
        assert_eq!(at(Arch::Arm64, At::Entry), three(24));
        assert_eq!(at(Arch::Arm64, At::AfterCall), three(24));
        assert!(words(&Claim { size: None, ..claim.clone() }, Arch::Amd64, At::Entry).is_err());
        assert!(words(&Claim { size: Some(4096), ..claim }, Arch::Amd64, At::Entry).is_err());
    }

    #[test]
    fn as_many_registers_are_kept_as_the_values_need() {
        let value = |words: &[&str]| Value {
            name: "v".to_owned(),
            source: "result 0".to_owned(),
            words: words.iter().map(|word| Word::try_from((*word).to_owned()).expect("a word")).collect(),
            witnesses: Vec::new(),
        };
        let kept = |words: &[&str], arch| results_kept(&[value(words)], arch).ok();
        assert_eq!(kept(&["rbx", "rcx"], Arch::Amd64), Some(3));
        assert_eq!(kept(&["sp+0", "sp+8"], Arch::Amd64), Some(0));
        assert_eq!(kept(&["r1"], Arch::Arm64), Some(2));
        assert_eq!(kept(&["xmm0"], Arch::Amd64), None);
    }
}
