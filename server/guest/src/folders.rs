//! The root file system that an instance begins with: folders to mount on, and nothing else. What runs comes from the store that is
//! mounted at `/nix`.

/// The folders with their modes. Owned by root; no `lib`: whoever needs one makes it.
pub const FOLDERS: [(&str, u32); 17] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("nix", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];
