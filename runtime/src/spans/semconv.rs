//! The names of the semantic conventions, version 1.45.0, that the agent uses: a table, and nothing else.

/// Schema of everything the agent emits.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// Instrumentation scopes, one per library.
pub mod scope {
    /// `database/sql`.
    pub const DATABASE_SQL: &str = "strobe/database/sql";
    /// `net/http` server and client.
    pub const NET_HTTP: &str = "strobe/net/http";
    /// `golang.org/x/net/http2` server and client.
    pub const X_NET_HTTP2: &str = "strobe/golang.org/x/net/http2";
    /// `github.com/segmentio/kafka-go`.
    pub const KAFKA_GO: &str = "strobe/github.com/segmentio/kafka-go";
    /// gRPC server and client.
    pub const GRPC: &str = "strobe/google.golang.org/grpc";
}

/// Methods that `http.request.method` may hold unless the configuration names others.
pub const KNOWN_METHODS: &[&str] =
    &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
/// What stands for any other, and for a gRPC method that its server does not have.
pub const METHOD_OTHER: &str = "_OTHER";
/// `error.type` of an error whose type is not known.
pub const ERROR_OTHER: &str = "_OTHER";
/// `error.type` of a handler that panicked before it wrote an error status.
pub const ERROR_PANIC: &str = "panic";

/// Query keys whose values are taken for credentials unless the configuration names others: the value is replaced by
/// [`REDACTED`]. The conventions name those of cloud storage's signed URLs; the others are what applications, OAuth and OpenID
/// Connect put into URLs. Compared without regard to case.
pub const SENSITIVE_QUERY_KEYS: &[&str] = &[
    // Signed URLs.
    "AWSAccessKeyId",
    "GoogleAccessId",
    "Key-Pair-Id",
    "Signature",
    "sig",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Credential",
    "X-Goog-Signature",
    // OAuth 2 and OpenID Connect.
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "id_token",
    "id_token_hint",
    "refresh_token",
    "SAMLRequest",
    "SAMLResponse",
    "ticket",
    // Applications.
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "bearer",
    "credential",
    "credentials",
    "csrf_token",
    "hmac",
    "jwt",
    "key",
    "otp",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "private_key",
    "pwd",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sid",
    "token",
];
/// Replaces a sensitive value.
pub const REDACTED: &str = "REDACTED";

macro_rules! names {
    ($($ident:ident = $name:literal,)+) => { $(#[doc = concat!("`", $name, "`")] pub const $ident: &str = $name;)+ };
}

names! {
    CLIENT_ADDRESS = "client.address",
    CONTAINER_ID = "container.id",
    DB_NAMESPACE = "db.namespace",
    DB_OPERATION_NAME = "db.operation.name",
    DB_QUERY_SUMMARY = "db.query.summary",
    DB_QUERY_TEXT = "db.query.text",
    DB_RESPONSE_STATUS_CODE = "db.response.status_code",
    DB_SYSTEM_NAME = "db.system.name",
    ERROR_TYPE = "error.type",
    HOST_ARCH = "host.arch",
    HOST_ID = "host.id",
    HOST_NAME = "host.name",
    HTTP_REQUEST_METHOD = "http.request.method",
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original",
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count",
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code",
    HTTP_ROUTE = "http.route",
    KAFKA_MESSAGE_KEY = "kafka.message.key",
    KAFKA_OFFSET = "kafka.offset",
    MESSAGING_BATCH_MESSAGE_COUNT = "messaging.batch.message_count",
    MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name",
    MESSAGING_DESTINATION_NAME = "messaging.destination.name",
    MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id",
    MESSAGING_OPERATION_NAME = "messaging.operation.name",
    MESSAGING_OPERATION_TYPE = "messaging.operation.type",
    MESSAGING_SYSTEM_NAME = "messaging.system.name",
    NETWORK_PEER_ADDRESS = "network.peer.address",
    NETWORK_PEER_PORT = "network.peer.port",
    NETWORK_PROTOCOL_VERSION = "network.protocol.version",
    OS_TYPE = "os.type",
    PROCESS_CREATION_TIME = "process.creation.time",
    PROCESS_EXECUTABLE_NAME = "process.executable.name",
    PROCESS_EXECUTABLE_PATH = "process.executable.path",
    PROCESS_PID = "process.pid",
    PROCESS_RUNTIME_NAME = "process.runtime.name",
    PROCESS_RUNTIME_VERSION = "process.runtime.version",
    RPC_METHOD = "rpc.method",
    RPC_METHOD_ORIGINAL = "rpc.method_original",
    RPC_STATUS_CODE = "rpc.status_code",
    RPC_SYSTEM_NAME = "rpc.system.name",
    SERVER_ADDRESS = "server.address",
    SERVER_PORT = "server.port",
    SERVICE_INSTANCE_ID = "service.instance.id",
    SERVICE_NAME = "service.name",
    SERVICE_VERSION = "service.version",
    TELEMETRY_DISTRO_NAME = "telemetry.distro.name",
    TELEMETRY_DISTRO_VERSION = "telemetry.distro.version",
    TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language",
    TELEMETRY_SDK_NAME = "telemetry.sdk.name",
    TELEMETRY_SDK_VERSION = "telemetry.sdk.version",
    URL_FULL = "url.full",
    URL_PATH = "url.path",
    URL_QUERY = "url.query",
    URL_SCHEME = "url.scheme",
    USER_AGENT_ORIGINAL = "user_agent.original",
}
