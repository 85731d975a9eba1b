//! The git repository of a module, as git itself reads it.

use super::{ModuleSource, SourceKind};

/// A git repository to clone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repository {
    /// As git reads it.
    pub url: String,
    /// The branch or tag; the one that the repository has chosen where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// The well-known hosts of flake URLs.
const HOSTS: [(&str, &str); 3] = [
    ("github", "https://github.com/"),
    ("gitlab", "https://gitlab.com/"),
    ("sourcehut", "https://git.sr.ht/"),
];

impl Repository {
    /// That of a module; `None` for a local one.
    #[must_use]
    pub fn of(module: &ModuleSource) -> Option<Self> {
        let SourceKind::Git(flake) = &module.kind else { return None };
        let (place, query) = flake.split_once('?').unwrap_or((flake, ""));
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("ref="));
        let shorthand = HOSTS.iter().find_map(|(host, url)| {
            let rest = place.strip_prefix(host)?.strip_prefix(':')?;
            let mut parts = rest.splitn(3, '/');
            let (owner, repository) = (parts.next()?, parts.next()?);
            Some((format!("{url}{owner}/{repository}"), parts.next()))
        });
        let (url, branch) = shorthand.unwrap_or_else(|| (place.trim_start_matches("git+").into(), None));
        let branch = branch.or(asked).map(|branch| branch.trim_start_matches("refs/heads/").into());
        Some(Self { url, branch })
    }

    /// What its folder is called, as git calls it.
    #[must_use]
    pub fn folder(&self) -> &str {
        let url = self.url.trim_end_matches('/');
        let last = url.rsplit(['/', ':']).next().unwrap_or(url);
        last.strip_suffix(".git").unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn git_reads_what_nix_reads() {
        for (text, url, branch, folder) in [
            ("https://host/team/app.git", "https://host/team/app.git", None, "app"),
            ("https://host/team/app/?ref=main&dir=nix", "https://host/team/app/", Some("main"), "app"),
            ("git@host:team/app", "ssh://git@host/team/app", None, "app"),
            ("git+file:///srv/app?ref=refs/heads/x", "file:///srv/app", Some("x"), "app"),
            ("github:owner/app", "https://github.com/owner/app", None, "app"),
            ("github:owner/app/v2#dev", "https://github.com/owner/app", Some("v2"), "app"),
            ("sourcehut:~me/app", "https://git.sr.ht/~me/app", None, "app"),
        ] {
            let repository = Repository::of(&ModuleSource::parse(text, Path::new("/")).unwrap()).unwrap();
            assert_eq!((repository.url.as_str(), repository.branch.as_deref()), (url, branch), "{text}");
            assert_eq!(repository.folder(), folder, "{text}");
        }
        let local = ModuleSource { kind: SourceKind::Folder("/x".into()), output: None };
        assert_eq!(Repository::of(&local), None);
    }
}
