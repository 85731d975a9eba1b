//! `display`: Wayland and X11.

use super::nodes::Answer;
use super::xauthority;
use super::{Availability, Display, Host, Probe, X11};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const REMEDY: &str = "Run codchi from a session on this computer's desktop.";

impl Host {
    /// The displays of the person's session; none where WSL hands in its own.
    #[must_use]
    pub fn display(&self) -> Display {
        if self.wsl {
            return Display::default();
        }
        let answers = |path: &Path| self.answer(path) == Answer::Listens;
        let x11 = self.variable("DISPLAY").and_then(local_x11);
        Display {
            wayland: self.wayland_socket().filter(|path| answers(path)),
            x11: x11.filter(|x11| answers(&x11.socket)),
        }
    }

    /// An Xauthority file that lets clients of a machine use `x11` as its display `number`, whatever the machine's name is; `None`
    /// where the person's has nothing for it, as where the server asks for nothing. It is a secret.
    #[must_use]
    pub fn x11_authority(&self, x11: &X11, number: u32) -> Option<Zeroizing<Vec<u8>>> {
        let file = Zeroizing::new(std::fs::read(self.at(self.authority_file()?)).ok()?);
        xauthority::for_machine(&file, x11.number, number)
    }

    /// Where the person's Xauthority file is to be.
    fn authority_file(&self) -> Option<PathBuf> {
        let named = self.variable("XAUTHORITY").map(PathBuf::from);
        named.or_else(|| Some(self.home()?.join(".Xauthority")))
    }

    /// Where the compositor's socket is to be.
    fn wayland_socket(&self) -> Option<PathBuf> {
        let name = self.variable("WAYLAND_DISPLAY")?;
        // An absolute name replaces the folder.
        let path = self.runtime_folder().unwrap_or_default().join(name);
        path.is_absolute().then_some(path)
    }
}

impl Probe<'_> {
    /// A Wayland or X11 display on this computer.
    pub(super) fn display(mut self) -> Availability {
        let wayland = self.host.wayland_socket();
        let name = self.host.variable("DISPLAY");
        let x11 = name.and_then(local_x11);
        let mut answering = None;
        for (kind, socket) in [("Wayland", wayland.as_ref()), ("X11", x11.as_ref().map(|x11| &x11.socket))] {
            let Some(socket) = socket else { continue };
            let answer = self.host.answer(socket);
            if answer == Answer::Listens {
                answering = answering.or_else(|| Some(format!("{} answers ({kind}).", socket.display())));
            }
            self.saw(format!("{kind}: {}", answer.told(socket)));
        }
        if let Some(x11) = &x11 {
            let has = self.host.x11_authority(x11, 0).is_some();
            self.saw(format!("{} cookie for :{}", if has { "a" } else { "no" }, x11.number));
        }
        if let Some(answering) = answering {
            return self.yes(answering);
        }
        match (self.host.variable("WAYLAND_DISPLAY"), name) {
            (None, None) => self.no("Neither WAYLAND_DISPLAY nor DISPLAY is set.", REMEDY),
            (_, Some(display)) if x11.is_none() => self.no(
                format!("The display {display} is on another computer, or reached over a network."),
                REMEDY,
            ),
            (wayland, x11) => {
                let names: Vec<_> = [wayland, x11].into_iter().flatten().collect();
                self.no(format!("Nobody answers as display {}.", names.join(" or ")), REMEDY)
            }
        }
    }
}

/// The server of `:1`, `:1.0` or `unix:1`; `None` for one that is not local.
fn local_x11(display: &str) -> Option<X11> {
    let (host, number) = display.rsplit_once(':')?;
    let number = number.split('.').next()?;
    let number =
        if number.bytes().all(|byte| byte.is_ascii_digit()) { number.parse().ok()? } else { return None };
    let is_local = host.is_empty() || host == "unix";
    is_local.then(|| X11 { socket: format!("/tmp/.X11-unix/X{number}").into(), number })
}
