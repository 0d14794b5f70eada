//! Network namespaces: two islands of two namespaces each, with equal addresses, and few ports, so that connections of both islands have
//! equal ones, too. The same programs run on both.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Two namespaces that reach each other.
pub struct Island {
    pub near: String,
    pub far: String,
}

/// The addresses, which are the same on each island.
pub const NEAR: &str = "10.77.0.1";
pub const FAR: &str = "10.77.0.2";

impl Island {
    /// Makes one. Needs root.
    pub fn new(nth: u32) -> Result<Self> {
        let name = |side| format!("strobe-{}-{nth}-{side}", std::process::id());
        let island = Self { near: name("near"), far: name("far") };
        for namespace in [&island.near, &island.far] {
            ip(&["netns", "add", namespace])?;
        }
        let (near, far) = (island.near.as_str(), island.far.as_str());
        ip(&["link", "add", "near", "netns", near, "type", "veth", "peer", "name", "far", "netns", far])?;
        for (namespace, link, address) in [(near, "near", NEAR), (far, "far", FAR)] {
            let address = format!("{address}/24");
            ip(&["-n", namespace, "addr", "add", &address, "dev", link])?;
            for link in [link, "lo"] {
                ip(&["-n", namespace, "link", "set", link, "up"])?;
            }
            let ports = "echo 40000 40511 > /proc/sys/net/ipv4/ip_local_port_range";
            ip(&["netns", "exec", namespace, "sh", "-c", ports])?;
        }
        Ok(island)
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // It may not have been made.
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let out = Command::new("ip").args(args).output().context("running ip (the package iproute2)")?;
    ensure!(out.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    Ok(())
}
