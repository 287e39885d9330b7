//! Who is at it, for the ledger and for people.

/// The account's name: as the environment says it, else as the system knows it.
pub fn name<'a>(variable: &impl Fn(&str) -> Option<&'a String>) -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .cloned()
        .or_else(of_this_process)
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The owner of this process, looked up in the list of accounts (a container or a service often
/// has no variable that names it).
#[cfg(unix)]
fn of_this_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    of_uid(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
}

#[cfg(not(unix))]
fn of_this_process() -> Option<String> {
    None
}

/// Lines of passwd(5): name, password, user id, ...
#[cfg(unix)]
fn of_uid(accounts: &str, uid: u32) -> Option<String> {
    let wanted = uid.to_string();
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == wanted).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_first() {
        let ann = "ann".to_owned();
        assert_eq!(name(&|variable| (variable == "LOGNAME").then_some(&ann)), "ann");
    }

    #[cfg(unix)]
    #[test]
    fn accounts_are_found_by_their_number() {
        let accounts = "root:x:0:0:root:/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(of_uid(accounts, 1000).as_deref(), Some("ann"));
        assert_eq!(of_uid(accounts, 100), None);
    }
}
