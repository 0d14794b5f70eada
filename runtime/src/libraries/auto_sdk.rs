//! `go.opentelemetry.io/auto/sdk`: the Auto SDK as a module, to which the API's global tracer hands spans, too.

use runtime_ebpf::libraries::AUTO_SDK;

use super::made::ByHand;

/// The library.
pub const LIBRARY: ByHand = ByHand {
    kernel: AUTO_SDK,
    programs: &[("start", "auto_sdk_start"), ("end", "auto_sdk_end")],
    telling: &[("start", "auto_sdk_start_telling")],
    file_map: "AUTO_SDK_FILES",
};
