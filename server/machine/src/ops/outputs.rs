//! Which output of a flake a module is, where that is not said and there are several.

use crate::run::Run;
use crate::{Answer, Choice, MachineError, ModuleSource, Question, SourceKind};
use codchi_nix::{Nix, path_url};

/// The outputs of a flake that are modules: (`nixosModules` | `codchiModules`, name).
type Outputs = Vec<(String, String)>;

impl Run<'_> {
    /// Chooses for new modules that name no output of their flake, which is locked by now: `default` where there is one, else
    /// the only one, else the one that the person picks; whether any but `default` was chosen. Where there is none, the
    /// evaluation says so.
    pub(crate) async fn choose_outputs(&mut self, nix: &Nix) -> Result<bool, MachineError> {
        let modules = &self.definition.modules;
        let open = |source: &ModuleSource| source.output.is_none() && self.is_new(source);
        let is_local_file = |source: &ModuleSource| matches!(source.kind, SourceKind::File(_));
        if !modules.iter().any(|module| open(&module.source) && !is_local_file(&module.source)) {
            return Ok(false);
        }
        let installable = format!("{}#moduleOutputs", path_url(&self.folder.flake()));
        let all: Vec<Outputs> = self.nix_done(nix.eval(&installable, self.cancel).await)?;
        let mut definition = self.definition.clone();
        for (index, (module, outputs)) in modules.iter().zip(&all).enumerate() {
            if !open(&module.source) {
                continue;
            }
            let names = names(outputs);
            let chosen = match names.as_slice() {
                [] => continue,
                names if names.contains(&"default") => continue,
                [only] => (*only).to_owned(),
                several => self.pick(&module.source, outputs, several).await?,
            };
            // It may be there already under this name.
            definition.replace(index, ModuleSource { output: Some(chosen), ..module.source.clone() })?;
        }
        let any = definition != self.definition;
        if any {
            self.folder.write_definition(&definition)?;
            self.definition = definition;
        }
        Ok(any)
    }

    async fn pick(
        &self,
        source: &ModuleSource,
        outputs: &[(String, String)],
        names: &[&str],
    ) -> Result<String, MachineError> {
        let choices = names.iter().map(|name| {
            let kinds: Vec<_> =
                outputs.iter().filter(|(_, other)| other == name).map(|(kind, _)| kind.as_str()).collect();
            Choice { label: (*name).to_owned(), detail: kinds.join(", ") }
        });
        let question =
            Question::Choice { prompt: format!("Which module of {source}?"), choices: choices.collect() };
        if let Answer::Chosen(index) = self.report.ask(question, self.cancel).await?
            && let Some(name) = names.get(index)
        {
            return Ok((*name).to_owned());
        }
        Err(MachineError::User {
            message: format!("{source} has several modules: {}", names.join(", ")),
            hint: Some(format!("Name one of them, e.g. `{source}#{}`.", names.first().unwrap_or(&"NAME"))),
        })
    }
}

/// The names of outputs, each once.
fn names(outputs: &[(String, String)]) -> Vec<&str> {
    let mut names: Vec<&str> = outputs.iter().map(|(_, name)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
