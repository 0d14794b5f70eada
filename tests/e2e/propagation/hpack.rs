//! What the programs write into a header block is what Go reads there: the library's own decoder is the judge.

use std::process::Command;

use anyhow::{Result, ensure};
use runtime_ebpf::hpack::{FIELD_AT, FIELD_WORDS, field};
use runtime_ebpf::trace_parent::TraceParent;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::spans::hex;

const DECODER: &str = r#"package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"golang.org/x/net/http2/hpack"
)

func main() {
	for _, arg := range os.Args[1:] {
		block, err := hex.DecodeString(arg)
		if err != nil {
			panic(err)
		}
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { fmt.Println(f.Name, f.Value) })
		if _, err := d.Write(block); err != nil {
			panic(err)
		}
		if err := d.Close(); err != nil {
			panic(err)
		}
	}
}
"#;

#[test]
fn gos_decoder_reads_what_is_written() -> Result<()> {
    let (mut fields, mut due) = (Vec::new(), String::new());
    for nth in 0..1_000_u64 {
        let digits = |seed: u64| (nth + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(nth as u32);
        let parent =
            TraceParent { trace_id: [digits(1), digits(2)], span_id: digits(3), flags: (nth & 0xff) as u8 };
        let mut words = [0_u32; FIELD_WORDS];
        let bytes = field(&parent, |at, word| words[at as usize] = word);
        let memory = words.map(u32::to_ne_bytes);
        fields.push(hex(&memory.as_flattened()[FIELD_AT..FIELD_AT + bytes as usize]));
        let [first, second, span] = [digits(1), digits(2), digits(3)].map(|word| hex(&word.to_ne_bytes()));
        due += &format!("traceparent 00-{first}{second}-{span}-{:02x}\n", nth & 0xff);
    }
    let files = &[("main.go", DECODER)];
    let modules = &[("golang.org/x/net", "v0.44.0")];
    let decoder = Recipe { modules, ..Recipe::server(go(24), files) }.build()?;
    let out = machine::run(Command::new(decoder).args(fields))?;
    let read = String::from_utf8_lossy(&out.stdout);
    ensure!(read == due, "{}", read.lines().zip(due.lines()).find(|(a, b)| a != b).map_or("", |(a, _)| a));
    Ok(())
}
