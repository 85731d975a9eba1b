//! Tests of completion, and the catalogue that they know.

mod codchi;
mod options;
mod values;

use crate::World;
use crate::fixture::{Fixture, Table};
use expect_test::Expect;
use std::sync::Arc;

const TABLE: &str = r#"
environment.systemPackages = list of package
environment.variables = attribute set of (null or string)
networking.firewall.allowedTCPPorts = list of 16 bit unsigned integer; between 0 and 65535 (both inclusive)
networking.hostName = string
networking.mode = null or one of "a", "b c"
services.nginx._hidden = boolean
services.nginx.commonHttpConfig = strings concatenated with "\n"
services.nginx.enable = boolean
  default: false
  Whether to enable nginx.
services.nginx.package = package
  default: pkgs.nginx
services.nginx.virtualHosts = attribute set of (submodule)
services.nginx.virtualHosts.<name>.enableACME = boolean
services.nginx.virtualHosts.<name>.locations = attribute set of (submodule)
services.nginx.virtualHosts.<name>.locations.<name>.index = null or string
services.nginx.virtualHosts.<name>.root = null or path
services.nginx.workers = positive integer, meaning >0
  default: 4
services.postgresql.ensureUsers = list of (submodule)
services.postgresql.ensureUsers.*.name = string
services.postgresql.ensureUsers.*.superuser = boolean
  default: true
users.users = attribute set of (submodule)
users.users.<name>.shell = null or package or one of "none", "other"
pkgs: hello ripgrep python3Packages.numpy python3Packages.requests 7zip
"#;

fn fixture(text: &str) -> Fixture {
    let key = ("/project".into(), None);
    let world = World { catalogues: [(key, Arc::new(Table::new(TABLE)) as _)].into(), ..World::default() };
    Fixture::new(text).with(world)
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&fixture(text).completions());
}

/// Both offer the same.
fn check_same(text: &str, other: &str) {
    let expected = fixture(other).completions();
    assert!(!expected.is_empty(), "{other}");
    assert_eq!(fixture(text).completions(), expected, "{text}");
}
