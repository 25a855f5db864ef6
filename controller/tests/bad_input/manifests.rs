//! Bad manifests: by the daemon, and by `amid validate` with their places.

use std::fs;
use std::process::Command;

use amid_testkit::small::{IMAGE, Small};

use super::{all_is_well, good, options};

/// One bad manifest.
struct Bad {
    /// Its app.
    app: &'static str,
    /// What the file holds.
    content: Vec<u8>,
    /// Where the first mistake is, by line and column.
    place: &'static str,
    /// Words in what is said of it.
    words: &'static str,
}

/// A manifest of five lines, with one line in the place of another.
fn with(app: &str, line: usize, text: &str) -> Vec<u8> {
    let unit = format!(r#"  "unit": "live/{app}/app","#);
    let ami = format!(r#"  "ami": "{IMAGE}","#);
    let mut lines = [
        "{",
        unit.as_str(),
        ami.as_str(),
        r#"  "instance_types": ["m5.large"],"#,
        r#"  "min_size": 1,"#,
        r#"  "max_size": 2"#,
        "}",
        "",
    ];
    lines[line - 1] = text;
    lines.join("\n").into_bytes()
}

fn all() -> Vec<Bad> {
    let bad = |app, content, place, words| Bad {
        app,
        content,
        place,
        words,
    };
    let line = |app: &'static str, line, text: &str, place, words| {
        bad(app, with(app, line, text), place, words)
    };
    let mut marked = b"\xEF\xBB\xBF".to_vec();
    marked.extend(with("demo/bom", 1, "{"));
    let mut large = with("demo/large", 1, "{");
    large.resize(10 << 20, b' ');
    let deep = format!("{{\n  \"env\": {}", "[".repeat(10_000)).into_bytes();
    let mut bytes = with("demo/bytes", 3, "  \"ami\": \"@\",");
    let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xFF;
    vec![
        line(
            "demo/unknown",
            6,
            r#"  "max_size": 2, "min_sise": 3"#,
            "6:18",
            "did you mean `min_size`",
        ),
        line(
            "demo/wrong-type",
            5,
            r#"  "min_size": "one","#,
            "5:15",
            "min_size",
        ),
        line(
            "demo/twice",
            6,
            r#"  "max_size": 2, "min_size": 3"#,
            "6:18",
            "twice",
        ),
        bad("demo/large", large, "1:1", "1 MiB"),
        bad("demo/deep", deep, "2:73", "more than 64 levels deep"),
        bad("demo/bom", marked, "1:1", "byte order mark"),
        bad("demo/bytes", bytes, "3:11", "is not UTF-8"),
        line("demo/nul", 5, "  \0\"min_size\": 1,", "5:3", "NUL"),
        line("demo/negative", 5, r#"  "min_size": -1,"#, "5:15", "-1"),
        line("demo/above", 5, r#"  "min_size": 9,"#, "5:15", "max_size"),
        line(
            "demo/dots",
            2,
            r#"  "unit": "live/../../etc","#,
            "2:11",
            "..",
        ),
        line(
            "demo/shared-a",
            2,
            r#"  "unit": "live/demo/shared/app","#,
            "2:11",
            "desired/demo/shared-b.json",
        ),
        line(
            "demo/shared-b",
            2,
            r#"  "unit": "live/demo/shared/app","#,
            "2:11",
            "desired/demo/shared-a.json",
        ),
    ]
}

#[test]
fn a_bad_manifest_is_held_with_its_mistake_and_the_good_one_beside_it_deploys() {
    let mut small = Small::new(options()).unwrap();
    let mut files = good();
    for bad in all() {
        files.push((format!("desired/{}.json", bad.app), bad.content));
        files.push(Small::unit_file(bad.app));
    }
    small
        .push(&files, "Add one good app and many bad ones")
        .unwrap();
    small.start().unwrap();
    for bad in all() {
        let said = small.until_held(bad.app, bad.words).unwrap();
        // Too large a file is never read, so that no place can be named.
        let place = match bad.app {
            "demo/large" => format!("desired/{}.json", bad.app),
            _ => format!("desired/{}.json:{}", bad.app, bad.place),
        };
        assert!(said.contains(&place), "{}: {said}", bad.app);
    }
    all_is_well(&mut small);

    let shown = small.cli(&["status"]).unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for bad in all() {
        assert!(shown.contains(bad.words), "{}: {shown}", bad.app);
    }
    let groups = small.stub.cloud().unwrap().groups;
    assert_eq!(groups.len(), 1, "only the good app has a group: {groups:?}");
}

#[test]
fn validate_names_file_line_and_column_of_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let write = |app: &str, content: &[u8]| {
        let path = dir.path().join(format!("desired/{app}.json"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("demo/good", &good()[0].1);
    for bad in all() {
        write(bad.app, &bad.content);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_amid"))
        .arg("validate")
        .arg(dir.path())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for bad in all() {
        let place = format!("desired/{}.json:{}: ", bad.app, bad.place);
        // The daemon words the size in its own way.
        let words = bad.words.replace("1 MiB", "bytes");
        assert!(
            shown
                .lines()
                .any(|line| line.starts_with(&place) && line.contains(&words)),
            "{place}{words} is not in:\n{shown}"
        );
    }
    assert!(!shown.contains("demo/good.json"), "{shown}");
}

#[test]
fn validate_of_a_good_tree_ends_well_and_of_none_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let validate = || {
        Command::new(env!("CARGO_BIN_EXE_amid"))
            .arg("validate")
            .arg(dir.path())
            .output()
            .unwrap()
    };
    let none = validate();
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("There is no manifest"));
    let path = dir.path().join("desired/demo/good.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &good()[0].1).unwrap();
    let one = validate();
    assert_eq!(one.status.code(), Some(0), "{one:?}");
}
