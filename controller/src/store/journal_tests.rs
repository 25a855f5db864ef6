//! Tests of the journal: what a power cut, a flipped bit and a full disk do.

use super::*;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a time in range")
}

fn open(dir: &Path) -> (Journal, Vec<Repair>, Vec<Record>) {
    let mut records = Vec::new();
    let (journal, repairs) =
        Journal::open(dir, at(999), |record| records.push(record)).expect("open");
    (journal, repairs, records)
}

/// A journal of three entries, one with text that needs escapes.
fn three(dir: &Path) -> Vec<u8> {
    let (mut journal, _, _) = open(dir);
    for (second, word) in ["one", "two \"sum\": \u{2028}", "three"].iter().enumerate() {
        journal
            .append(at(second as i64), &json!({ "word": word, "f": 0.1 }))
            .expect("append");
    }
    fs::read(file_path(dir, 1)).expect("read")
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.n).collect()
}

#[test]
fn entries_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().expect("temp dir");
    three(dir.path());
    let (_, repairs, records) = open(dir.path());
    assert_eq!(repairs, []);
    assert_eq!(numbers(&records), [1, 2, 3]);
    assert_eq!(records[1].at, at(1));
    assert_eq!(
        records[1].entry,
        json!({ "word": "two \"sum\": \u{2028}", "f": 0.1 })
    );
}

#[test]
fn a_file_cut_at_any_byte_keeps_every_whole_line_and_goes_on() {
    let source = tempfile::tempdir().expect("temp dir");
    let bytes = three(source.path());
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().expect("temp dir");
        fs::write(file_path(dir.path(), 1), &bytes[..cut]).expect("write");
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        let expected: Vec<u64> = (1..=whole.saturating_sub(1) as u64).collect();

        let (mut journal, repairs, records) = open(dir.path());
        assert_eq!(numbers(&records), expected, "cut at {cut}");
        let clean = cut == 0 || bytes[cut - 1] == b'\n';
        assert_eq!(
            repairs.len(),
            usize::from(!clean),
            "cut at {cut}: {repairs:?}"
        );
        let next = journal.append(at(9), &json!("more")).expect("append");
        assert_eq!(next, expected.len() as u64 + 1, "cut at {cut}");
        drop(journal);
        let (_, repairs, records) = open(dir.path());
        assert_eq!(repairs, [], "mended once, cut at {cut}");
        assert_eq!(records.len(), expected.len() + 1, "cut at {cut}");
        assert!(
            aside(dir.path()).is_empty(),
            "a torn line is no damage, cut at {cut}"
        );
    }
}

fn aside(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.to_string_lossy().contains(".damaged-"))
        .collect()
}

#[test]
fn a_flipped_bit_never_shows_a_changed_entry() {
    let source = tempfile::tempdir().expect("temp dir");
    let bytes = three(source.path());
    let (_, _, originals) = open(source.path());
    let dir = tempfile::tempdir().expect("temp dir");
    for position in 0..bytes.len() {
        for bit in [0_u8, 3, 6] {
            for entry in fs::read_dir(dir.path()).expect("list") {
                fs::remove_file(entry.expect("entry").path()).expect("clean");
            }
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            fs::write(file_path(dir.path(), 1), &changed).expect("write");
            let mut records = Vec::new();
            let opened = catch_unwind(AssertUnwindSafe(|| {
                Journal::open(dir.path(), at(999), |record| records.push(record))
            }))
            .expect("no panic");
            match opened {
                Ok((_, repairs)) => {
                    assert!(!repairs.is_empty(), "byte {position} bit {bit} went unseen");
                    let torn = position == bytes.len() - 1;
                    assert_eq!(
                        aside(dir.path()).len(),
                        usize::from(!torn),
                        "byte {position}"
                    );
                }
                // A flip can make the header name a newer format: refused.
                Err(error) => assert!(matches!(error, OpenError::NewerFormat { .. }), "{error}"),
            }
            for record in &records {
                assert!(
                    originals.contains(record),
                    "byte {position} bit {bit}: {record:?}"
                );
            }
        }
    }
}

#[test]
fn damage_in_one_line_keeps_the_others_and_the_file() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut bytes = three(dir.path());
    let middle = bytes
        .windows(5)
        .position(|w| w == b"\"two ")
        .expect("second entry");
    bytes[middle + 2] = b'W';
    fs::write(file_path(dir.path(), 1), &bytes).expect("write");

    let (mut journal, repairs, records) = open(dir.path());
    assert_eq!(numbers(&records), [1, 3]);
    assert!(
        repairs.iter().any(|repair| repair.0.contains("damaged")),
        "{repairs:?}"
    );
    assert_eq!(
        fs::read(&aside(dir.path())[0]).expect("read"),
        bytes,
        "kept as it was"
    );
    assert_eq!(journal.append(at(9), &json!(4)).expect("append"), 4);
    drop(journal);
    assert_eq!(numbers(&open(dir.path()).2), [1, 3, 4]);
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let dir = tempfile::tempdir().expect("temp dir");
    three(dir.path());
    let newer = b"{\"format\":2}\n{\"whatever\":1}\n{\"half".to_vec();
    fs::write(file_path(dir.path(), 2), &newer).expect("write");
    let error = Journal::open(dir.path(), at(999), |_| {}).expect_err("refused");
    assert!(
        matches!(error, OpenError::NewerFormat { format: 2, .. }),
        "{error}"
    );
    assert_eq!(fs::read(file_path(dir.path(), 2)).expect("read"), newer);
}

#[test]
fn a_full_disk_loses_no_entry_and_heals_by_itself() {
    let dir = tempfile::tempdir().expect("temp dir");
    three(dir.path());
    let (mut journal, _, _) = open(dir.path());
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let real = std::mem::replace(&mut journal.file, full);
    assert!(journal.append(at(5), &json!("lost")).is_err());
    // Some of the line did reach the disk.
    (&real).write_all(b"{\"n\":4,\"at\":\"half").expect("write");
    journal.file = real;
    assert_eq!(journal.append(at(6), &json!("kept")).expect("append"), 4);
    drop(journal);
    let (_, repairs, records) = open(dir.path());
    assert_eq!(repairs, []);
    assert_eq!(numbers(&records), [1, 2, 3, 4]);
    assert_eq!(records[3].entry, json!("kept"));
}

#[test]
fn files_rotate_and_the_oldest_go() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _, _) = open(dir.path());
    journal.rotate_at = 200;
    for second in 0..100 {
        journal
            .append_relaxed(at(second), &json!({ "second": second }))
            .expect("append");
    }
    drop(journal);
    assert_eq!(file_numbers(dir.path()).expect("list").len(), FILES_KEPT);
    let (journal, repairs, records) = open(dir.path());
    assert_eq!(repairs, []);
    assert_eq!(records.last().map(|record| record.n), Some(100));
    assert!(
        numbers(&records)
            .windows(2)
            .all(|pair| pair[1] == pair[0] + 1)
    );
    assert_eq!(journal.next, 101);
}

#[test]
fn an_entry_that_is_too_long_is_refused_and_uses_no_number() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _, _) = open(dir.path());
    assert!(journal.append(at(0), &json!("x".repeat(LINE_MAX))).is_err());
    assert_eq!(journal.append(at(0), &json!("y")).expect("append"), 1);
}

#[test]
fn a_line_without_end_of_any_length_is_handled_in_bounded_memory() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut bytes = three(dir.path());
    bytes.extend(std::iter::repeat_n(0_u8, 3 * LINE_MAX));
    fs::write(file_path(dir.path(), 1), &bytes).expect("write");
    let (_, repairs, records) = open(dir.path());
    assert_eq!(numbers(&records), [1, 2, 3]);
    assert!(!repairs.is_empty());
}
