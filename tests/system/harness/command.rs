//! `parley …` that does one thing and ends.

use super::program;

/// What it printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it with these variables, away from any settings file.
pub async fn run(args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = tokio::process::Command::new(program());
    command.args(args).envs(variables.iter().copied()).current_dir(std::env::temp_dir());
    let output = command.output().await.unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// What it printed to standard output.
    ///
    /// # Panics
    /// If it failed, with what it said of that.
    pub fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}
