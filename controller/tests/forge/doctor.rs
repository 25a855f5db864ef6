//! `amid doctor` tries the forge's token, and says how to mend one that will not do.

use amid_testkit::forge::Kind;

use super::World;

/// What it says of the token: its line, and the mend where there is one.
fn said(world: &World) -> String {
    let output = world.small.cli(&["doctor"]).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("token for "))
        .take(2);
    let line = lines.next().unwrap_or_else(|| panic!("{text}"));
    match lines.next().filter(|next| next.starts_with("  ")) {
        Some(mend) => format!("{line}\n{mend}"),
        None => line.to_owned(),
    }
}

#[test]
fn a_token_that_will_not_do_is_found_before_it_is_needed() {
    for kind in Kind::ALL {
        let world = World::with(kind, |_, _| {});
        let name = kind.name();
        assert_eq!(said(&world), format!("✓ token for {name}"));
        world.forge.read_only();
        let read_only = said(&world);
        let start = format!("✗ token for {name}: It may only read\n  Put a token into");
        assert!(read_only.starts_with(&start), "{read_only}");
        let wrong = "another-token";
        std::fs::write(world.small.folder().join("forge-token"), wrong).unwrap();
        let refused = said(&world);
        assert!(refused.contains("the forge answered 401"), "{refused}");
        assert!(!refused.contains(wrong), "{refused}");
        assert_eq!(world.forge.complaints(), Vec::<String>::new());
    }
}
