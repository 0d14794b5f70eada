//! What the programs of both sides need to know of a binary, from the Plan.

use analyzer::{
    Plan,
    plan::{self, Function, Site, When},
};
use runtime_ebpf::{abi::CHECK_NONE, grpc::StatusFields};

use crate::libraries::{
    library::ConfigError,
    values::{ANYWHERE, needed, offset, offset_of_half, role, stack_check},
};

/// A library's part of a Plan.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Catalog id.
    pub id: &'static str,
    /// What the Plan says of it.
    pub library: &'a plan::Library,
    /// All of it.
    pub plan: &'a Plan,
}

impl<'a> Part<'a> {
    /// The function of a role.
    pub fn role(&self, name: &str) -> Option<&'a Function> {
        role(self.library, name)
    }

    /// The first site of a role without which nothing works.
    pub fn site(&self, name: &'static str) -> Result<&'a Site, ConfigError> {
        let site = self.role(name).and_then(|role| role.sites.first());
        site.ok_or(ConfigError::NoSite { library: self.id, role: name })
    }

    /// Which flags mean at the site that its function will start again.
    pub fn check(&self, site: &Site) -> u8 {
        if site.when == When::Entry { stack_check(self.plan.arch, &site.bytes) } else { CHECK_NONE }
    }

    /// The offset of a field; `NO_OFFSET` where it is not known.
    pub fn offset(&self, type_name: &str, field: &str, limit: u64) -> u16 {
        offset(self.library, type_name, field, limit)
    }

    /// The same of four bytes.
    pub fn offset_of_half(&self, type_name: &str, field: &str) -> u16 {
        offset_of_half(self.library, type_name, field, ANYWHERE)
    }

    /// The offset of a field without which nothing works.
    pub fn required(
        &self,
        type_name: &'static str,
        field: &'static str,
        limit: u64,
    ) -> Result<u16, ConfigError> {
        needed(self.library, self.id, (type_name, field), limit)
    }

    /// The address of an itab in the file; 0 where it is not known, or not there.
    pub fn itab(&self, interface: &str, concrete: &str) -> u64 {
        let is_it = |itab: &&plan::Itab| itab.interface == interface && itab.concrete == concrete;
        self.library.itabs.iter().find(is_it).and_then(|itab| itab.vaddr).unwrap_or(0)
    }

    /// The same of a type's descriptor.
    pub fn vaddr(&self, type_name: &str) -> u64 {
        let types = &self.library.types;
        types.iter().find(|t| t.type_name == type_name).and_then(|t| t.vaddr).unwrap_or(0)
    }

    /// Where a status lies.
    pub fn status(&self) -> Result<StatusFields, ConfigError> {
        const PROTO: &str = "google.golang.org/genproto/googleapis/rpc/status.Status";
        Ok(StatusFields {
            proto: self.required("google.golang.org/grpc/internal/status.Status", "s", ANYWHERE)?,
            code: self.required(PROTO, "Code", ANYWHERE)?,
            message: self.offset(PROTO, "Message", ANYWHERE),
            reserved: 0,
        })
    }
}
