//! Git URLs as people write them, as flake URLs.

use url::Url;

/// The flake URL for `text`; `None` where it does not look like a URL at all.
///
/// # Errors
/// Why it is a URL that cannot be used, as a clause.
pub(super) fn url(text: &str) -> Result<Option<String>, String> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(None) };
    // `C:\folder`.
    if cfg!(windows) && scheme.len() == 1 {
        return Ok(None);
    }
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !rest.starts_with("//") && !is_shorthand(scheme) {
        // `path:` is a local folder; `.`, `..` and `/` begin paths that have a colon somewhere.
        if scheme == "path" || scheme.contains('/') || scheme.starts_with('.') {
            return Ok(None);
        }
        return scp(scheme, rest);
    }
    if !is_scheme {
        return Ok(None);
    }
    if is_shorthand(scheme) {
        return shorthand(text, rest).map(Some);
    }
    let transport = scheme.strip_prefix("git+").unwrap_or(scheme);
    if !["http", "https", "ssh", "git", "file"].contains(&transport) {
        return Err(format!("git knows no URLs of the kind `{scheme}:`"));
    }
    let url = Url::parse(text).map_err(|e| format!("its URL cannot be read ({e})"))?;
    check(&url, transport)?;
    // `git:` is the one that Nix does not write as `git+…`.
    let prefix = if scheme == transport && transport != "git" { "git+" } else { "" };
    Ok(Some(format!("{prefix}{url}")))
}

fn check(url: &Url, transport: &str) -> Result<(), String> {
    if transport != "file" && url.host_str().is_none_or(str::is_empty) {
        return Err("its URL names no host".into());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("its URL names no repository".into());
    }
    // A token is as often in the place of the user's name as in that of the password.
    if url.password().is_some() || (transport.starts_with("http") && !url.username().is_empty()) {
        return Err(
            "its URL holds a user name or password, which everybody on this computer could read in the Nix \
                    store; use a git credential helper or SSH"
                .into(),
        );
    }
    let archives = [".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2", ".zip"];
    if archives.iter().any(|archive| url.path().ends_with(archive)) {
        return Err("it is an archive; name the git repository".into());
    }
    Ok(())
}

/// Flake URLs of well-known hosts.
fn is_shorthand(scheme: &str) -> bool {
    ["github", "gitlab", "sourcehut"].contains(&scheme)
}

fn shorthand(text: &str, rest: &str) -> Result<String, String> {
    let path = rest.split('?').next().unwrap_or(rest);
    let parts: Vec<_> = path.split('/').collect();
    if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
        return Err("it must be written `HOST:owner/repository`".into());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("its URL holds spaces".into());
    }
    Ok(text.to_owned())
}

/// `git@host:path` as git reads it.
fn scp(host: &str, path: &str) -> Result<Option<String>, String> {
    let Some((user, name)) = host.split_once('@') else {
        return Err(format!(
            "`{host}:` is no kind of URL that git knows; write `ssh://{host}/…` for a repository"
        ));
    };
    if user.is_empty() || name.is_empty() || path.trim_matches('/').is_empty() {
        return Err("it must be written `git@host:path`".into());
    }
    url(&format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

/// `text` as it may be shown.
pub(super) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') || scheme.ends_with("http") || scheme.ends_with("https") => {
            format!("{scheme}://…{}", &rest[user.len()..])
        }
        _ => text.to_owned(),
    }
}
