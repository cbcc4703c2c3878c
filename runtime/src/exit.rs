//! Exit codes, after `sysexits.h`.

use std::process::ExitCode;

/// How a program of Parley ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything went well.
    Ok = 0,
    /// Bad usage or configuration: trying again changes nothing.
    Usage = 64,
    /// A server that is needed cannot be reached: trying again may help.
    Unavailable = 69,
    /// Anything else.
    Internal = 70,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
