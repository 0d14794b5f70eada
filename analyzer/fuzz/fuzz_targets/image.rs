//! ELF headers, notes, relocations: the bytes are the file.
#![no_main]

use analyzer::GoImage;
use analyzer::go::notes;
use analyzer::image::Image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(image) = Image::parse(data) {
        let _ = notes::build_id(&image);
        for segment in &image.segments {
            for at in (0..64).map(|i| segment.vaddr.wrapping_add(i * 8)) {
                let _ = (image.pointer(at), image.file_offset(at), image.tail(at).map(<[u8]>::len));
            }
        }
        for section in &image.sections {
            let _ = image.section_bytes(section).map(<[u8]>::len);
        }
    }
    let _ = GoImage::parse(data).map(|go| go.build);
});
