//! The certificate authorities that this computer trusts.

use crate::Host;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where distributions keep all authorities in one file; one of them is enough.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Variables with which people name a file of their own.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"];
/// No larger file is read, in bytes.
const LARGEST: u64 = 8 << 20;

/// The certificate authorities that this computer trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Each as a PEM block with its line end; nothing else of the files that they were in.
    pub blocks: BTreeSet<String>,
    /// The files that they were in.
    pub files: Vec<PathBuf>,
    /// What could not be taken, as sentences.
    pub problems: Vec<String>,
}

impl Certificates {
    /// All of them as one file.
    #[must_use]
    pub fn pem(&self) -> String {
        self.blocks.iter().map(String::as_str).collect()
    }
}

impl Host {
    /// The files that [`Host::certificates`] reads, as far as they are there; `more` are the person's own.
    fn certificate_files(&self, more: &[PathBuf]) -> Vec<PathBuf> {
        let named = VARIABLES.into_iter().filter_map(|name| self.variable(name)).map(PathBuf::from);
        let named = named.filter(|path| self.at(path).is_file());
        let system = BUNDLES.into_iter().map(PathBuf::from).find(|path| self.at(path).is_file());
        let mut files: Vec<PathBuf> = Vec::new();
        for path in system.into_iter().chain(named).chain(more.iter().cloned()) {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        files
    }

    /// Reads the certificates of the system's bundle (on Windows, of its certificate stores), of the files that the environment names, and of `more`. Only
    /// certificates are taken, whatever else there is in a file.
    #[must_use]
    pub fn certificates(&self, more: &[PathBuf]) -> Certificates {
        let mut all = Certificates::default();
        #[cfg(windows)]
        of_windows(&mut all);
        for path in self.certificate_files(more) {
            match read(&self.at(&path)) {
                Ok(text) => {
                    let blocks = blocks(&text);
                    if blocks.is_empty() {
                        all.problems.push(format!("There is no certificate (PEM) in {}.", path.display()));
                    }
                    all.blocks.extend(blocks);
                    all.files.push(path);
                }
                Err(error) => all.problems.push(format!("{} cannot be read: {error}.", path.display())),
            }
        }
        all
    }
}

/// Adds those that Windows trusts for this person; the organisation's are among them.
#[cfg(windows)]
fn of_windows(all: &mut Certificates) {
    // Intermediate authorities are left out: who serves a certificate serves those, too.
    match schannel::cert_store::CertStore::open_current_user("ROOT") {
        Ok(store) => {
            all.blocks.extend(store.certs().filter_map(|one| one.to_pem().ok()).flat_map(|pem| blocks(&pem)));
        }
        Err(error) => {
            all.problems.push(format!("The certificates that Windows trusts cannot be read: {error}."));
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > LARGEST {
        return Err(std::io::Error::other("it is too large to be a list of certificates"));
    }
    // Comments in a bundle may be in any encoding.
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// The certificates in `text`; a block that is not what it says is left out.
fn blocks(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let is_base64 = |line: &str| {
        line.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
    };
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match (line, &mut block) {
            (BEGIN, _) => block = Some(String::new()),
            (END, Some(body)) if !body.is_empty() => {
                found.push(format!("{BEGIN}\n{body}{END}\n"));
                block = None;
            }
            (line, Some(body)) if !line.is_empty() && is_base64(line) => {
                body.push_str(line);
                body.push('\n');
            }
            (_, Some(_)) => block = None,
            (_, None) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn only_certificates_are_taken_each_once_and_a_file_without_any_is_told() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("etc/ssl/certs")).unwrap();
        fs::create_dir_all(at("mine")).unwrap();
        let block = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let system = format!("# Ä comment\n{}{}", block("QUFB"), block("QkJC").replace('\n', "\r\n"));
        fs::write(at("etc/ssl/certs/ca-certificates.crt"), system).unwrap();
        fs::write(at("mine/proxy.pem"), format!("{key}{}{}", block("Q0ND"), block("QUFB"))).unwrap();
        fs::write(at("mine/key.pem"), key).unwrap();
        fs::write(at("mine/broken.pem"), "-----BEGIN CERTIFICATE-----\nnot base64!\n").unwrap();
        let environment = [("SSL_CERT_FILE", "/mine/proxy.pem"), ("NIX_SSL_CERT_FILE", "/nowhere")];
        let environment: BTreeMap<String, String> =
            environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let host = Host { root: root.path().into(), environment, wsl: false };
        let more: Vec<PathBuf> =
            ["/mine/key.pem", "/mine/broken.pem", "/mine/gone.pem"].map(Into::into).into();
        let all = host.certificates(&more);
        assert_eq!(all.pem(), ["Q0ND", "QUFB", "QkJC"].map(block).concat());
        assert_eq!(all.problems.len(), 3, "{:?}", all.problems);
        assert!(all.problems[2].starts_with("/mine/gone.pem cannot be read"), "{:?}", all.problems);
    }
}
