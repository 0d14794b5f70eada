//! `go.opentelemetry.io/auto/sdk`.

super::made::made! { AUTO_SDK AUTO_SDK_FILES auto_sdk_start auto_sdk_start_telling auto_sdk_end }
