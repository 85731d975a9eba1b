//! `capability-undeclared`: something is set or installed that needs a capability of the host, and the module does not ask
//! for it, so that it may be created where it cannot work.
//!
//! The tables below are what is known; add a row with what a person understands. Nothing is said where the capability is
//! named anywhere in the module, required or optional, or where a part of the module is not visible that may name it.

use super::settings::is_below;
use super::{Context, Finding};
use crate::asked::ASKING;
use crate::syntax::{first_place, module_set};
use crate::{DiagnosticCode, Edit, Severity, TextRange, TextSize};
use codchi_module::{Certainty, Facts, Literal, OptionUse};

/// Options that need a capability when they are `true`.
const OPTIONS: &[(&str, &str)] = &[
    ("virtualisation.docker.enable", "nesting"),
    ("virtualisation.podman.enable", "nesting"),
    ("virtualisation.containerd.enable", "nesting"),
    ("virtualisation.lxc.enable", "nesting"),
    ("virtualisation.incus.enable", "nesting"),
    ("services.k3s.enable", "nesting"),
    ("virtualisation.libvirtd.enable", "kvm"),
    ("services.pipewire.enable", "audio"),
    ("services.pulseaudio.enable", "audio"),
    ("hardware.pulseaudio.enable", "audio"),
    ("services.tailscale.enable", "tun"),
    ("services.zerotierone.enable", "tun"),
    ("programs.adb.enable", "usb"),
    ("programs.fuse.userAllowOther", "fuse"),
];

/// Packages, by the beginning of their attribute path, that do not work without a capability.
const PACKAGES: &[(&str, &str)] = &[
    ("cudatoolkit", "cuda"),
    ("cudaPackages", "cuda"),
    ("cudaPackages_11", "cuda"),
    ("cudaPackages_12", "cuda"),
    ("cudaPackages_13", "cuda"),
    ("qemu_kvm", "kvm"),
    ("firecracker", "kvm"),
    ("cloud-hypervisor", "kvm"),
    ("sshfs", "fuse"),
    ("bindfs", "fuse"),
    ("s3fs", "fuse"),
];

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let options = cx.facts.settings.iter().filter(|used| is_on(used)).filter_map(|used| {
        let (option, capability) = OPTIONS.iter().find(|(option, _)| is_below(&used.path, option))?;
        let range = used.segments.iter().copied().reduce(TextRange::cover)?;
        Some((format!("`{option}` needs"), *capability, range))
    });
    let packages = cx.facts.packages.iter().filter_map(|used| {
        let first = used.path.first()?;
        let (package, capability) = PACKAGES.iter().find(|(package, _)| first == package)?;
        Some((format!("`pkgs.{package}` needs"), *capability, used.range))
    });
    // Most of it is asked for in the same file: the others are looked at only for what is left.
    let own = Asked::default().and(cx.facts);
    let needed: Vec<_> =
        options.chain(packages).filter(|(_, capability, _)| !own.for_it(capability)).collect();
    if needed.is_empty() || !cx.modules.is_for_machines(cx.world, cx.path) {
        return;
    }
    if cx.modules.may_be_part_of_more(cx.path) {
        return;
    }
    let Some(asked) = Asked::around(cx) else { return };
    let mut seen: Vec<&str> = Vec::new();
    for (what, capability, range) in needed {
        if asked.for_it(capability) || seen.contains(&capability) {
            continue;
        }
        seen.push(capability);
        let message = format!(
            "{what} the capability `{capability}` of the host, which this module does not ask for. Name it in \
             `codchi.requiredCapabilities`, or in `codchi.optionalCapabilities` where the machine is useful without."
        );
        let mut finding = Finding::new(DiagnosticCode::CapabilityUndeclared, Severity::Hint, range, message)
            .based_on_all(cx);
        for list in ["requiredCapabilities", "optionalCapabilities"] {
            if let Some(edit) = add(cx, list, capability) {
                finding = finding.edit(format!("Add `{capability}` to `codchi.{list}`"), vec![edit]);
            }
        }
        findings.push(finding);
    }
}

fn is_on(used: &OptionUse) -> bool {
    used.certainty == Certainty::Always && used.value == Literal::Bool(true)
}

/// The capabilities that the module asks for.
#[derive(Default)]
struct Asked(Vec<String>);

impl Asked {
    /// Those of all files that are evaluated together with this one; `None` where some may not be visible.
    fn around(cx: &Context<'_>) -> Option<Self> {
        let mut asked = Self::default();
        for file in cx.modules.evaluated_with(cx.world, cx.path).iter() {
            let facts = cx.modules.facts(file)?;
            if facts.may_declare_more || cx.modules.imports_unknown(file) || hides_some(&facts) {
                return None;
            }
            asked = asked.and(&facts);
        }
        Some(asked)
    }

    /// With those of one more file.
    fn and(mut self, facts: &Facts) -> Self {
        self.0.extend(facts.capabilities.iter().map(|capability| capability.name.clone()));
        // These ask for it themselves.
        for (option, capability) in ASKING {
            let is_on = |used: &OptionUse| {
                used.path.0.iter().map(String::as_str).eq(option.split('.')) && !super::settings::off(used)
            };
            if facts.options.iter().any(is_on) {
                self.0.push(capability.to_owned());
            }
        }
        self
    }

    fn for_it(&self, capability: &str) -> bool {
        self.0.iter().any(|name| name == capability)
    }
}

/// Whether there are lists of capabilities that are not visible as a whole, or the file is half-typed.
fn hides_some(facts: &Facts) -> bool {
    facts.has_syntax_errors
        || facts.options.iter().any(|used| {
            let is_list = matches!(used.path.0.last().map(String::as_str), Some("requiredCapabilities" | "optionalCapabilities"));
            is_list && !matches!(&used.value, Literal::List(items) if items.iter().all(|(item, _)| matches!(item, Literal::String(_))))
        })
}

/// What adds the capability to the list, where that is written out here; else a definition of the list at the beginning
/// of the module's set.
fn add(cx: &Context<'_>, list: &str, capability: &str) -> Option<Edit> {
    let text = cx.document.text();
    let written = cx
        .facts
        .options
        .iter()
        .find(|used| matches!(&*used.path.0, [codchi, name] if codchi == "codchi" && name == list));
    if let Some(written) = written {
        let value = text.get(std::ops::Range::<usize>::from(written.value_range))?;
        let inner = value.strip_prefix('[')?.strip_suffix(']')?;
        let at = written.value_range.start() + TextSize::of('[') + TextSize::of(inner.trim_end());
        return Some(Edit {
            range: TextRange::empty(at),
            new_text: format!(" \"{capability}\"{}", if inner.ends_with([' ', '\n']) { "" } else { " " }),
        });
    }
    let set = module_set(cx.document.root().expr()?)?;
    let (at, before) = first_place(&set, text)?;
    Some(Edit {
        range: TextRange::empty(at),
        new_text: format!("{before}codchi.{list} = [ \"{capability}\" ];"),
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn what_needs_a_capability_says_so_once() {
        check(
            "{ pkgs, ... }: { codchi.gpu.enable = true; virtualisation.docker.enable = true; \
             virtualisation.podman.enable = true; environment.systemPackages = with pkgs; [ cudaPackages.cudatoolkit ]; }",
            expect![[r#"
                hint capability-undeclared at `virtualisation.docker.enable`: `virtualisation.docker.enable` needs the capability `nesting` of the host, which this module does not ask for. Name it in `codchi.requiredCapabilities`, or in `codchi.optionalCapabilities` where the machine is useful without.
                hint capability-undeclared at `cudaPackages.cudatoolkit`: `pkgs.cudaPackages` needs the capability `cuda` of the host, which this module does not ask for. Name it in `codchi.requiredCapabilities`, or in `codchi.optionalCapabilities` where the machine is useful without.
            "#]],
        );
    }

    #[test]
    fn what_is_asked_for_or_off_or_may_be_asked_for_elsewhere_is_not_reported() {
        check(
            "{ codchi.optionalCapabilities = [ \"kvm\" ]; virtualisation.libvirtd.enable = true; }",
            expect![""],
        );
        check("{ codchi.docker.enable = true; virtualisation.docker.enable = true; }", expect![""]);
        check("{ codchi.gpu.enable = true; virtualisation.docker.enable = false; }", expect![""]);
        check(
            "{ lib, ... }: { codchi.gpu.enable = true; virtualisation.docker.enable = lib.mkIf x true; }",
            expect![""],
        );
        check(
            "{ inputs, ... }: { imports = [ inputs.x.nixosModules.y ]; codchi.gpu.enable = true; virtualisation.docker.enable = true; }",
            expect![""],
        );
        check("{ codchi.requiredCapabilities = f x; virtualisation.docker.enable = true; }", expect![""]);
        check(
            "{ imports = [ ./b.nix ]; virtualisation.docker.enable = true; codchi.gpu.enable = true; }\n//- /project/b.nix\n{ codchi.requiredCapabilities = [ \"nesting\" ]; }",
            expect![""],
        );
    }

    #[test]
    fn it_can_be_added() {
        expect![[r#"
            * Add `nesting` to `codchi.requiredCapabilities`
            { ... }:
            {
              codchi.requiredCapabilities = [ "nesting" ];
              codchi.gpu.enable = true;
              virtualisation.docker.enable = true;
            }

              Add `nesting` to `codchi.optionalCapabilities`
            { ... }:
            {
              codchi.optionalCapabilities = [ "nesting" ];
              codchi.gpu.enable = true;
              virtualisation.docker.enable = true;
            }

              Allow `capability-undeclared` on this line
            { ... }:
            {
              codchi.gpu.enable = true;
              # codchi: allow capability-undeclared
              virtualisation.docker.enable = true;
            }

        "#]]
        .assert_eq(
            &Fixture::new(
                "{ ... }:\n{\n  codchi.gpu.enable = true;\n  virtualisation.docker.ena$0ble = true;\n}\n",
            )
            .actions(),
        );
        expect![[r#"
            * Add `nesting` to `codchi.requiredCapabilities`
            { codchi.requiredCapabilities = [ "gpu" "nesting" ]; virtualisation.docker.enable = true; }
              Add `nesting` to `codchi.optionalCapabilities`
            { codchi.optionalCapabilities = [ "nesting" ]; codchi.requiredCapabilities = [ "gpu" ]; virtualisation.docker.enable = true; }
              Allow `capability-undeclared` on this line
            # codchi: allow capability-undeclared
            { codchi.requiredCapabilities = [ "gpu" ]; virtualisation.docker.enable = true; }
        "#]].assert_eq(
            &Fixture::new(
                "{ codchi.requiredCapabilities = [ \"gpu\" ]; virtualisation.docker.ena$0ble = true; }",
            )
            .actions(),
        );
    }
}
