//! The memory map. Comes in: `/proc/pid/maps`. Goes out: its lines that make sense, by rising address.

/// One line: `start-end perms offset device inode path`, numbers hexadecimal but for the inode (proc(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping<'a> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: u64,
    /// `r-xp`
    pub(crate) permissions: &'a str,
    /// Which file: device and inode; inode 0 is no file.
    pub(crate) file: (&'a str, u64),
    /// Empty for anonymous memory; the kernel's own in brackets; ` (deleted)` behind a file that is gone.
    pub(crate) path: &'a str,
}

impl<'a> Mapping<'a> {
    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    pub(crate) fn is_executable(&self) -> bool {
        self.permissions.contains('x')
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.permissions.contains('w')
    }

    /// Whether the file is gone, or was replaced by another of its name.
    pub(crate) fn is_deleted(&self) -> bool {
        self.path.ends_with(DELETED)
    }

    /// The last component of the path; `/memfd:name` is the kernel's way to say "no file".
    pub(crate) fn file_name(&self) -> &'a str {
        let path = self.path.strip_suffix(DELETED).unwrap_or(self.path);
        path.rsplit(['/', ':']).next().unwrap_or_default()
    }
}

const DELETED: &str = " (deleted)";

pub(crate) fn parse_maps(maps: &str) -> Vec<Mapping<'_>> {
    maps.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mapping<'_>> {
    let mut rest = line;
    let mut word = || {
        let (word, behind) = rest.trim_start().split_once(' ')?;
        rest = behind;
        Some(word)
    };
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = word()?.split_once('-')?;
    let permissions = word()?;
    let offset = hex(word()?)?;
    let device = word()?;
    // Where there is no path, the inode may be the last word.
    let (inode, path) = match word() {
        Some(inode) => (inode, rest.trim()),
        None => (rest.trim(), ""),
    };
    let file = (device, inode.parse().ok()?);
    Some(Mapping { start: hex(start)?, end: hex(end)?, offset, permissions, file, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_with_and_without_a_path_and_leaves_out_nonsense() {
        let maps = "\
00400000-00401000 r-xp 00001000 fe:00 247030                     /opt/my app (deleted)
7fe567a08000-7fe567a2a000 rw-p 00000000 00:00 0 
7fe567a2a000-7fe567a2b000 rwxp 00000000 00:00 0
nonsense

-
7ffd-7ffe r-xp 00000000 00:01 12   /memfd:frida-agent-64.so (deleted)
";
        let lines = parse_maps(maps);
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[0].file_name(), lines[0].is_deleted(), lines[0].offset), ("my app", true, 0x1000));
        assert_eq!((lines[1].path, lines[1].file.1, lines[1].is_executable()), ("", 0, false));
        assert!(lines[2].is_executable() && lines[2].is_writable());
        assert_eq!(lines[3].file_name(), "frida-agent-64.so");
    }
}
