//! Type descriptors, their names, fields, maps and itabs: the bytes are the type data.
#![no_main]

use analyzer::go::types::{Kind, Types, closure, itabs, maps};
use analyzer::image::Image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&flags, data)) = data.split_first() else { return };
    if data.is_empty() {
        return;
    }
    let file = analyzer_fuzz::elf(data, false);
    let image = Image::parse(&file).expect("the wrapping is well formed");
    let module = analyzer_fuzz::module(data.len(), flags & 1 == 1);
    let types = Types::new(&image, &module);
    let _ = closure::walk(&types, |t| {
        let _ = (types.short_name(t), types.full_name(t.vaddr), types.fields(t).count());
        if t.kind == Kind::Map {
            let _ = (maps::underlying_name(&types, t), maps::layout(&types, t));
        }
    });
    let _ = itabs::all(&types).count();
});
