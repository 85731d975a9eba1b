//! The steps. Each is a method of [`Run`](crate::run::Run) that finds out by itself whether there is something to do, so
//! that doing it twice is doing it once.

mod ask;
mod ask_host;
mod build;
mod clone;
mod deliver;
mod duplicate;
mod export;
mod failed;
mod import;
mod instance;
mod outputs;
mod remove;
mod rename;

pub(crate) use rename::Original;
