//! Who runs: the process that owns a lease, in a form in which another process can tell whether it
//! still lives.

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `user@host`, for people.
    pub actor: String,
    /// Host name.
    pub host: String,
    /// Changes with every start of the machine.
    pub boot_id: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in clock ticks since the machine's start; empty if unknown.
    pub process_start: String,
}

impl Owner {
    /// This process. `user` is the account's name as the faces know it.
    pub fn this_process(user: &str) -> Owner {
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned());
        let pid = std::process::id();
        Owner {
            actor: format!("{user}@{host}"),
            host,
            boot_id: read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            pid,
            process_start: process_start(pid).unwrap_or_default(),
        }
    }

    /// Whether the process `other` is known to be dead: it ran on this host, since the same start
    /// of the machine or an earlier one, and is there no more.
    pub(crate) fn knows_dead(&self, other: &Owner) -> bool {
        if other.host != self.host || self.boot_id.is_empty() || other.boot_id.is_empty() {
            return false;
        }
        if other.boot_id != self.boot_id {
            // Containers may share a host name, but not a boot id; another boot of this host is
            // only certain when the name is not a container's. Leave it to the expiry.
            return false;
        }
        match process_start(other.pid) {
            Some(start) => !other.process_start.is_empty() && start != other.process_start,
            None => std::path::Path::new("/proc/self/stat").exists(),
        }
    }
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Field 22 of /proc/PID/stat (proc(5)); the command name before it may hold spaces.
fn process_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_dead_and_a_reused_pid_is() {
        let me = Owner::this_process("ann");
        assert!(!me.knows_dead(&me));
        let reused = Owner { process_start: "1".to_owned(), ..me.clone() };
        assert!(me.knows_dead(&reused));
        let elsewhere = Owner { host: "other".to_owned(), ..reused };
        assert!(!me.knows_dead(&elsewhere));
    }
}
