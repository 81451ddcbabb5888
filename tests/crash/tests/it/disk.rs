//! A disk that is full, and one that cannot be written: starts are refused with what to do, and what
//! was acknowledged is still there and ends when there is space again.
//!
//! A small disk is a mount, and only root may mount.

use std::{fs, io::Write, path::PathBuf, process::Command};

use rustix::process::geteuid;

use crate::{journal::Journal, place::Place, steps, victim::Victim, wait::until};

const DISK: &str = "size=12m";

/// What is removed later to make space.
const BALLAST_BYTES: usize = 5 << 20;

/// How large the argument of a workflow is that fills the disk.
const BULK_BYTES: usize = 200_000;

/// How often a start is refused before the test believes it.
const REFUSALS: usize = 5;

/// A file system of its own below the database. Unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// None for whoever may not mount, which is said loudly.
    fn mount(place: &Place, test: &str) -> Option<Self> {
        if !geteuid().is_root() {
            println!("disk: SKIPPED {test}: only root may mount a small disk");
            return None;
        }
        let disk = Self(place.disk());
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
            .arg(&disk.0));
        Some(disk)
    }

    fn make_read_only(&self) {
        run(Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0));
    }

    /// Takes the space that was too little for a start.
    fn leave_nothing(&self) {
        let mut ballast = fs::File::options()
            .append(true)
            .open(self.ballast())
            .unwrap();
        while ballast.write_all(&[1; 512]).is_ok() {}
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a victim may still be on its way out.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
fn a_full_disk_refuses_starts_and_loses_nothing() {
    let place = Place::new();
    let Some(disk) = Disk::mount(&place, "the full disk") else {
        return;
    };
    fs::write(disk.ballast(), vec![1; BALLAST_BYTES]).unwrap();
    let mut victim = Victim::ready(&place, &[]);
    let (acknowledged, refusals) = fill(&mut victim);
    for refusal in &refusals {
        assert!(
            refusal.contains("the disk is full"),
            "it says nothing to act on: {refusal}"
        );
    }
    disk.leave_nothing();
    // What was acknowledged goes on, as far as it can without a disk.
    place.open_gate();
    until("the end of the steps that run", || {
        let lines = steps::read(&place);
        let left = lines
            .iter()
            .filter(|line| line.mark == crash_tests::log::Mark::Leave);
        (left.filter(|line| !line.is_body()).count() == acknowledged.len()).then_some(())
    });
    victim.kill();
    let killed = starts_on_the_full_disk(&place);

    fs::remove_file(disk.ballast()).unwrap();
    let mut next = Victim::ready(&place, &[]);
    for id in &acknowledged {
        next.tell(&format!("follow bulk {id}"));
        next.hear(&format!("done {id} succeeded {BULK_BYTES}"));
    }
    next.tell("start chain new 3 1");
    next.hear("started new New");
    next.tell("follow chain new");
    next.hear("done new succeeded");
    let workflows = Journal::open(&place).unwrap().states().len();
    assert_eq!(
        workflows,
        acknowledged.len() + 1,
        "a refused start has left something behind"
    );
    println!(
        "disk: {} workflows acknowledged, then {} starts refused, killed on the full disk ({killed}), \
         all ended when there was space; refusal: {}",
        acknowledged.len(),
        refusals.len(),
        refusals[0]
    );
}

/// Starts workflows until the disk is full. Answers those that were acknowledged, and the refusals.
fn fill(victim: &mut Victim) -> (Vec<String>, Vec<String>) {
    let (mut acknowledged, mut refusals) = (Vec::new(), Vec::new());
    for n in 0.. {
        let id = format!("b{n}");
        victim.tell(&format!("start bulk {id} {BULK_BYTES}"));
        let answer = until("the answer to a start", || {
            victim
                .lines()
                .into_iter()
                .find(|line| line.split(' ').nth(1) == Some(&id))
        });
        if answer.starts_with("started") {
            acknowledged.push(id);
        } else {
            refusals.push(answer);
        }
        if refusals.len() == REFUSALS {
            break;
        }
    }
    (acknowledged, refusals)
}

/// Starts a process on the full disk, and kills it. It runs, if the log of SQLite has room that can
/// be used again, or says why not.
fn starts_on_the_full_disk(place: &Place) -> &'static str {
    let mut next = Victim::spawn(place, &[]);
    if next.listen_for("ready").is_ok() {
        next.kill();
        return "the next process ran, and was killed, too";
    }
    next.wait();
    let failed = next.hear("failed");
    assert!(
        failed.contains("the disk is full"),
        "it says nothing to act on: {failed}"
    );
    "the next process said that the disk is full"
}

#[test]
fn a_disk_that_cannot_be_written_is_named_at_launch() {
    for killed in [false, true] {
        let place = Place::new();
        let Some(disk) = Disk::mount(&place, "the read-only disk") else {
            return;
        };
        leave_a_workflow(&place, killed);
        disk.make_read_only();
        let failed = may_not_write(&place);
        let left = if killed { "killed" } else { "ended" };
        println!("disk: read-only file system after a process that was {left}: {failed}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_at_launch() {
    if geteuid().is_root() {
        println!("disk: SKIPPED the read-only file: root may write every file");
        return;
    }
    let place = Place::new();
    leave_a_workflow(&place, false);
    let mut rights = fs::metadata(place.journal()).unwrap().permissions();
    rights.set_readonly(true);
    fs::set_permissions(place.journal(), rights).unwrap();
    let failed = may_not_write(&place);
    println!("disk: read-only file: {failed}");
}

/// Leaves the database of a process that was killed, with its log, or has ended in order.
fn leave_a_workflow(place: &Place, killed: bool) {
    let mut victim = Victim::ready(place, &[]);
    victim.tell("start gated g");
    victim.hear("started g New");
    if killed {
        victim.kill();
        return;
    }
    victim.terminate();
    victim.hear("stopped");
    assert!(victim.wait().success());
}

/// What a process says that cannot work, and so does not begin to.
fn fails_to_launch(place: &Place) -> String {
    let mut victim = Victim::spawn(place, &[]);
    let launched = victim.listen_for("ready").is_ok();
    assert!(!launched, "it runs workflows that it cannot record");
    let status = victim.wait();
    assert!(!status.success(), "it ended with {status}");
    let failed = victim.hear("failed");
    assert!(failed.contains("stepwell.db"), "it names no file: {failed}");
    failed
}

/// What a process says that may not write.
fn may_not_write(place: &Place) -> String {
    let failed = fails_to_launch(place);
    assert!(
        failed.contains("cannot be written") || failed.contains("may write the directory"),
        "it says nothing to act on: {failed}"
    );
    failed
}
