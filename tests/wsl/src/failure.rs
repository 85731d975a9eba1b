//! What `wsl.exe` refuses: a code, where it arose, and what it says of it.

use crate::text::Texts;
use serde::{Deserialize, Serialize};

/// A failure as WSL reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The parts that it arose in, outermost first: `Wsl`, `Service`, `RegisterDistro`.
    pub(crate) contexts: Vec<String>,
    /// Its code, e.g. `WSL_E_DISTRO_NOT_FOUND`.
    pub(crate) code: String,
    /// The text's key in [`Texts`], and what is put into it; else the one of the code.
    pub(crate) message: Option<(String, Vec<String>)>,
    /// Said instead of any of [`Texts`].
    pub(crate) literal: Option<String>,
}

impl Failure {
    /// One whose text is the code's own.
    pub(crate) fn new(contexts: &[&str], code: &str) -> Self {
        let contexts = contexts.iter().map(|&context| context.into()).collect();
        Self { contexts, code: code.into(), message: None, literal: None }
    }

    /// One with a text of its own.
    pub(crate) fn told(contexts: &[&str], code: &str, key: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.into()).collect();
        Self { message: Some((key.into(), values)), ..Self::new(contexts, code) }
    }

    /// All that `wsl.exe` prints of it.
    pub(crate) fn text(&self, texts: &Texts) -> String {
        let message = match (&self.literal, &self.message) {
            (Some(literal), _) => literal.clone(),
            (None, Some((key, values))) => {
                texts.get(key, &values.iter().map(String::as_str).collect::<Vec<_>>())
            }
            (None, None) => of_code(&self.code, texts),
        };
        // These two are printed without their code.
        if matches!(&*self.code, "WSL_E_DEFAULT_DISTRO_NOT_FOUND" | "WSL_E_INVALID_USAGE") {
            return message;
        }
        let code = self.contexts.iter().chain([&self.code]).map(String::as_str).collect::<Vec<_>>().join("/");
        texts.get("MessageErrorCode", &[&message, &code])
    }
}

/// See `GetErrorString` in `wslutil.cpp`.
fn of_code(code: &str, texts: &Texts) -> String {
    let key = match code {
        "WSL_E_DISTRO_NOT_FOUND" => "MessageDistroNotFound",
        "WSL_E_DEFAULT_DISTRO_NOT_FOUND" => "MessageNoDefaultDistro",
        "WSL_E_USER_NOT_FOUND" => "MessageUserNotFound",
        "WSL_E_IMPORT_FAILED" => "MessageImportFailed",
        "WSL_E_EXPORT_FAILED" => "MessageExportFailed",
        "WSL_E_NOT_A_LINUX_DISTRO" => "MessageInvalidDistributionTar",
        "WSL_E_WSL2_NEEDED" => "MessageWsl2Needed",
        "WSL_E_WSL1_NOT_SUPPORTED" => "MessageWsl1NotSupported",
        "WSL_E_DISTRO_NOT_STOPPED" => "MessageVhdInUse",
        "WSL_E_DISK_CORRUPTED" => "MessageDiskCorrupted",
        "WSL_E_VM_MODE_NOT_SUPPORTED" => "MessageVmModeNotSupported",
        "WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED" => "MessageWslOptionalComponentRequired",
        "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED" => "MessageVirtualMachinePlatformNotInstalled",
        "HCS_E_HYPERV_NOT_INSTALLED" => "MessageEnableVirtualization",
        "E_ILLEGAL_STATE_CHANGE" => "MessageInvalidState",
        "WSL_E_INVALID_USAGE" => return crate::text::USAGE.into(),
        other => other,
    };
    if texts.has(key) { texts.get(key, &[]) } else { format!("Error: 0x{:08x}", number(code)) }
}

/// The number of a code that has no text: `wslservice.idl`, and `winerror.h` of Windows.
fn number(code: &str) -> u32 {
    match code {
        "WSL_E_TTY_LIMIT" => 0x8004_030d,
        "WSL_E_VM_CRASHED" => 0x8004_0332,
        "WININET_E_NAME_NOT_RESOLVED" => 0x8007_2ee7,
        other => {
            other.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0x8000_4005)
        }
    }
}
