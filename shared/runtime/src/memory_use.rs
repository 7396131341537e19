//! How much memory this process uses, as the system counts it: `/debug/memory`.

/// What Linux says of a process and a person wants to know, with what it means.
const LINES: [(&str, &str); 7] = [
    ("VmRSS", "in memory now"),
    ("VmHWM", "the most there ever was"),
    ("RssAnon", "of it heap and stacks"),
    ("RssFile", "of it code and files, which the system may take back"),
    ("VmSwap", "put out to disk"),
    ("VmData", "asked for, used or not"),
    ("Threads", "threads"),
];

/// Writes a line each, or that the system does not say.
pub(crate) fn describe_memory() -> String {
    let said = std::fs::read_to_string("/proc/self/status").map(|status| describe(&status)).unwrap_or_default();
    if said.is_empty() { "this system does not say how much memory a process uses\n".to_owned() } else { said }
}

fn describe(status: &str) -> String {
    let values = status.lines().filter_map(|line| line.split_once(':'));
    let values = values.map(|(name, value)| (name, value.split_whitespace().collect::<Vec<_>>().join(" ")));
    let told = values.filter_map(|(name, value)| {
        let (_, meaning) = LINES.iter().find(|(known, _)| *known == name)?;
        Some(format!("{name:<8} {value:>14}  {meaning}\n"))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn what_the_system_says_is_told_with_its_meaning_and_nothing_else() {
        let said = describe("Name:\tapi\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t7\n");
        assert_eq!(said.lines().count(), 3, "{said}");
        assert!(said.contains("VmRSS          10240 kB  in memory now\n") && !said.contains("api"), "{said}");
    }
}
