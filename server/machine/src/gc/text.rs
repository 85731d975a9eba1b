//! What would be freed and what was, for a person.

use super::{Freed, Garbage, OldGenerations};

impl Garbage {
    /// What there is, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.generations.iter().map(of_machine).collect();
        if !lines.is_empty() {
            let size = self.generations_bytes.map_or_else(|| "an unknown amount".into(), about);
            lines.push(match &self.store {
                Some(_) => format!("- of the Nix store, what only they need: {size}"),
                None => format!(
                    "- of the Nix store, what only they need: {size}, when Nix collects its garbage next"
                ),
            });
        }
        for left in &self.leftovers {
            lines.push(format!("- {}: {} ({})", left.what, left.path.display(), bytes(left.bytes)));
        }
        for image in &self.images {
            lines.push(format!(
                "- an image of another version of codchi: {} ({})",
                image.name,
                bytes(image.size)
            ));
        }
        if let Some(unused) = self.store.filter(|unused| unused.paths > 0) {
            lines.push(format!(
                "- in the Nix store, which is not codchi's alone, all that nothing keeps: {} paths, {}; what of it is needed \
                 again is built or fetched again",
                unused.paths,
                about(unused.bytes)
            ));
        }
        lines.extend(self.stays.iter().map(|why| format!("! stays: {why}")));
        lines
    }
}

impl Freed {
    /// What is gone, and what is not, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.generations.iter().map(of_machine).collect();
        if self.bytes > 0 {
            lines.push(format!("- {} of files and images", bytes(self.bytes)));
        }
        lines.extend(self.store.iter().map(|said| format!("- {said}")));
        lines.extend(self.failed.iter().map(|why| format!("! stays: {why}")));
        lines
    }
}

fn of_machine(OldGenerations { machine, numbers }: &OldGenerations) -> String {
    let listed: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let noun = if numbers.len() == 1 { "generation" } else { "generations" };
    format!("- {noun} {} of {machine}", listed.join(", "))
}

/// Nix counts what it packs into an archive; what that takes on a disk is a little more or less.
fn about(size: u64) -> String {
    format!("about {}", bytes(size))
}

/// A number of bytes as a person reads it.
pub(crate) fn bytes(size: u64) -> String {
    let mut unit = ("B", 1_u64);
    for larger in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)] {
        if size >= larger.1 {
            unit = larger;
        }
    }
    match unit.1 {
        1 => format!("{size} B"),
        one => format!("{}.{} {}", size / one, size % one * 10 / one, unit.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Guard, Leftover, Unused};
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_would_be_freed_is_told_with_its_size_and_what_is_not_known_is_not_guessed() {
        let left = Leftover::new("/nowhere/.removed-a".into(), "an interrupted deletion", Guard::Nobody);
        let garbage = Garbage {
            generations: vec![OldGenerations { machine: "web".parse().unwrap(), numbers: vec![1, 2] }],
            leftovers: vec![left],
            stays: vec!["The generations of b: An operation is under way.".into()],
            ..Garbage::default()
        };
        expect![[r#"
            - generations 1, 2 of web
            - of the Nix store, what only they need: an unknown amount, when Nix collects its garbage next
            - an interrupted deletion: /nowhere/.removed-a (0 B)
            ! stays: The generations of b: An operation is under way."#]]
        .assert_eq(&garbage.lines().join("\n"));
        let unused = Unused { paths: 7, bytes: 3 << 20 };
        let all = Garbage { generations_bytes: Some(1 << 30), store: Some(unused), ..garbage };
        expect![[r#"
            - of the Nix store, what only they need: about 1.0 GiB
            - in the Nix store, which is not codchi's alone, all that nothing keeps: 7 paths, about 3.0 MiB; what of it is needed again is built or fetched again"#]]
        .assert_eq(&[&all.lines()[1], &all.lines()[3]].map(String::as_str).join("\n"));
        assert!(!all.is_empty() && Garbage::default().is_empty() && Garbage::default().lines().is_empty());
    }
}
