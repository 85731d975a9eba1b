//! `audio`: the sockets of PipeWire and PulseAudio.

use super::distribution::{Family, configuration};
use super::nodes::Answer;
use super::{Availability, Host, Probe, Sound};
use std::path::PathBuf;
use zeroize::Zeroizing;

impl Host {
    /// The sound server's sockets, each where somebody answers at it; none where WSL hands in the sound.
    #[must_use]
    pub fn sound(&self) -> Sound {
        if self.wsl {
            return Sound::default();
        }
        let answers = |path: PathBuf| (self.answer(&path) == Answer::Listens).then_some(path);
        Sound {
            pipewire: self.pipewire_socket().and_then(answers),
            pulse: self.pulse_socket().and_then(answers),
        }
    }

    /// What PulseAudio's clients prove themselves with; `None` where there is none, as with PipeWire, which asks for nothing. It is a
    /// secret.
    #[must_use]
    pub fn pulse_cookie(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.wsl {
            return None;
        }
        let home = self.home().map(PathBuf::from);
        let config = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| Some(home.as_ref()?.join(".config")));
        let places = [
            self.variable("PULSE_COOKIE").map(PathBuf::from),
            config.map(|folder| folder.join("pulse/cookie")),
            home.map(|folder| folder.join(".pulse-cookie")),
        ];
        let read = |path: PathBuf| Some(Zeroizing::new(std::fs::read(self.at(path)).ok()?));
        places.into_iter().flatten().find_map(read)
    }

    /// Where PipeWire's socket is to be, as its clients look for it.
    fn pipewire_socket(&self) -> Option<PathBuf> {
        let name = self.variable("PIPEWIRE_REMOTE").unwrap_or("pipewire-0");
        let folder = self.variable("PIPEWIRE_RUNTIME_DIR").map(PathBuf::from);
        // An absolute name replaces the folder.
        let path = folder.or_else(|| self.runtime_folder()).unwrap_or_default().join(name);
        path.is_absolute().then_some(path)
    }

    /// Where PulseAudio's is to be; `None` also where it is on another computer.
    fn pulse_socket(&self) -> Option<PathBuf> {
        let path = match self.variable("PULSE_SERVER") {
            Some(server) => PathBuf::from(server.strip_prefix("unix:").unwrap_or(server)),
            None => match self.variable("PULSE_RUNTIME_PATH") {
                Some(folder) => PathBuf::from(folder).join("native"),
                None => self.runtime_folder()?.join("pulse/native"),
            },
        };
        path.is_absolute().then_some(path)
    }
}

impl Probe<'_> {
    /// A sound server.
    pub(super) fn audio(mut self) -> Availability {
        let sockets = [("PipeWire", self.host.pipewire_socket()), ("PulseAudio", self.host.pulse_socket())];
        let remedy = match self.host.family() {
            Family::NixOs => format!(
                "Log in to a desktop, or start a sound server for your user. {}",
                configuration("services.pipewire = { enable = true; pulse.enable = true; };")
            ),
            _ => "Log in to a desktop, or start a sound server for your user (`systemctl --user start pipewire \
                  pipewire-pulse`, or `pulseaudio --start`)."
                .into(),
        };
        let (mut answering, mut dead) = (None, None);
        for (server, socket) in &sockets {
            let Some(socket) = socket else { continue };
            let answer = self.host.answer(socket);
            if answer == Answer::Listens {
                answering = answering.or_else(|| Some(format!("{} answers ({server}).", socket.display())));
            } else if answer != Answer::Missing {
                dead = dead.or_else(|| Some(format!("{}: {}.", server, answer.told(socket))));
            }
            self.saw(format!("{server}: {}", answer.told(socket)));
        }
        match (answering, dead) {
            (Some(answering), _) => self.yes(answering),
            (None, Some(dead)) => self.no(dead, remedy),
            (None, None) => match self.host.runtime_folder() {
                Some(folder) => self.no(
                    format!("There is no socket of PipeWire or PulseAudio in {}.", folder.display()),
                    remedy,
                ),
                None => self.no("There is no sound server: XDG_RUNTIME_DIR is not set.", remedy),
            },
        }
    }
}
