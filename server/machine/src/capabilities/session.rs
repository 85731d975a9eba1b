//! What sessions in a machine are told of capabilities: where the sockets are, and what lets them in.

use super::devices::{PIPEWIRE, PULSE, WAYLAND, sockets};
use super::used;
use crate::delivery::{Extra, ExtraFile};
use crate::{Manifest, Permissions, Secret};
use codchi_host::{Capability, Host};

/// The machine's display that is the host's.
const DISPLAY: u32 = 0;
/// PulseAudio's cookie, below `/run/codchi`.
const COOKIE: &str = "pulse/cookie";
/// The Xauthority file, below `/run/codchi`.
const AUTHORITY: &str = "x11/authority";

/// The variables and files that belong to a machine's capabilities.
pub(crate) fn extra(manifest: &Manifest, permissions: &Permissions, host: &Host) -> Extra {
    let (mut variables, mut files) = (Vec::new(), Vec::new());
    for capability in used(manifest, permissions, host) {
        for (name, ..) in sockets(capability, host) {
            variables.push(match name {
                "pulse" => ("PULSE_SERVER", format!("unix:{PULSE}")),
                "pipewire" => ("PIPEWIRE_REMOTE", PIPEWIRE.into()),
                "wayland" => ("WAYLAND_DISPLAY", WAYLAND.into()),
                _ => ("DISPLAY", format!(":{DISPLAY}")),
            });
        }
        // Who a client is, the server does not always see through the engine's proxy; a cookie is enough.
        if capability == Capability::Audio
            && let Some(contents) = host.pulse_cookie()
        {
            variables.push(("PULSE_COOKIE", format!("/run/codchi/{COOKIE}")));
            files.push((COOKIE.into(), ExtraFile { owner: "codchi", mode: 0o400, contents }));
        }
        if capability == Capability::Display
            && let Some(x11) = host.display().x11
            && let Some(contents) = host.x11_authority(&x11, DISPLAY)
        {
            variables.push(("XAUTHORITY", format!("/run/codchi/{AUTHORITY}")));
            files.push((AUTHORITY.into(), ExtraFile { owner: "codchi", mode: 0o400, contents }));
        }
    }
    let variable = |(name, value): (&str, String)| Some((name.to_owned(), Secret::new(value)?));
    Extra {
        variables: variables.into_iter().filter_map(variable).collect(),
        files: files.into_iter().collect(),
    }
}
