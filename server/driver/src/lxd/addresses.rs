//! An address from outside, for an instance that has no program to ask for one.
//!
//! Instances get their addresses by DHCP, which a program in them has to ask for. Where the default profile's network is a
//! bridge that the engine manages, its addresses are known, and one can be given to an interface when it is made.

use super::reply::ApiError;
use super::transport::Transport;
use crate::types::{Device, GivenAddress, InstanceName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A profile, as far as we need it.
#[derive(Debug, Deserialize)]
struct Profile {
    devices: BTreeMap<String, BTreeMap<String, String>>,
}

/// A network, as far as we need it.
#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default)]
    managed: bool,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

/// An address that is given out.
#[derive(Debug, Deserialize)]
struct Lease {
    #[serde(default)]
    hostname: String,
    address: String,
}

/// The addresses of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Subnet {
    gateway: Ipv4Addr,
    prefix: u32,
}

impl Subnet {
    /// From `10.1.2.1/24`; `None` where it is no address (`none`, `auto`), or too small to have one to spare.
    fn parse(text: &str) -> Option<Self> {
        let (gateway, prefix) = text.split_once('/')?;
        let subnet = Self { gateway: gateway.parse().ok()?, prefix: prefix.parse().ok()? };
        (8..=30).contains(&subnet.prefix).then_some(subnet)
    }

    /// An address that nobody has, of the upper half: what is given out on request begins with the lowest. `name` says where
    /// to begin, so that two who look at once seldom find the same.
    fn free(self, taken: &[Ipv4Addr], name: &str) -> Option<Ipv4Addr> {
        let hosts = u32::MAX >> self.prefix;
        let first = u32::from(self.gateway) & !hosts;
        // The first address is the network's, the last one means all.
        let (low, count) = (hosts / 2 + 1, hosts - (hosts / 2 + 1));
        let begin = name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mut candidates =
            (0..count.min(1000)).map(|step| Ipv4Addr::from(first | (low + begin.wrapping_add(step) % count)));
        candidates.find(|address| *address != self.gateway && !taken.contains(address))
    }
}

/// The profile's only network interface, with the name of the network that it is on.
fn interface(profile: &Profile) -> Option<(String, BTreeMap<String, String>, String)> {
    let is_nic = |keys: &&BTreeMap<String, String>| keys.get("type").is_some_and(|kind| kind == "nic");
    let mut nics = profile.devices.iter().filter(|(_, keys)| is_nic(keys));
    let (name, keys) = nics.next()?;
    let network = keys.get("network").or_else(|| keys.get("parent"))?;
    nics.next().is_none().then(|| (name.clone(), keys.clone(), network.clone()))
}

impl Transport {
    /// `GET /1.0/profiles/default`, `/1.0/networks/NAME` and its leases: an address for `name`; `None` where none can be
    /// given. One that has been given before is given again.
    pub(super) async fn address_for(&self, name: &InstanceName) -> Result<Option<GivenAddress>, ApiError> {
        let profile: Profile = self.get("/1.0/profiles/default").await?;
        let Some((device, mut keys, network_name)) = interface(&profile) else { return Ok(None) };
        let network: Network = match self.get(&format!("/1.0/networks/{network_name}")).await {
            Err(error) if error.is_not_found() => return Ok(None),
            network => network?,
        };
        let subnet = network.config.get("ipv4.address").and_then(|text| Subnet::parse(text));
        let Some(subnet) = subnet.filter(|_| network.managed && network.kind == "bridge") else {
            return Ok(None);
        };
        let leases: Vec<Lease> = self.get(&format!("/1.0/networks/{network_name}/leases")).await?;
        let address = |lease: &Lease| lease.address.parse::<Ipv4Addr>().ok();
        let own = leases.iter().filter(|lease| lease.hostname == name.as_str()).find_map(address);
        let taken: Vec<Ipv4Addr> = leases.iter().filter_map(address).collect();
        let Some(address) = own.or_else(|| subnet.free(&taken, name.as_str())) else { return Ok(None) };
        // So that nobody else gets it.
        keys.insert("ipv4.address".into(), address.to_string());
        let lxc = format!(
            "lxc.net.0.ipv4.address = {address}/{}\nlxc.net.0.ipv4.gateway = {}\n",
            subnet.prefix, subnet.gateway
        );
        Ok(Some(GivenAddress {
            config: BTreeMap::from([("raw.lxc".into(), lxc)]),
            devices: BTreeMap::from([(device, Device::Raw(keys))]),
            resolver: Some(subnet.gateway.to_string()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nobody_has_is_given() {
        let subnet = Subnet::parse("10.1.2.1/24").unwrap();
        let address = |last| Ipv4Addr::new(10, 1, 2, last);
        let found = subnet.free(&[], "codchi-store-1").unwrap();
        assert_eq!(subnet.free(&[], "codchi-store-1"), Some(found));
        assert_ne!(subnet.free(&[], "codchi-store-2"), Some(found));
        assert!(found.octets()[3] >= 128);
        // All of the upper half are found, and nothing else.
        let mut taken = Vec::new();
        while let Some(found) = subnet.free(&taken, "x") {
            taken.push(found);
        }
        taken.sort();
        assert_eq!(taken, (128..255).map(address).collect::<Vec<_>>());
        let small = Subnet::parse("10.1.2.2/30").unwrap();
        assert_eq!(small.free(&[], "x"), None, "not the bridge's own");
        for none in ["none", "auto", "10.1.2.1", "10.1.2.1/31", "fd42::1/64"] {
            assert_eq!(Subnet::parse(none), None, "{none}");
        }
    }

    #[test]
    fn only_a_profile_with_one_interface_tells_which_it_is() {
        let profile = |json: &str| serde_json::from_str::<Profile>(json).unwrap();
        let nic = r#""eth0":{"type":"nic","network":"lxdbr0"},"root":{"type":"disk","path":"/","pool":"p"}"#;
        let (device, keys, network) = interface(&profile(&format!(r#"{{"devices":{{{nic}}}}}"#))).unwrap();
        assert_eq!((device.as_str(), network.as_str(), keys.len()), ("eth0", "lxdbr0", 2));
        let two =
            format!(r#"{{"devices":{{{nic},"eth1":{{"type":"nic","nictype":"bridged","parent":"br0"}}}}}}"#);
        assert!(interface(&profile(&two)).is_none());
        assert!(interface(&profile(r#"{"devices":{}}"#)).is_none());
    }
}
