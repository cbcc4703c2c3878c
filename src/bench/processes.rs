//! What each process of a deployment costs, by `/proc` (proc(5)).

use std::{collections::BTreeMap, fs};

use nix::unistd::{SysconfVar, sysconf};

/// CPU seconds since their start, by the processes' names; several of one name are added up.
#[derive(Debug, Clone, Default)]
pub struct CpuSeconds(pub BTreeMap<String, f64>);

/// One line of `/proc/<pid>/stat`.
struct Stat {
    pid: u32,
    parent: u32,
    name: String,
    ticks: u64,
}

impl CpuSeconds {
    /// Of the deployment under `root` (itself and its descendants), and of this program.
    pub fn now(root: Option<u32>) -> Self {
        let stats: Vec<Stat> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(stat)
            .collect();
        let mut family: Vec<u32> = root.into_iter().collect();
        let mut seen = 0;
        while let Some(parent) = family.get(seen).copied() {
            family.extend(stats.iter().filter(|stat| stat.parent == parent).map(|stat| stat.pid));
            seen += 1;
        }
        let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).max(1);
        let mut seconds = BTreeMap::<String, f64>::new();
        for stat in stats {
            let name = if stat.pid == std::process::id() {
                "generator".to_owned()
            } else if family.contains(&stat.pid) {
                stat.name
            } else {
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "ticks of a short run fit by far")]
            let spent = stat.ticks as f64 / hertz as f64;
            *seconds.entry(name).or_default() += spent;
        }
        Self(seconds)
    }

    /// What was spent since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let spent = |(name, now): (&String, &f64)| {
            let then = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), (now - then).max(0.0))
        };
        Self(self.0.iter().map(spent).collect())
    }
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything, parentheses too.
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |number: usize| fields.get(number)?.parse::<u64>().ok();
    Some(Stat { pid, parent: u32::try_from(field(1)?).ok()?, name, ticks: field(11)? + field(12)? })
}
