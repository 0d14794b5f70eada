//! The libraries that the programs trace, with the codes by which records, counters and maps name them. A test of the agent holds
//! this table, the agent's own, the catalog and the object's programs together.

use crate::counters::Count;

/// The table: a line per library, with its code (0 is the core's own), its module here and under `programs/`, the constant that
/// names it, and its catalog id. `$then` is a macro that makes something of all lines.
#[macro_export]
macro_rules! libraries {
    ($then:path) => {
        $then! {
            1 net_http_server NET_HTTP_SERVER "net/http.server";
            2 net_http_server_h2 NET_HTTP_SERVER_H2 "net/http.server.h2";
            3 x_net_http2_server X_NET_HTTP2_SERVER "golang.org/x/net/http2.server";
            4 net_http_client NET_HTTP_CLIENT "net/http.client";
            5 x_net_http2_client X_NET_HTTP2_CLIENT "golang.org/x/net/http2.client";
            6 gorilla_mux GORILLA_MUX "github.com/gorilla/mux";
            7 gin GIN "github.com/gin-gonic/gin";
            8 net_http_servemux NET_HTTP_SERVEMUX "net/http.servemux";
            9 grpc_server GRPC_SERVER "google.golang.org/grpc.server";
            10 grpc_client GRPC_CLIENT "google.golang.org/grpc.client";
            11 database_sql DATABASE_SQL "database/sql";
            12 kafka_go KAFKA_GO "github.com/segmentio/kafka-go";
            13 auto_sdk AUTO_SDK "go.opentelemetry.io/auto/sdk";
            14 otel_trace OTEL_TRACE "go.opentelemetry.io/otel/trace";
            15 otel_global OTEL_GLOBAL "go.opentelemetry.io/otel/internal/global";
        }
    };
}

/// A library of the table.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    /// Its code in a record's head and the place of its counters; 0 is the core's own.
    pub code: u16,
    /// Its catalog id.
    pub id: &'static str,
    /// What its programs count, in the order of its counters' numbers.
    pub counters: &'static [Count],
}

impl Library {
    /// Its bit in [`crate::abi::File::libraries`].
    pub const fn bit(&self) -> u64 {
        1 << self.code
    }
}

macro_rules! define {
    ($($code:literal $module:ident $name:ident $id:literal;)+) => {
        $(
            pub mod $module;

            #[doc = concat!("`", $id, "`.")]
            pub const $name: Library =
                Library { code: $code, id: $id, counters: $module::counters::ALL };
        )+

        /// All of them.
        pub const ALL: &[Library] = &[$($name),+];

        /// One more than the highest code.
        pub const CODES: u32 = {
            let mut codes = 0;
            $(if $code >= codes { codes = $code + 1; })+
            codes
        };
    };
}

crate::libraries!(define);
