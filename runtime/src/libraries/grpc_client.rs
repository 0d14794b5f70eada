//! `google.golang.org/grpc.client`: gRPC's client.

/// The library.
pub const LIBRARY: super::grpc::client::GrpcClient = super::grpc::client::GrpcClient;
