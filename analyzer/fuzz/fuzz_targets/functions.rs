//! pclntab: header, functab, names, pc-value tables, inline trees, argument words. The bytes follow the magic.
#![no_main]

use analyzer::go::inline::{self, Trees};
use analyzer::go::wanted::Names;
use analyzer::go::{functions::Functions, pclntab};
use analyzer::image::Image;
use analyzer::sites::{self, Code};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&flags, data)) = data.split_first() else { return };
    let (arm64, since_120) = (flags & 1 == 1, flags & 2 == 2);
    let magic = if since_120 { 0xf1 } else { 0xf0 };
    let header = [magic, 0xff, 0xff, 0xff, 0, 0, if arm64 { 4 } else { 1 }, 8];
    let file = analyzer_fuzz::elf(&[&header, data].concat(), arm64);
    let image = Image::parse(&file).expect("the wrapping is well formed");
    let module = analyzer_fuzz::module(data.len(), true);
    for header in pclntab::locate(&image).headers {
        let Ok(functions) = Functions::open(&image, header, &module) else { continue };
        let Ok(wanted) = functions.name_offsets(&Names::new(["main.main", "a", ""])) else { return };
        let mut trees = Trees::default();
        for function in functions.iter().take(1000) {
            trees.add(&functions, &function);
            let _ = (
                functions.name(&function),
                functions.arg_shape(&function),
                functions.inline_tree_len(&function),
            );
            let Some(code) = Code::read(&image, &functions, function) else { continue };
            let _ = (sites::entry(&image, &code), sites::exits(&image, &code));
        }
        let _ = inline::find(&image, &functions, &wanted, trees);
    }
});
