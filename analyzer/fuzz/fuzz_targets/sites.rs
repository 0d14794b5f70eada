//! Probe sites in code: the bytes are the code, read as either machine's, with and without a frame.
#![no_main]

use analyzer::go::functions::Run;
use analyzer::image::Image;
use analyzer::sites::calls::{self, Callees, Question};
use analyzer::sites::{self, Code, slots};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[end, back], bytes)) = data.split_first_chunk::<2>() else { return };
    if bytes.is_empty() {
        return;
    }
    for arm64 in [false, true] {
        let file = analyzer_fuzz::elf(bytes, arm64);
        let image = Image::parse(&file).expect("the wrapping is well formed");
        let len = bytes.len() as u64;
        let (end, back) = (u64::from(end), u64::from(back));
        let pcsp = vec![
            Run { start: 0, end, value: 0 },
            Run { start: end, end: back, value: 8 },
            Run { start: back, end: len, value: 0 },
        ];
        for frame_end in [None, usize::try_from(end).ok()] {
            let code = Code { vaddr: analyzer_fuzz::BASE, bytes, pcsp: pcsp.clone(), frame_end };
            let targets = [analyzer_fuzz::BASE, analyzer_fuzz::BASE + len / 2];
            for site in
                sites::entry(&image, &code).into_iter().chain(sites::exits(&image, &code).unwrap_or_default())
            {
                assert!(site.vaddr >= analyzer_fuzz::BASE && site.vaddr < analyzer_fuzz::BASE + len);
            }
            // Every bit of the second byte switches something.
            let on = |bit: u32| back >> bit & 1 == 1;
            for callees in [Callees::Functions(&targets), Callees::Method(back as u8 & 3), Callees::Closure] {
                let asked = Question {
                    callees,
                    by_name: &targets,
                    counts: &|offset| !on(4) || offset as u64 >= end,
                    is_compiled: &|_| on(5),
                    is_guard: &|vaddr| vaddr == targets[1],
                    results: back as u8 & 15,
                    also_reached: on(6),
                    stepped: on(7),
                    repeats: on(3),
                    cases: on(4),
                };
                let _ = calls::after_calls(&image, &code, &asked);
                let _ = calls::at_calls(&image, &code, &asked);
                let _ = calls::not_nil_after_calls(&image, &code, &asked, back as u8 & 15);
            }
            let _ = slots::results(&image, &code, targets[1]);
        }
    }
});
