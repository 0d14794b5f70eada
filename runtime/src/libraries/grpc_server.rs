//! `google.golang.org/grpc.server`: gRPC's server.

/// The library.
pub const LIBRARY: super::grpc::server::GrpcServer = super::grpc::server::GrpcServer;
