//! `no-effect`: an option that is set and does nothing in a code machine, whose kernel, boot and disks are the host's.
//!
//! The table below is what is known. A row holds for the option and all below it; add one with the reason that a person
//! reads. Only what holds on every driver is in it.

use super::settings::{is_below, off};
use super::{Context, Finding};
use crate::syntax::{binding_at, with_line};
use crate::{DiagnosticCode, Edit, Severity, Tag, TextRange};
use codchi_module::{Certainty, OptionUse};
use rowan::ast::AstNode as _;

const BOOT: &str = "a code machine has no boot loader: it is started by LXD, Incus or WSL";
const KERNEL: &str = "a code machine runs on the host's kernel, which only the host chooses and configures";
const INITRD: &str = "a code machine starts without an initial ram disk";
const DISKS: &str = "a code machine's disks are the host's";
const HARDWARE: &str = "a code machine leaves the hardware to the host";

/// Options, `.` between names, and why they do nothing.
const TABLE: &[(&str, &str)] = &[
    ("boot.loader", BOOT),
    ("boot.plymouth", BOOT),
    ("boot.initrd", INITRD),
    ("boot.kernelPackages", KERNEL),
    ("boot.kernelPatches", KERNEL),
    ("boot.kernelParams", KERNEL),
    ("boot.kernelModules", KERNEL),
    ("boot.extraModulePackages", KERNEL),
    ("boot.blacklistedKernelModules", KERNEL),
    ("boot.extraModprobeConfig", KERNEL),
    ("fileSystems./", DISKS),
    ("fileSystems./boot", DISKS),
    ("fileSystems./boot/efi", DISKS),
    ("swapDevices", DISKS),
    ("disko", DISKS),
    ("services.fstrim", DISKS),
    ("services.smartd", DISKS),
    ("zramSwap", HARDWARE),
    ("hardware.enableRedistributableFirmware", HARDWARE),
    ("hardware.enableAllFirmware", HARDWARE),
    ("hardware.firmware", HARDWARE),
    ("hardware.cpu", HARDWARE),
    ("powerManagement", HARDWARE),
    ("services.tlp", HARDWARE),
    ("services.thermald", HARDWARE),
    ("services.fwupd", HARDWARE),
    ("networking.wireless", HARDWARE),
];

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    // A set around others says nothing itself; what is switched off is meant to do nothing.
    let settings = cx.facts.settings.iter().filter(|used| !is_outer(used) && !off(used));
    let settings = settings.filter(|used| used.certainty == Certainty::Always).filter_map(|used| {
        let row = TABLE.iter().find(|(option, _)| is_below(&used.path, option))?;
        Some((used, row))
    });
    let mut settings = settings.peekable();
    if settings.peek().is_none() || !cx.modules.is_for_machines(cx.world, cx.path) {
        return;
    }
    let mut last: Option<TextRange> = None;
    for (used, (option, why)) in settings {
        let binding = binding(cx, used);
        // What is below a set that is reported already is part of it.
        let range = used.segments.iter().copied().reduce(TextRange::cover).unwrap_or(used.value_range);
        if last.is_some_and(|last| last.contains_range(range)) {
            continue;
        }
        last = Some(binding.unwrap_or(range));
        let message =
            format!("`{option}` has no effect here: {why}. Leave it to the systems that are no machines.");
        let mut finding = Finding::new(DiagnosticCode::NoEffect, Severity::Hint, range, message)
            .based_on(binding.unwrap_or(range))
            .tagged(Tag::Unnecessary);
        if let Some(binding) = binding {
            let range = with_line(cx.document.text(), binding);
            let edit = Edit { range, new_text: String::new() };
            finding = finding.edit("Remove it".to_owned(), vec![edit]);
        }
        findings.push(finding);
    }
}

/// Whether it is a set that leads to a row of the table, rather than one that is below it.
fn is_outer(used: &OptionUse) -> bool {
    used.value == codchi_module::Literal::Set && !TABLE.iter().any(|(option, _)| is_below(&used.path, option))
}

/// The whole definition.
fn binding(cx: &Context<'_>, used: &OptionUse) -> Option<TextRange> {
    let start = used.segments.first()?.start();
    Some(binding_at(cx.document.root().syntax(), start)?.syntax().text_range())
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn what_the_host_decides_has_no_effect() {
        check(
            "{ pkgs, ... }: { codchi.gpu.enable = true; boot.loader.grub.enable = true; boot = { kernelPackages = \
             pkgs.linuxPackages_latest; }; fileSystems.\"/\" = { device = \"x\"; fsType = \"ext4\"; }; }",
            expect![[r#"
                hint no-effect at `boot.loader.grub.enable`: `boot.loader` has no effect here: a code machine has no boot loader: it is started by LXD, Incus or WSL. Leave it to the systems that are no machines.
                hint no-effect at `kernelPackages`: `boot.kernelPackages` has no effect here: a code machine runs on the host's kernel, which only the host chooses and configures. Leave it to the systems that are no machines.
                hint no-effect at `fileSystems."/"`: `fileSystems./` has no effect here: a code machine's disks are the host's. Leave it to the systems that are no machines.
            "#]],
        );
    }

    #[test]
    fn what_works_or_is_off_or_conditional_is_not_reported() {
        check(
            "{ lib, config, ... }: { codchi.gpu.enable = true; boot.loader = lib.mkDefault { grub = { }; }; boot.plymouth.enable = false; boot.tmp.useTmpfs = true; \
             fileSystems.\"/data\".device = \"x\"; boot.initrd = lib.mkIf config.x { }; \
             boot.kernel.sysctl.\"net.x\" = 1; }",
            expect![""],
        );
    }

    #[test]
    fn files_that_are_no_codchi_modules_are_left_alone() {
        check(
            "{ boot.loader.grub.enable = true; }\n//- /other.nix\n{ boot.loader.grub.enable = true; }",
            expect![[r#"
                /project/codchi.nix hint no-effect at `boot.loader.grub.enable`: `boot.loader` has no effect here: a code machine has no boot loader: it is started by LXD, Incus or WSL. Leave it to the systems that are no machines.
            "#]],
        );
    }

    #[test]
    fn it_can_be_removed_with_its_line() {
        let text = "{\n  codchi.gpu.enable = true;\n  boot.loader.gr$0ub.enable = true;\n}\n";
        let fixture = Fixture::new(text);
        expect![[r#"
            Remove it
            {
              codchi.gpu.enable = true;
            }

        "#]]
        .assert_eq(&fixture.refactoring("Remove"));
        let found = fixture.analysis().diagnostics(&fixture.path);
        assert_eq!(found[0].tags, [crate::Tag::Unnecessary]);
    }
}
