//! The memory of the machine, of the control groups that this process is in, and of the process itself; Linux alone tells them.

use std::path::Path;

const GROUPS: &str = "/sys/fs/cgroup";

/// What this process could still have, in bytes: of the machine or of a control group (version 2) that bounds it, whichever is least. What the kernel keeps of
/// files counts as free. `None`: the system does not say.
pub(super) fn available() -> Option<u64> {
    let of_machine = read(Path::new("/proc/meminfo")).and_then(|text| kibibytes(&text, "MemAvailable:"));
    let of_groups = read(Path::new("/proc/self/cgroup")).and_then(|text| of_groups(Path::new(GROUPS), &text));
    of_machine.into_iter().chain(of_groups).min()
}

/// Resident, in bytes; `None`: the system does not say.
pub(super) fn resident() -> Option<u64> {
    kibibytes(&read(Path::new("/proc/self/status"))?, "VmRSS:")
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Of a line such as `MemAvailable:  1024 kB`, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// `own`: `/proc/self/cgroup`. Each group is bounded by those around it too (Linux, "Control Group v2", memory).
fn of_groups(root: &Path, own: &str) -> Option<u64> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = root.join(path);
    group.ancestors().take_while(|group| group.starts_with(root)).filter_map(left_of).min()
}

/// `None`: the group has no bound.
fn left_of(group: &Path) -> Option<u64> {
    let number = |name: &str| read(&group.join(name)).and_then(|text| text.trim().parse::<u64>().ok());
    // `max` in a file of a bound: there is none. Beyond `memory.high` processes are slowed down until they are below.
    let most = number("memory.max").into_iter().chain(number("memory.high")).min()?;
    let stat = read(&group.join("memory.stat")).unwrap_or_default();
    let counted = |name: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    // What is mapped by several, or lies in a file system in memory, is among the files and does not go.
    let of_files = counted("file").saturating_sub(counted("shmem"));
    Some(most.saturating_sub(number("memory.current")?.saturating_sub(of_files)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(path: &Path, files: &[(&str, &str)]) {
        std::fs::create_dir_all(path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_least_of_all_groups_around_is_what_there_is() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("batch"), root.path().join("batch/night"));
        group(&outer, &[("memory.max", "max\n"), ("memory.high", "5000\n"), ("memory.current", "1000\n")]);
        group(&inner, &[("memory.max", "9000\n"), ("memory.high", "max\n"), ("memory.current", "500\n")]);
        let left = |own: &str| of_groups(root.path(), own);
        assert_eq!(left("0::/batch/night\n"), Some(4_000));
        assert_eq!(left("1:name=systemd:/\n0::/batch\n"), Some(4_000));
        assert_eq!(left("0::/\n"), None, "the root has no bound");
        assert_eq!(left("0::/elsewhere\n"), None);
        group(&inner, &[("memory.max", "3000\n")]);
        assert_eq!(left("0::/batch/night\n"), Some(2_500));
    }

    #[test]
    fn what_is_kept_of_files_is_free_and_what_lies_in_memory_alone_is_not() {
        let root = tempfile::tempdir().unwrap();
        let stat = "anon 300\nfile 600\nfile_mapped 50\nshmem 100\n";
        group(root.path(), &[("memory.max", "2000\n"), ("memory.current", "1000\n"), ("memory.stat", stat)]);
        assert_eq!(of_groups(root.path(), "0::/\n"), Some(1_500));
    }

    #[test]
    fn a_line_of_kibibytes_is_told_in_bytes() {
        assert_eq!(kibibytes("MemTotal: 9 kB\nMemAvailable:    2048 kB\n", "MemAvailable:"), Some(2 << 20));
        assert_eq!(kibibytes("MemAvailable: much\n", "MemAvailable:"), None);
    }
}
