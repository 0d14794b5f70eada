//! Build information: the bytes are what stands behind the magic.
#![no_main]

use analyzer::go::buildinfo;
use analyzer::image::Image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let file = analyzer_fuzz::elf(&[b"\xff Go buildinf:", data].concat(), false);
    let image = Image::parse(&file).expect("the wrapping is well formed");
    if let Ok(Some(info)) = buildinfo::read(&image) {
        let _ = (info.minor(), info.modules().map(analyzer::plan::Module::from).count());
    }
});
