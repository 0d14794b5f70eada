//! A minimal ELF that is taken for a Go 1.24 server on amd64, whose tables a test fills with what no linker writes.
//!
//! ```text
//! 0        0x1000      …         …           …              …           …             …
//! ELF      build info  text      funcdata    types          typelinks,  pclntab       moduledata
//! header                         (gofunc)                   itabs
//! ```
//! One segment maps the whole file at [`BASE`].

/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
const TFLAG_UNCOMMON: u8 = 1;
const TFLAG_NAMED: u8 = 4;

/// The functions in the table, by name.
const PROBED: &str = "net/http.(*conn).serve";
pub const OUTER: &str = "main.f";
/// The shortest name that is asked for in every file.
const SHORT: &str = "plugin.open";

/// Where the first one's name is.
const PROBED_NAME: u32 = 1;

/// What a test decides about the file.
#[derive(Default)]
pub struct Forged {
    /// How many functions named [`OUTER`] there are; one [`PROBED`] stands before them.
    pub outers: u64,
    /// How many more functions named [`PROBED`] there are behind them.
    pub copies: u64,
    /// How often [`SHORT`] stands in the table of names.
    pub repeats: usize,
    /// How many entries the inline tree has that all of those share; each says that [`PROBED`] was inlined.
    pub tree_entries: u64,
    /// The function whose name those entries have, if not [`PROBED`]; it is in the table of names alone.
    pub inlined: &'static str,
    /// The inline index's pc-value table of those, behind the byte that all tables begin with.
    pub pctab: Vec<u8>,
    /// Functions behind all of those: name and code. Each takes one word.
    pub more: Vec<(&'static str, Vec<u8>)>,
    /// Whether the last of them has the inline tree, and its index.
    pub last_has_tree: bool,
    /// How many dependencies the build information lists.
    pub dependencies: usize,
    /// How many zeros follow behind all tables.
    pub padding: usize,
    /// The type data.
    pub types: Types,
    /// Addresses of descriptors that typelinks names.
    pub links: Vec<u64>,
    /// Addresses of interface and concrete type.
    pub itabs: Vec<(u64, u64)>,
}

fn align(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}

fn words(out: &mut Vec<u8>, words: &[u64]) {
    words.iter().for_each(|w| out.extend(w.to_le_bytes()));
}

fn halves(out: &mut Vec<u8>, halves: &[u32]) {
    halves.iter().for_each(|w| out.extend(w.to_le_bytes()));
}

/// As Go's tables have it.
pub fn uvarint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("7 bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("7 bits"));
    out
}

fn half(value: usize) -> u32 {
    u32::try_from(value).expect("a small file")
}

fn vaddr(at: usize) -> u64 {
    BASE + at as u64
}

/// Where type data begins.
const TYPES: usize = 0x10_0000;

/// Type descriptors in the making.
pub struct Types(Vec<u8>);

impl Default for Types {
    fn default() -> Self {
        Types(vec![0; 16])
    }
}

impl Types {
    fn here(&mut self) -> u64 {
        align(&mut self.0, 8);
        vaddr(TYPES + self.0.len())
    }

    /// A name, by its offset.
    pub fn name(&mut self, text: &str) -> u32 {
        let at = half(self.0.len());
        self.0.push(0);
        self.0.extend(uvarint(text.len() as u64));
        self.0.extend(text.as_bytes());
        at
    }

    fn head(&mut self, kind: u8, name: u32, tflag: u8) -> u64 {
        let at = self.here();
        words(&mut self.0, &[8, 0]);
        self.0.extend([0, 0, 0, 0, tflag, 8, 8, kind]);
        words(&mut self.0, &[0, 0]);
        halves(&mut self.0, &[name, 0]);
        at
    }

    fn uncommon(&mut self, package: u32) {
        halves(&mut self.0, &[package, 0, 16, 0]);
    }

    /// A predeclared type.
    pub fn basic(&mut self, name: &str) -> u64 {
        let name = self.name(name);
        self.head(2, name, TFLAG_NAMED)
    }

    /// `func(parameters)`.
    pub fn func(&mut self, parameters: &[u64]) -> u64 {
        let at = self.head(19, 0, 0);
        halves(&mut self.0, &[half(parameters.len()), 0]);
        words(&mut self.0, parameters);
        at
    }

    fn with_elem(&mut self, kind: u8, elem: u64) -> u64 {
        let at = self.head(kind, 0, 0);
        words(&mut self.0, &[elem]);
        at
    }

    /// `*elem`.
    pub fn pointer(&mut self, elem: u64) -> u64 {
        self.with_elem(22, elem)
    }

    /// `[]elem`.
    pub fn slice(&mut self, elem: u64) -> u64 {
        self.with_elem(23, elem)
    }

    /// `map[key]elem`; its group is of 8 bytes as all these types are, which shows the layout of Go 1.24.
    pub fn map(&mut self, key: u64, elem: u64) -> u64 {
        let at = self.head(21, 0, 0);
        words(&mut self.0, &[key, elem, key, 0, 8, 8, 8, 0]);
        at
    }

    /// A defined interface without methods.
    pub fn interface(&mut self, name: u32, package: u32) -> u64 {
        let at = self.head(20, name, TFLAG_NAMED | TFLAG_UNCOMMON);
        words(&mut self.0, &[0, 0, 0, 0]);
        self.uncommon(package);
        at
    }

    /// A table of fields.
    pub fn fields(&mut self, fields: impl IntoIterator<Item = (u32, u64, u64)>) -> (u64, u64) {
        let (at, mut count) = (self.here(), 0);
        for (name, field_type, offset) in fields {
            words(&mut self.0, &[vaddr(TYPES) + u64::from(name), field_type, offset]);
            count += 1;
        }
        (at, count)
    }

    /// A defined struct with such a table.
    pub fn structure(&mut self, name: u32, package: u32, (table, count): (u64, u64)) -> u64 {
        let at = self.head(25, name, TFLAG_NAMED | TFLAG_UNCOMMON);
        words(&mut self.0, &[0, table, count, count]);
        self.uncommon(package);
        at
    }

    /// Types with 16,000 bytes of name each, which together just fit into the longest full name.
    pub fn long_names(&mut self) -> Vec<u64> {
        ["a", "b", "c", "d"].map(|letter| self.basic(&letter.repeat(16_000))).into()
    }
}

impl Forged {
    /// The file.
    pub fn build(mut self) -> Vec<u8> {
        let mut out = vec![0; 0x1000];
        out.extend(b"\xff Go buildinf:\x08\x02");
        out.extend([0; 16]);
        out.extend(b"\x08go1.24.0");
        let modules =
            [[b's'; 16].as_slice(), &b"dep\ta\tv\n".repeat(self.dependencies), &[b's'; 16]].concat();
        out.extend(uvarint(modules.len() as u64));
        out.extend(modules);
        align(&mut out, 64);
        let text = out.len();
        out.push(0x55);
        let few = usize::try_from(self.outers + self.copies + 1).expect("few") * 16;
        out.extend(vec![0xc3; if self.more.is_empty() { 4095 } else { few - 1 }]);
        self.more.iter().for_each(|(_, code)| out.extend(code));
        let etext = out.len();
        align(&mut out, 16);
        let gofunc = out.len();
        let inlined = if self.inlined.is_empty() { PROBED_NAME } else { self.names().1 };
        for _ in 0..self.tree_entries {
            halves(&mut out, &[0, inlined, 0, 0]);
        }
        let one_word = half(out.len() - gofunc);
        out.extend([0, 8, 0xff]);
        assert!(out.len() <= TYPES, "the tables before the types are too big");
        out.resize(TYPES, 0);
        if self.links.is_empty() {
            let int = self.types.basic("int");
            self.links.push(int);
        }
        out.append(&mut self.types.0);
        align(&mut out, 8);
        let etypes = out.len();
        let links: Vec<u32> =
            self.links.iter().map(|l| u32::try_from(l - vaddr(TYPES)).expect("an offset")).collect();
        halves(&mut out, &links);
        align(&mut out, 8);
        let itabs = out.len();
        self.itabs.iter().for_each(|&(interface, concrete)| words(&mut out, &[interface, concrete]));
        let itablinks = out.len();
        (0..self.itabs.len()).for_each(|i| words(&mut out, &[vaddr(itabs + 16 * i)]));
        align(&mut out, 8);
        let pclntab = out.len();
        let [names, pctab, functab] = self.pclntab(&mut out, vaddr(text), one_word);
        let mut module = [0; 88];
        let at = [(0, pclntab), (1, names), (10, pctab), (13, functab), (16, functab), (22, text)];
        at.iter().for_each(|&(word, place)| module[word] = vaddr(place));
        (module[23], module[26], module[27]) = (vaddr(etext), vaddr(out.len()), vaddr(out.len() + 8));
        (module[37], module[38], module[40]) = (vaddr(TYPES), vaddr(etypes), vaddr(gofunc));
        (module[44], module[45]) = (vaddr(etypes), self.links.len() as u64);
        (module[47], module[48]) = (vaddr(itablinks), self.itabs.len() as u64);
        (module[17], module[66]) = (self.outers + self.copies + self.more.len() as u64 + 2, 1);
        words(&mut out, &module);
        out.resize(out.len() + self.padding, 0);
        header(&mut out, text);
        out
    }

    /// The table of names, where the inlined one is in it, and where those of `more` are.
    fn names(&self) -> (String, u32, Vec<u32>) {
        let mut all = format!("\0{PROBED}\0{OUTER}\0");
        let mut add = |name: &str| {
            let at = half(all.len());
            all += &format!("{name}\0");
            at
        };
        let inlined = add(self.inlined);
        let more = self.more.iter().map(|(name, _)| add(name)).collect();
        all += &format!("{SHORT}\0").repeat(self.repeats);
        (all, inlined, more)
    }

    /// Where its parts are.
    fn pclntab(&self, out: &mut Vec<u8>, text_vaddr: u64, one_word: u32) -> [usize; 3] {
        let start = out.len();
        let names = 96;
        let outer = PROBED_NAME + half(PROBED.len()) + 1;
        let (all, _, more) = self.names();
        let pctab = (names + all.len()).next_multiple_of(8);
        let functab = (pctab + 1 + self.pctab.len()).next_multiple_of(8);
        halves(out, &[0xffff_fff1, 0x0801_0000]);
        let few = self.outers + self.copies + 1;
        let count = few + more.len() as u64;
        let tables = [names, pctab, pctab, pctab, functab].map(|at| at as u64);
        words(out, &[&[count, 0, text_vaddr], &tables[..]].concat());
        out.resize(start + names, 0);
        out.extend(all.as_bytes());
        out.resize(start + pctab, 0);
        out.push(0);
        out.extend(&self.pctab);
        out.resize(start + functab, 0);
        let records = half(usize::try_from(count).expect("few") * 8 + 8);
        // The probed function has no funcdata (44 bytes); the others share a record: three pcdata, four funcdata.
        for i in 0..few {
            let record = if (1..=self.outers).contains(&i) { records + 44 } else { records };
            halves(out, &[u32::try_from(i * 16).expect("few"), record]);
        }
        let (mut at, mut record) = (u32::try_from(few * 16).expect("few"), records + 44 + 72);
        for (_, code) in &self.more {
            halves(out, &[at, record]);
            (at, record) = (at + half(code.len()), record + 80);
        }
        halves(out, &[at, 0]);
        halves(out, &[0, PROBED_NAME, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        halves(out, &[0, outer, 0, 0, 0, 0, 0, 3, 0, 0, 4 << 24]);
        halves(out, &[0, 0, 1]);
        halves(out, &[u32::MAX, u32::MAX, u32::MAX, 0]);
        for (i, name) in more.iter().enumerate() {
            let has_tree = self.last_has_tree && i + 1 == more.len();
            halves(out, &[0, *name, 0, 0, 0, 0, 0, 3, 0, 0, 6 << 24]);
            halves(out, &[0, 0, u32::from(has_tree)]);
            let tree = if has_tree { 0 } else { u32::MAX };
            halves(out, &[u32::MAX, u32::MAX, u32::MAX, tree, u32::MAX, one_word]);
        }
        align(out, 8);
        [start + names, start + pctab, start + functab]
    }
}

fn header(out: &mut [u8], entry: usize) {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    halves(&mut head, &[2 | 62 << 16, 1]);
    words(&mut head, &[vaddr(entry), 64, 0]);
    halves(&mut head, &[0, 64 | 56 << 16, 1 | 64 << 16, 0]);
    halves(&mut head, &[1, 7]);
    let len = out.len() as u64;
    words(&mut head, &[0, BASE, BASE, len, len, 4096]);
    out[..head.len()].copy_from_slice(&head);
}
