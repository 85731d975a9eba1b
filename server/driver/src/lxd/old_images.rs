//! Images of ours that no instance is created from any more: the skeletons of other versions.

use super::images::Description;
use super::reply::ApiError;
use super::skeleton::{DESCRIPTION, OS, skeleton};
use super::transport::Transport;
use crate::types::Image;

impl Description {
    /// Whether some version of ours has made it.
    fn is_ours(&self) -> bool {
        self.says("os", OS) && self.says("description", DESCRIPTION)
    }

    fn image(self) -> Image {
        let name = self.aliases.into_iter().next().map(|alias| alias.name);
        Image {
            name: name.unwrap_or_else(|| self.fingerprint.chars().take(12).collect()),
            fingerprint: self.fingerprint,
            size: self.size,
        }
    }
}

impl Transport {
    /// Those of ours that are not what this version creates instances from.
    pub(super) async fn old_skeletons(&self) -> Result<Vec<Image>, ApiError> {
        let server = self.server().await?;
        let current: Vec<String> = server
            .environment
            .architectures
            .iter()
            .filter_map(|architecture| Some(skeleton(architecture).ok()?.fingerprint))
            .collect();
        let old = self
            .images()
            .await?
            .into_iter()
            .filter(|image| image.is_ours() && !current.contains(&image.fingerprint));
        Ok(old.map(Description::image).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_wholly_like_a_skeleton_is_ours() {
        let image = |properties: &str| -> Description {
            let json = format!(r#"{{"fingerprint":"0123456789abcdef","size":5,"properties":{properties}}}"#);
            serde_json::from_str(&json).unwrap()
        };
        let ours = image(r#"{"os":"codchi","description":"codchi, empty root file system"}"#);
        assert!(ours.is_ours());
        assert_eq!(ours.image().name, "0123456789ab");
        assert!(!image(r#"{"os":"codchi","description":"my own"}"#).is_ours());
        assert!(!image(r#"{"description":"codchi, empty root file system"}"#).is_ours());
    }
}
