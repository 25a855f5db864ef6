//! Tests of the module above.

use super::*;

fn config(flags: &[&str]) -> Result<Config, Vec<String>> {
    let args = std::iter::once("todo").chain(flags.iter().copied());
    Config::new(Args::try_parse_from(args).expect("flags that exist"))
}

#[test]
fn all_wrong_values_are_told_at_once_in_a_sentence_each() {
    let problems = config(&[
        "--listen=nowhere",
        "--list-cap=0",
        "--drain-time=5",
        "--trusted-proxies=10.0.0.0/8,home",
        "--cors-origins=https://a.example/path",
        "--allow-delete-all=maybe",
        "--database-name=a.b",
        "--ami=<b>",
    ])
    .unwrap_err();
    let flags = [
        "`--listen` must be an address such as `127.0.0.1:8080`, not `nowhere`",
        "No database is given",
        "`--database-name`",
        "`--list-cap` must be a whole number from 1 to 10000, not `0`",
        "`--allow-delete-all`",
        "`--trusted-proxies`",
        "`--cors-origins`",
        "`--ami`",
        "`--drain-time`",
    ];
    assert_eq!(problems.len(), flags.len(), "{problems:#?}");
    for (problem, flag) in problems.iter().zip(flags) {
        assert!(problem.starts_with(flag), "{problem}");
    }
}

#[test]
fn a_wrong_database_url_is_refused_without_being_quoted() {
    let problems = config(&["--database-url=postgres://me:hush@db"]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].contains("hush") && !problems[0].contains("db\""));
    let fine = config(&["--database-url=mongodb://me:hush@db"]).expect("a URL");
    assert!(!format!("{fine:?}").contains("hush"));
}

#[test]
fn the_database_url_can_come_from_a_file_but_not_from_both() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "mongodb://db:1/\n").expect("written");
    let path = format!("--database-url-file={}", file.path().display());
    let read = config(&[&path]).expect("a URL from a file");
    let url = read.database_url.expect("a URL");
    assert_eq!(url.reveal(), "mongodb://db:1/");
    assert!(config(&[&path, "--database-url=memory:"]).is_err());
    assert!(config(&["--database-url-file=/nowhere/at/all"]).is_err());
}

#[test]
fn times_are_whole_numbers_with_units() {
    assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
    assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
    for wrong in [
        "",
        "5",
        "s",
        "1.5s",
        "-1s",
        "2h",
        "99999999999999999999h",
        "1 s",
    ] {
        assert_eq!(parse_duration(wrong), None, "{wrong}");
    }
}
