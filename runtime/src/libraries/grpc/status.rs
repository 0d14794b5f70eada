//! gRPC's status codes, by the names that the conventions want.

/// In the order of their numbers.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code of a method that is not there.
pub const UNIMPLEMENTED: u32 = 12;

/// The name of a code; `None`: gRPC has none of that number.
pub fn name(code: u32) -> Option<&'static str> {
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).copied()
}

/// Whether a server that answers with it has failed: the others tell its client of a mistake, or that there is nothing. A code that
/// gRPC does not have is its application's own.
pub fn is_servers_fault(code: u32) -> bool {
    let faults = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    name(code).is_some_and(|name| faults.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names() {
        assert_eq!(name(0), Some("OK"));
        assert_eq!(name(UNIMPLEMENTED), Some("UNIMPLEMENTED"));
        assert_eq!(name(16), Some("UNAUTHENTICATED"));
        assert_eq!((name(17), name(u32::MAX)), (None, None));
        let faults: Vec<u32> = (0..40).filter(|code| is_servers_fault(*code)).collect();
        assert_eq!(faults, [2, 4, 12, 13, 14, 15]);
    }
}
