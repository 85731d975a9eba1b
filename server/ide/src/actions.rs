//! Code actions: what can be done about the diagnostics in a range, and what its text can be changed to.

use crate::diagnostics::{allow, findings};
use crate::refactor::{move_credential, refactorings};
use crate::{Action, DiagnosticCode, Files, TextRange, World};
use std::path::Path;

/// Nobody looks through what can be done about more, and each takes a look at the tree.
const MOST: usize = 200;

pub(crate) fn actions(files: &dyn Files, world: &World, path: &Path, range: TextRange) -> Vec<Action> {
    let Some(document) = files.document(path) else { return Vec::new() };
    let found = findings(files, world, path)
        .into_iter()
        .filter(|finding| finding.diagnostic.range.intersect(range).is_some())
        .take(MOST)
        .flat_map(|finding| {
            let diagnostic = &finding.diagnostic;
            let is_credential = diagnostic.code == DiagnosticCode::SecretInStore;
            let moved =
                is_credential.then(|| move_credential(files, world, path, diagnostic.range)).flatten();
            let allowed = allow(&document, diagnostic);
            moved.into_iter().chain(finding.fixes).chain(allowed)
        });
    let mut actions: Vec<Action> = found.collect();
    let is_moved = actions
        .iter()
        .any(|action| action.fixes.is_some_and(|(code, _)| code == DiagnosticCode::SecretInStore));
    let more = refactorings(files, world, path, range).into_iter();
    actions.extend(more.filter(|action| !is_moved || action.kind != crate::ActionKind::Extract));
    actions
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};
    use std::collections::BTreeSet;

    fn check(text: &str, expected: Expect) {
        let machine = Machine {
            name: "hello".into(),
            state: MachineState::Stopped,
            modules: vec![MachineModule { path: "/made".into(), output: None }],
            secrets: BTreeSet::new(),
            generation: 1,
            drift: Vec::new(),
        };
        let world = World { secrets: Some(BTreeSet::new()), machines: vec![machine], ..World::default() };
        expected.assert_eq(&Fixture::new(text).with(world).actions());
    }

    #[test]
    fn a_secret_without_a_value_can_be_set() {
        check(
            "{ codchi.secrets.TOK$0EN.description = \"The token\"; }",
            expect![[r#"
                * Set secret TOKEN…
                  SetSecret { name: "TOKEN", description: "The token", machine: None }
                  Allow `secret-not-set` on this line
                # codchi: allow secret-not-set
                { codchi.secrets.TOKEN.description = "The token"; }
            "#]],
        );
        check(
            "//- /made/codchi.nix\n{ codchi.secrets.TOK$0EN.description = \"The token\"; }",
            expect![[r#"
                * Set secret TOKEN…
                  SetSecret { name: "TOKEN", description: "The token", machine: None }
                  Set secret TOKEN for the machine hello only…
                  SetSecret { name: "TOKEN", description: "The token", machine: Some("hello") }
                  Allow `secret-not-set` on this line
                # codchi: allow secret-not-set
                { codchi.secrets.TOKEN.description = "The token"; }
            "#]],
        );
    }

    #[test]
    fn a_misspelt_name_can_be_corrected() {
        check(
            "{ codchi.gpu.enabl$0 = true; }",
            expect![[r#"
                * Did you mean `enable`?
                { codchi.gpu.enable = true; }
                  Allow `unknown-option` on this line
                # codchi: allow unknown-option
                { codchi.gpu.enabl = true; }
            "#]],
        );
        check(
            "{ codchi.requiredCapabilities = [ \"cudd$0a\" ]; }",
            expect![[r#"
                * Did you mean `cuda`?
                { codchi.requiredCapabilities = [ "cuda" ]; }
                  Allow `capability-unknown` on this line
                # codchi: allow capability-unknown
                { codchi.requiredCapabilities = [ "cudda" ]; }
            "#]],
        );
        check(
            "{ codchi.secrets.A = { description = \"a\"; required = false; deliver = [ \"fil$0\" ]; }; }",
            expect![[r#"
                * Did you mean `"file"`?
                { codchi.secrets.A = { description = "a"; required = false; deliver = [ "file" ]; }; }
                  Allow `wrong-type` on this line
                # codchi: allow wrong-type
                { codchi.secrets.A = { description = "a"; required = false; deliver = [ "fil" ]; }; }
            "#]],
        );
    }

    #[test]
    fn a_literal_of_a_near_shape_can_be_corrected() {
        check(
            "{ codchi.gpu.enable = \"tr$0ue\"; }",
            expect![[r#"
                * Write `true` without quotes
                { codchi.gpu.enable = true; }
                  Allow `wrong-type` on this line
                # codchi: allow wrong-type
                { codchi.gpu.enable = "true"; }
            "#]],
        );
        check(
            "{ codchi.requiredCapabilities = \"gp$0u\"; }",
            expect![[r#"
                * Make it a list
                { codchi.requiredCapabilities = [ "gpu" ]; }
                  Allow `wrong-type` on this line
                # codchi: allow wrong-type
                { codchi.requiredCapabilities = "gpu"; }
            "#]],
        );
    }

    #[test]
    fn a_description_can_be_added() {
        check(
            "{ codchi.secrets.file.A$0.required = false; }",
            expect![[r#"
                * Add a description
                { codchi.secrets.file.A.description = "What A is and where to get it"; codchi.secrets.file.A.required = false; }
                  Allow `secret-without-description` on this line
                # codchi: allow secret-without-description
                { codchi.secrets.file.A.required = false; }
            "#]],
        );
        check(
            "{\n  codchi.secrets = {\n    A$0 = {\n      required = false;\n    };\n  };\n}",
            expect![[r#"
                * Add a description
                {
                  codchi.secrets = {
                    A = {
                      description = "What A is and where to get it";
                      required = false;
                    };
                  };
                }
                  Allow `secret-without-description` on this line
                {
                  codchi.secrets = {
                    # codchi: allow secret-without-description
                    A = {
                      required = false;
                    };
                  };
                }
            "#]],
        );
        check(
            "{ codchi.secrets.A$0 = { required = false; }; }",
            expect![[r#"
                * Add a description
                { codchi.secrets.A = { description = "What A is and where to get it"; required = false; }; }
                  Allow `secret-without-description` on this line
                # codchi: allow secret-without-description
                { codchi.secrets.A = { required = false; }; }
            "#]],
        );
        check(
            "{ codchi.secrets.A$0 = {}; codchi.secrets.A.required = false; }",
            expect![[r#"
                * Add a description
                { codchi.secrets.A = { description = "What A is and where to get it"; }; codchi.secrets.A.required = false; }
                  Allow `secret-without-description` on this line
                # codchi: allow secret-without-description
                { codchi.secrets.A = {}; codchi.secrets.A.required = false; }
            "#]],
        );
        check(
            "{ codchi.secrets = { A$0.required = false; }; }",
            expect![[r#"
                * Add a description
                { codchi.secrets = { A.description = "What A is and where to get it"; A.required = false; }; }
                  Allow `secret-without-description` on this line
                # codchi: allow secret-without-description
                { codchi.secrets = { A.required = false; }; }
            "#]],
        );
        check(
            "{ codchi.secrets.A$0 = { description = \"\"; required = false; }; }",
            expect![[r#"
                * Add a description
                { codchi.secrets.A = { description = "What A is and where to get it"; required = false; }; }
                  Allow `secret-without-description` on this line
                # codchi: allow secret-without-description
                { codchi.secrets.A = { description = ""; required = false; }; }
            "#]],
        );
    }

    #[test]
    fn a_name_of_a_secret_can_be_made_valid() {
        check(
            "{ codchi.secrets.my-to$0ken = { description = \"a\"; required = false; }; }",
            expect![[r#"
                * Rename to `my_token`
                { codchi.secrets.my_token = { description = "a"; required = false; }; }
                  Allow `secret-name-invalid` on this line
                # codchi: allow secret-name-invalid
                { codchi.secrets.my-token = { description = "a"; required = false; }; }
            "#]],
        );
    }

    #[test]
    fn elsewhere_there_is_nothing_to_do() {
        check("{ codchi.gpu.enable = $0true; codchi.secrets.A.description = \"a\"; }", expect![[r#""#]]);
    }
}
