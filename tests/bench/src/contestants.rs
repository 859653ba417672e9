//! What is measured side by side.

use std::path::PathBuf;

/// One of the programs, and how it is started.
#[derive(Clone)]
pub struct Contestant {
    pub kind: Kind,
    pub command: PathBuf,
    pub arguments: Vec<String>,
    pub directory: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// (a) The shipped invoker, as packaged.
    Invoker,
    /// (b) The same two round trips with hyper and no SDK.
    Floor,
    /// The floor with signed requests: the least that AWS itself would answer.
    Signed,
    /// (c) The recipe in Python: clients made for each request.
    Recipe,
    /// (d) The best Python: clients kept, credentials swapped.
    Kept,
    /// (e) Answers at once: the cost of the harness and of Lambda's runtime loop.
    Noop,
}

impl Kind {
    pub fn is_python(self) -> bool {
        matches!(self, Self::Recipe | Self::Kept)
    }

    /// Whether it assumes a role and calls a model for each request.
    pub fn calls_out(self) -> bool {
        self != Self::Noop
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Invoker => "invoker",
            Self::Floor => "floor",
            Self::Signed => "signed",
            Self::Recipe => "recipe",
            Self::Kept => "kept",
            Self::Noop => "noop",
        }
    }
}

impl Contestant {
    /// A Lambda custom runtime's executable.
    pub fn bootstrap(kind: Kind, command: PathBuf) -> Self {
        Self { kind, command, arguments: Vec::new(), directory: PathBuf::from("/") }
    }

    /// `handler` is `module.function`, a module in `directory`.
    pub fn python(kind: Kind, python: PathBuf, directory: PathBuf, handler: &str) -> Self {
        let arguments = ["-m", "awslambdaric", handler].map(str::to_owned).to_vec();
        Self { kind, command: python, arguments, directory }
    }
}
