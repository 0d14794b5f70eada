//! DWARF of a few bytes: what is read of it, and what it may cost.

use super::*;

/// An ELF file with these sections, uncompressed.
fn elf(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 64];
    let (mut names, mut headers) = (vec![0u8], vec![0u8; 64]);
    let strings = [sections, &[(".shstrtab", &[])]].concat();
    for (name, data) in strings {
        let at = names.len() as u32;
        names.extend([name.as_bytes(), &[0]].concat());
        let is_names = name == ".shstrtab";
        let data = if is_names { names.clone() } else { data.to_vec() };
        let mut header = [0u8; 64];
        header[..4].copy_from_slice(&at.to_le_bytes());
        header[4] = if is_names { 3 } else { 1 };
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
        headers.extend(header);
        file.extend(data);
    }
    let count = (headers.len() / 64) as u8;
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (file[16], file[18], file[20], file[52], file[54]) = (2, 62, 1, 64, 56);
    (file[58], file[60], file[62]) = (64, count, count - 1);
    let at = file.len() as u64;
    file[40..48].copy_from_slice(&at.to_le_bytes());
    file.extend(headers);
    file
}

/// Abbreviations: 1 a unit with a name, 2 a struct with a name, 3 a member with name, offset and type, 4 a base type.
const ABBREVIATIONS: &[u8] = &[
    1, 0x11, 1, 3, 8, 0, 0, 2, 0x13, 1, 3, 8, 0, 0, 3, 0x0d, 0, 3, 8, 0x38, 0x0b, 0x49, 0x13, 0, 0, 4, 0x24,
    0, 3, 8, 0, 0, 0,
];

fn unit(table: u32, entries: &[u8]) -> Vec<u8> {
    let mut out = (entries.len() as u32 + 7).to_le_bytes().to_vec();
    out.extend([4, 0]);
    out.extend(table.to_le_bytes());
    out.push(8);
    out.extend(entries);
    out
}

fn read(info: &[u8], abbreviations: &[u8]) -> Result<Structs> {
    let file = elf(&[(".debug_info", info), (".debug_abbrev", abbreviations)]);
    structs(&file, &HashSet::from(["a.T"]))
}

/// Unit `name`, with struct a.T {int x at 8}: the base type comes first, 3 bytes behind the name.
fn entries(name: &[u8]) -> Vec<u8> {
    let int = (11 + 1 + name.len() + 1) as u32;
    let head = [b"\x01", name, b"\0\x04int\0\x02a.T\0\x03x\0\x08"].concat();
    [head, int.to_le_bytes().to_vec(), vec![0, 0]].concat()
}

#[test]
fn a_struct_is_read_from_any_unit() {
    for name in ["runtime", "other"] {
        let info = [unit(0, b"\x01a\0\0"), unit(0, &entries(name.as_bytes()))].concat();
        let found = read(&info, ABBREVIATIONS).expect("well formed");
        assert_eq!(found.fields.get("a.T"), Some(&vec![("x".to_owned(), 8, "int".to_owned())]), "{name}");
    }
}

#[test]
fn units_that_share_a_table_share_its_memory() {
    // As big a table as the limit allows, a thousand times: parsed each time this would take gigabytes.
    let table: Vec<u8> = (0..1u32 << 18)
        .flat_map(|i| [0x80 | i as u8, 0x80 | (i >> 7) as u8, (i >> 14) as u8 | 0x40, 0x11, 0, 0, 0])
        .collect();
    let info = unit(0, &[0]).repeat(1000);
    assert!(read(&info, &table).expect("within the limits").fields.is_empty());
}

#[test]
fn too_many_units_are_an_error() {
    let error = read(&unit(0, &[0]).repeat((1 << 18) + 1), ABBREVIATIONS).expect_err("too many");
    assert_eq!(error.to_string(), "too big: 262145 DWARF units, the limit is 262144");
}

#[test]
fn attributes_without_bytes_are_paid_for() {
    // One entry of one byte has 2^17 attributes that take none (flag_present), and there are 1024 of them.
    let table = [&[1, 0x11, 0][..], &[3, 0x19].repeat(1 << 17), &[0, 0, 0]].concat();
    let error = read(&unit(0, &[1; 1024]), &table).expect_err("too much work");
    assert!(error.to_string().contains("DWARF entries and attributes"), "{error}");
}

#[test]
fn names_are_looked_at_no_further_than_they_can_be_wanted() {
    // A million structs that are all named by the beginning of one string without end: 16 GB to go through.
    let table = [1, 0x13, 0, 3, 0x0e, 0, 0, 0];
    let info = unit(0, &[1, 0, 0, 0, 0].repeat(1 << 20));
    let sections: [(&str, &[u8]); 3] =
        [(".debug_info", &info), (".debug_abbrev", &table), (".debug_str", &[b'a'; 1 << 15])];
    assert!(structs(&elf(&sections), &HashSet::from(["a.T"])).expect("cheap").fields.is_empty());
}

#[test]
fn members_are_kept_up_to_a_limit() {
    let member = b"\x03x\0\x08\x0d\0\0\0";
    let info = unit(0, &[b"\x01a\0\x02a.T\0", &member.repeat(300_000)[..]].concat());
    let error = read(&info, ABBREVIATIONS).expect_err("too many members");
    assert!(error.to_string().contains("members of structs"), "{error}");
}

#[test]
fn structs_of_one_name_that_differ_are_told() {
    let same = [unit(0, &entries(b"runtime")), unit(0, &entries(b"runtime"))].concat();
    let found = read(&same, ABBREVIATIONS).expect("well formed");
    assert!(found.ambiguous.is_empty() && found.fields.len() == 1);
    let mut other = entries(b"runtime");
    let at = other.len() - 7; // the member's offset, in front of its type and two ends
    assert_eq!(other[at], 8);
    other[at] = 16;
    let found = read(&[unit(0, &entries(b"runtime")), unit(0, &other)].concat(), ABBREVIATIONS);
    let found = found.expect("well formed");
    assert_eq!(found.ambiguous, HashSet::from(["a.T".to_owned()]));
}
