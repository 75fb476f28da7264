//! What the kernel says about a process (`/proc`; elsewhere than on Linux everything reads as zero).

use std::fs;

/// What `/proc` counts CPU time in: USER_HZ, which Linux keeps at 100 on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds, user and system.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cpu {
    pub(crate) own_seconds: f64,
    /// Of the children that have ended.
    pub(crate) ended_children_seconds: f64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) peak: u64,
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    pub(crate) shared: u64,
}

pub(crate) fn cpu(process: u32) -> Cpu {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    cpu_in(&text).unwrap_or_default()
}

pub(crate) fn memory(process: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    memory_in(&text)
}

/// The processes whose parent is `process`.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number| parent(*number) == Some(process))
        .collect()
}

fn parent(process: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    fields(&text).nth(1)?.parse().ok()
}

/// The fields after the name, which may have spaces and parentheses itself: state, parent, and so on.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_ascii_whitespace()
}

fn cpu_in(stat: &str) -> Option<Cpu> {
    let mut ticks = fields(stat).skip(11).map(|field| field.parse::<f64>().ok());
    let mut seconds = || Some((ticks.next()?? + ticks.next()??) / TICKS_PER_SECOND);
    Some(Cpu {
        own_seconds: seconds()?,
        ended_children_seconds: seconds()?,
    })
}

fn memory_in(status: &str) -> Memory {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line
            .trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()?;
        Some(kibibytes * 1024)
    };
    Memory {
        peak: bytes("VmHWM").unwrap_or(0),
        resident: bytes("VmRSS").unwrap_or(0),
        anonymous: bytes("RssAnon").unwrap_or(0),
        shared: bytes("RssShmem").unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_parentheses() {
        let stat = "12 (a (b) c) S 1 12 12 0 -1 4194304 5 0 0 0 150 50 20 30 20 0 4 0 77";
        let expected = Cpu {
            own_seconds: 2.0,
            ended_children_seconds: 0.5,
        };
        assert_eq!(cpu_in(stat), Some(expected));
        assert_eq!(fields(stat).nth(1), Some("1"));
    }

    #[test]
    fn memory_is_read_by_name() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 4 kB\n";
        let memory = memory_in(status);
        assert_eq!(
            (memory.peak, memory.resident, memory.anonymous),
            (2048 * 1024, 1024 * 1024, 4096)
        );
        assert_eq!(memory.shared, 0);
    }
}
