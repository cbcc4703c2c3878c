//! The environment, read once.
//!
//! A service's `Config::from_env(&mut Env)` asks for every variable by name, with its default and
//! its limits, and gets a usable value whatever happens. Problems are collected;
//! [`Env::finish`] reports them all together, each with its variable.
//!
//! ```
//! use parley_runtime::config::Env;
//!
//! let mut env = Env::from_map([("PARLEY_SHARDS", "zero")]);
//! let shards = env.u64("PARLEY_SHARDS", 4, 1..=64);
//! assert_eq!(shards, 4);
//! assert_eq!(
//!     env.finish().unwrap_err().to_string(),
//!     "PARLEY_SHARDS: is not a whole number"
//! );
//! ```
//!
//! Values are never repeated in a message: some are secrets.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// Environment variables and the problems found in them.
///
/// A variable that is set to nothing counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    variable: String,
    what: String,
}

/// All variables that are wrong, one line each: exit 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The names of the variables, one for each problem.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|problem| problem.variable.as_str())
    }
}

impl Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{}: {}", problem.variable, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Env {
    /// The variables of this process whose names begin with `PARLEY_`.
    #[must_use]
    pub fn from_process() -> Self {
        let mut env = Self::default();
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| name.starts_with("PARLEY_")) else {
                continue;
            };
            match value.into_string() {
                Ok(value) => env.set(name, value),
                Err(_) => env.problem(name, "is not UTF-8"),
            }
        }
        env
    }

    /// Exactly these variables: for tests.
    pub fn from_map<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            problems: Vec::new(),
        }
    }

    /// Sets a variable, as `parley up` does for the services it runs.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.insert(name.into(), value.into());
    }

    /// Sets a variable unless it is set.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// Reports a problem that only the caller can see, such as two variables that contradict.
    /// The same problem, found by several services, is reported once.
    pub fn problem(&mut self, variable: &str, what: impl Into<String>) {
        let problem = Problem { variable: variable.to_owned(), what: what.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// # Errors
    /// Every problem found so far.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub fn opt_string(&mut self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub fn string(&mut self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or(default).to_owned()
    }

    /// A string that must be there; empty if it is not.
    pub fn required_string(&mut self, name: &str) -> String {
        self.opt_string(name).unwrap_or_else(|| {
            self.problem(name, "is not set");
            String::new()
        })
    }

    /// A secret of at least so many bytes, if it is set. Its message never holds the value.
    pub fn opt_secret(&mut self, name: &str, min_bytes: usize) -> Option<String> {
        let secret = self.opt_string(name)?;
        if secret.len() < min_bytes {
            self.problem(name, format!("is shorter than {min_bytes} bytes"));
            return None;
        }
        Some(secret)
    }

    pub fn path(&mut self, name: &str, default: &str) -> PathBuf {
        PathBuf::from(self.string(name, default))
    }

    pub fn opt_path(&mut self, name: &str) -> Option<PathBuf> {
        self.opt_string(name).map(PathBuf::from)
    }

    /// One of `choices`, of which `default` is one.
    pub fn choice(&mut self, name: &str, default: &str, choices: &[&str]) -> String {
        let value = self.string(name, default);
        if choices.contains(&value.as_str()) {
            return value;
        }
        self.problem(name, format!("is not one of {}", choices.join(", ")));
        default.to_owned()
    }

    /// `true` or `1`, `false` or `0`.
    pub fn bool(&mut self, name: &str, default: bool) -> bool {
        match self.get(name) {
            None => default,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(_) => {
                self.problem(name, "is neither true nor false");
                default
            }
        }
    }

    /// Values separated by commas, without the blanks around them; none of them empty.
    pub fn list(&mut self, name: &str, default: &[&str]) -> Vec<String> {
        match self.get(name) {
            None => default.iter().map(|&item| item.to_owned()).collect(),
            Some(value) => value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    pub fn u64(&mut self, name: &str, default: u64, limits: RangeInclusive<u64>) -> u64 {
        self.opt_number(name, limits).unwrap_or(default)
    }

    pub fn u32(&mut self, name: &str, default: u32, limits: RangeInclusive<u32>) -> u32 {
        self.opt_number(name, limits).unwrap_or(default)
    }

    pub fn u16(&mut self, name: &str, default: u16, limits: RangeInclusive<u16>) -> u16 {
        self.opt_number(name, limits).unwrap_or(default)
    }

    pub fn usize(&mut self, name: &str, default: usize, limits: RangeInclusive<usize>) -> usize {
        self.opt_number(name, limits).unwrap_or(default)
    }

    /// A size in bytes. The variable's name ends in `_BYTES`.
    pub fn bytes(&mut self, name: &str, default: usize, limits: RangeInclusive<usize>) -> usize {
        self.usize(name, default, limits)
    }

    /// A duration in whole milliseconds. The variable's name ends in `_MS` or `_MILLIS`.
    pub fn duration_millis(
        &mut self,
        name: &str,
        default_millis: u64,
        limits_millis: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_millis(self.u64(name, default_millis, limits_millis))
    }

    /// A duration in whole seconds. The variable's name ends in `_SECONDS`.
    pub fn duration_seconds(
        &mut self,
        name: &str,
        default_seconds: u64,
        limits_seconds: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.u64(name, default_seconds, limits_seconds))
    }

    /// A number within `limits`, if it is set.
    pub fn opt_number<N: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        limits: RangeInclusive<N>,
    ) -> Option<N> {
        let parsed = self.get(name)?.parse::<N>();
        match parsed {
            Ok(number) if limits.contains(&number) => Some(number),
            Ok(_) => {
                let (least, most) = limits.into_inner();
                self.problem(name, format!("is not between {least} and {most}"));
                None
            }
            Err(_) => {
                self.problem(name, "is not a whole number");
                None
            }
        }
    }

    /// An address to listen on, such as `127.0.0.1:8080`.
    ///
    /// # Panics
    /// If `default` is not an address: it is a constant of the program.
    pub fn socket_addr(&mut self, name: &str, default: &str) -> SocketAddr {
        self.opt_socket_addr(name)
            .or_else(|| default.parse().ok())
            .unwrap_or_else(|| panic!("the default of {name} is not an address"))
    }

    pub fn opt_socket_addr(&mut self, name: &str) -> Option<SocketAddr> {
        let parsed = self.get(name)?.parse();
        if parsed.is_err() {
            self.problem(name, "is not an address like 127.0.0.1:8080");
        }
        parsed.ok()
    }

    /// A URL with one of `schemes`, as it was written.
    pub fn url(&mut self, name: &str, default: &str, schemes: &[&str]) -> String {
        self.opt_url(name, schemes).unwrap_or_else(|| default.to_owned())
    }

    /// A URL that must be there; empty if it is not.
    pub fn required_url(&mut self, name: &str, schemes: &[&str]) -> String {
        if self.get(name).is_none() {
            self.problem(name, "is not set");
        }
        self.opt_url(name, schemes).unwrap_or_default()
    }

    pub fn opt_url(&mut self, name: &str, schemes: &[&str]) -> Option<String> {
        let value = self.get(name)?.to_owned();
        self.check_url(name, &value, schemes).then_some(value)
    }

    /// One URL or more, separated by commas, as the servers of a cluster; as they were written.
    pub fn url_list(&mut self, name: &str, default: &str, schemes: &[&str]) -> String {
        let value = self.string(name, default);
        let checked = value.split(',').all(|url| self.check_url(name, url.trim(), schemes));
        if checked { value } else { default.to_owned() }
    }

    fn check_url(&mut self, name: &str, value: &str, schemes: &[&str]) -> bool {
        let right = Url::parse(value)
            .is_ok_and(|url| schemes.contains(&url.scheme()) && url.host_str().is_some());
        if !right {
            let wanted: Vec<String> =
                schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
            self.problem(name, format!("is not a URL like {}", wanted.join(" or ")));
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_apply_to_what_is_missing_or_empty() {
        let mut env = Env::from_map([("PARLEY_EMPTY", " ")]);
        assert_eq!(env.string("PARLEY_EMPTY", "d"), "d");
        assert_eq!(env.opt_string("PARLEY_EMPTY"), None);
        assert_eq!(env.u64("PARLEY_N", 7, 1..=9), 7);
        assert!(env.bool("PARLEY_B", true));
        assert_eq!(env.list("PARLEY_L", &["a", "b"]), ["a", "b"]);
        assert_eq!(env.duration_millis("PARLEY_T_MS", 20, 1..=1_000), Duration::from_millis(20));
        assert_eq!(env.socket_addr("PARLEY_LISTEN", "127.0.0.1:8080").port(), 8080);
        env.finish().unwrap();
    }

    #[test]
    fn values_are_read() {
        let mut env = Env::from_map([
            ("PARLEY_L", "x, y,,z "),
            ("PARLEY_T_SECONDS", "3"),
            ("PARLEY_DATABASE_URL", "postgres://u:p@h:1/db"),
            ("PARLEY_NATS_URL", "nats://a:1,nats://b:2"),
        ]);
        assert_eq!(env.list("PARLEY_L", &[]), ["x", "y", "z"]);
        assert_eq!(env.duration_seconds("PARLEY_T_SECONDS", 1, 1..=5), Duration::from_secs(3));
        assert_eq!(
            env.required_url("PARLEY_DATABASE_URL", &["postgres", "postgresql"]),
            "postgres://u:p@h:1/db"
        );
        assert_eq!(
            env.url_list("PARLEY_NATS_URL", "nats://127.0.0.1:4222", &["nats", "tls"]),
            "nats://a:1,nats://b:2"
        );
        env.finish().unwrap();
    }

    #[test]
    fn every_bad_variable_is_named_and_no_value_repeated() {
        let mut env = Env::from_map([
            ("PARLEY_N", "hunter2"),
            ("PARLEY_M", "100"),
            ("PARLEY_B", "hunter2"),
            ("PARLEY_C", "hunter2"),
            ("PARLEY_LISTEN", "hunter2"),
            ("PARLEY_URL", "ftp://hunter2"),
            ("PARLEY_URLS", "nats://a,hunter2"),
            ("PARLEY_SECRET", "hunter2"),
        ]);
        env.u64("PARLEY_N", 1, 0..=9);
        env.u64("PARLEY_N", 2, 0..=9);
        env.u64("PARLEY_M", 1, 0..=9);
        env.bool("PARLEY_B", false);
        env.choice("PARLEY_C", "a", &["a", "b"]);
        env.socket_addr("PARLEY_LISTEN", "127.0.0.1:1");
        env.url("PARLEY_URL", "nats://x", &["nats"]);
        env.url_list("PARLEY_URLS", "nats://x", &["nats"]);
        env.opt_secret("PARLEY_SECRET", 32);
        env.required_string("PARLEY_MISSING");
        env.required_url("PARLEY_MISSING_URL", &["nats"]);
        let error = env.finish().unwrap_err();
        let names: Vec<&str> = error.variables().collect();
        assert_eq!(
            names,
            [
                "PARLEY_N",
                "PARLEY_M",
                "PARLEY_B",
                "PARLEY_C",
                "PARLEY_LISTEN",
                "PARLEY_URL",
                "PARLEY_URLS",
                "PARLEY_SECRET",
                "PARLEY_MISSING",
                "PARLEY_MISSING_URL"
            ]
        );
        let text = error.to_string();
        assert_eq!(text.lines().count(), 10);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("PARLEY_M: is not between 0 and 9"));
    }
}
