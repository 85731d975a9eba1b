//! Which output of a flake a module is, where that is not said and there are several.

use crate::flake::Flake;
use crate::run::Run;
use crate::{Answer, Choice, MachineError, ModuleSource, Question};
use codchi_nix::Nix;

impl Run<'_> {
    /// Chooses for new local modules that are flakes, of which there are copies by now; whether one was chosen.
    pub(crate) async fn choose_local_outputs(
        &mut self,
        nix: &Nix,
        flake: &Flake,
    ) -> Result<bool, MachineError> {
        let mut any = false;
        for (index, input) in flake.inputs.iter().enumerate() {
            let Some(source) = self.definition.modules.get(index).map(|module| &module.source) else { break };
            if input.local && input.is_flake && source.output.is_none() && self.is_new(source) {
                let outputs = nix.module_outputs(&input.url, self.cancel).await;
                let outputs = self.nix_done(outputs)?;
                any |= self.choose_output(index, &outputs).await?;
            }
        }
        Ok(any)
    }

    /// Makes the module at `index` one of `outputs` where that is not `default`: the only one, or else the one that the
    /// person picks. Where there is none, the evaluation says so.
    pub(crate) async fn choose_output(
        &mut self,
        index: usize,
        outputs: &[(String, String)],
    ) -> Result<bool, MachineError> {
        let Some(source) = self.definition.modules.get(index).map(|module| module.source.clone()) else {
            return Ok(false);
        };
        let names = names(outputs);
        let chosen = match names.as_slice() {
            [] => return Ok(false),
            names if names.contains(&"default") => return Ok(false),
            [only] => (*only).to_owned(),
            several => self.pick(&source, outputs, several).await?,
        };
        let chosen = ModuleSource { output: Some(chosen), ..source };
        // It may be there already under this name.
        self.definition.replace(index, chosen)?;
        self.folder.write_definition(&self.definition)?;
        Ok(true)
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
