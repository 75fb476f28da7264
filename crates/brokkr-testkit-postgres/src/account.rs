//! Which account the server runs as.

use std::os::unix::fs::MetadataExt;

const ROOT: u32 = 0;

/// A user of this machine, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// The account to change to before the server is started; `None` when it can run as the present user.
pub(crate) fn to_change_to() -> Option<Account> {
    if !running_as_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| find(&passwd, name))
}

fn running_as_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == ROOT)
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let _password = fields.next()?;
        Some(Account {
            user: fields.next()?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "postgresql:x:1:2::/:/bin/sh\npostgres:x:108:113::/:/bin/sh\n";
        assert_eq!(
            find(passwd, "postgres"),
            Some(Account {
                user: 108,
                group: 113
            })
        );
        assert_eq!(find(passwd, "nobody"), None);
    }
}
