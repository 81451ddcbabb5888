//! Whether a directory may be trusted: no other user can put something into it or in its way.
//!
//! The same rule as OpenSSH's `StrictModes`: the directory and all above it belong to the caller or to
//! root, and no other user may write to them. A group that has the caller's name is the caller's own
//! (many systems give each user one, and let it write). A directory with the sticky bit, as `/tmp`,
//! may lie above: what is in it is moved by its owner alone.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// Write permission of the group, and of all others.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Only the owner of an entry may rename or remove it.
const STICKY: u32 = 0o1000;

/// Refuses a directory that another user can change, or whose place another user can take.
///
/// # Errors
/// Names the directory that is not to be trusted, and what is wrong with it.
pub(super) fn check(directory: &Path) -> io::Result<()> {
    // Without links: a link is as trustworthy as the directories that it lies in and leads to.
    let real = fs::canonicalize(directory)?;
    let own_group = own_group();
    for (depth, part) in real.ancestors().enumerate() {
        let place = if depth == 0 {
            Place::Itself
        } else {
            Place::Above
        };
        let looked = Looked::at(&fs::metadata(part)?, own_group);
        if let Some(problem) = looked.problem(place, geteuid()) {
            let shown = part.display();
            let message = format!("`{shown}` {problem}, who could change what runs from here");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
    }
    Ok(())
}

/// The group that has the caller's name, if it is the caller's primary one.
fn own_group() -> Option<Gid> {
    let user = User::from_uid(geteuid()).ok()??;
    let group = Group::from_gid(user.gid).ok()??;
    (group.name == user.name).then_some(group.gid)
}

/// Where a directory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is the one that is asked about.
    Itself,
    /// It is one above.
    Above,
}

/// What the rule asks of a directory.
#[derive(Debug, Clone, Copy)]
struct Looked {
    owner: Uid,
    mode: u32,
    /// Its group has no member but the caller.
    group_is_own: bool,
}

impl Looked {
    fn at(directory: &Metadata, own_group: Option<Gid>) -> Self {
        Self {
            owner: Uid::from_raw(directory.uid()),
            mode: directory.mode(),
            group_is_own: own_group == Some(Gid::from_raw(directory.gid())),
        }
    }

    /// The rule: what is wrong with it.
    fn problem(self, place: Place, caller: Uid) -> Option<&'static str> {
        if self.owner != caller && !self.owner.is_root() {
            return Some("belongs to another user");
        }
        let group = if self.group_is_own { 0 } else { GROUP_WRITES };
        let sticky = self.mode & STICKY != 0 && place == Place::Above;
        let open = self.mode & (group | OTHERS_WRITE) != 0;
        (open && !sticky).then_some("can be written to by other users")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_directories_that_no_other_user_can_change_are_trusted() {
        const ME: u32 = 1000;
        const OTHER: u32 = 1001;
        let problem = |owner, mode, group_is_own, place, caller| {
            let owner = Uid::from_raw(owner);
            let looked = Looked {
                owner,
                mode,
                group_is_own,
            };
            looked.problem(place, Uid::from_raw(caller))
        };
        for (owner, mode, group_is_own, place, trusted) in [
            (ME, 0o700, false, Place::Itself, true),
            (ME, 0o755, false, Place::Itself, true),
            (ME, 0o775, true, Place::Itself, true),
            (0, 0o755, false, Place::Above, true),
            (0, 0o1777, false, Place::Above, true),
            (0, 0o1777, false, Place::Itself, false),
            (OTHER, 0o700, false, Place::Itself, false),
            (OTHER, 0o755, false, Place::Above, false),
            (ME, 0o775, false, Place::Itself, false),
            (ME, 0o757, true, Place::Itself, false),
            (0, 0o777, false, Place::Above, false),
        ] {
            let problem = problem(owner, mode, group_is_own, place, ME);
            let about = format!("{owner} {mode:o} {group_is_own} {place:?}: {problem:?}");
            assert_eq!(problem.is_none(), trusted, "{about}");
        }
        let of_a_user = problem(ME, 0o700, false, Place::Itself, 0);
        assert!(of_a_user.is_some(), "root trusts only itself");
    }

    #[test]
    fn a_directory_below_one_that_others_may_change_is_refused() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("server");
        fs::create_dir(&directory).unwrap();
        check(&directory).unwrap();
        let link = above.path().join("link");
        symlink(&directory, &link).unwrap();
        check(&link).unwrap();
        fs::set_permissions(above.path(), fs::Permissions::from_mode(0o777)).unwrap();
        for path in [&directory, &link] {
            let error = check(path).unwrap_err().to_string();
            assert!(
                error.contains("can be written to by other users"),
                "{error}"
            );
        }
    }
}
