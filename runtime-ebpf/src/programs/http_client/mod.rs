//! What the libraries that call over HTTP share: a span for each round trip, from the entry of the function that makes it to where
//! headers have arrived.
//!
//! ```text
//! start   the round trip's function entered      ► KIND_BEGAN
//! conn    behind the search for a connection: an error is the end ► KIND_FAILED; one for what has failed already ► KIND_RESUMED;
//!         over HTTP/1.x it is noted who sends over it from now on
//! stream  a stream of HTTP/2 is about to be sent: it is noted who sends it
//! end     behind the connection's round trip     ► KIND_ENDED or KIND_FAILED
//! header  a request is about to be written         ► its line, where requests carry the context ([`carry`])
//! frame   HTTP/2's framer has a header together     ► its field
//! ```
//! All but `stream`, `header` and `frame` are hits on the caller's goroutine, which is the key. Round trips are repeated by the library in one call, where an old
//! connection turned out to be dead: a failure leaves the entry open for another end ([`records`]).
//!
//! [`records`]: runtime_ebpf::http_client::records

pub mod arrive;
pub mod carry;
pub mod connect;
pub mod end;
pub mod flight;
pub mod start;

pub use arrive::{arrive, arrive_at_copy, arrive_at_start, arrive_at_stream, bias, outcome};
pub use flight::count;

/// The maps of a library: what stands for it here, its constant, its table's, and the maps' names.
macro_rules! http_client {
    ($client:ident $library:ident $number:ident $files:ident; $($maps:ident)+) => {
        use aya_ebpf::{
            macros::{map, uprobe},
            maps::Array,
            programs::ProbeContext,
        };
        use runtime_ebpf::{
            abi::MAX_FILES,
            http_client::{DEFAULT_ENTRIES, File},
            libraries::{self, $library},
        };

        use super::http_client::{
            self,
            end::{self, Outcome},
            flight::{self, Client, Flight},
        };
        use crate::in_flight::table;

        /// The library.
        pub struct $client;

        #[map]
        static $files: Array<File> = Array::with_max_entries(MAX_FILES, 0);

        table! { $client $number Flight, DEFAULT_ENTRIES; $($maps)+ }

        impl Client for $client {
            const LIBRARY: libraries::Library = $library;

            #[inline(always)]
            fn files() -> &'static Array<File> {
                &$files
            }
        }
    };
}
pub(super) use http_client;
