//! `amid gc` and `amid why`: what clean-up would do and why, for people.

use std::collections::BTreeSet;
use std::io::Write;

use jiff::Timestamp;

use amid_core::retention::{ActionKind, Resource, Stage};

use crate::cleanup::report::{ImageReport, PlaceReport, Report, SnapshotReport, Why};
use crate::cleanup::verb;

/// Prints what the last run came to.
///
/// # Errors
///
/// When the output cannot be written.
pub fn report(report: &Report, now: Timestamp, out: &mut impl Write) -> std::io::Result<()> {
    let ago = now.duration_since(report.ended).as_secs().max(0);
    let by = if report.by_hand { ", by hand" } else { "" };
    writeln!(
        out,
        "the last run ended {} ago: {}{by}",
        age(ago),
        report.result.label().replace('_', " ")
    )?;
    if let Some(why) = &report.stopped {
        writeln!(out, "it stopped: {why}")?;
    }
    for done in &report.done {
        let what = match &done.resource {
            Resource::Image(ami) => ami.to_string(),
            Resource::Snapshot(id) => id.to_string(),
        };
        match &done.error {
            None => writeln!(out, "done: {} {what}", verb(done.kind))?,
            Some(error) => writeln!(out, "failed: {error}")?,
        }
    }
    // What was done is told above, and not what is still to be done.
    let done: BTreeSet<&str> = report
        .done
        .iter()
        .filter(|done| done.error.is_none())
        .map(|done| match &done.resource {
            Resource::Image(ami) => ami.as_str(),
            Resource::Snapshot(id) => id.0.as_str(),
        })
        .collect();
    for place in &report.places {
        self::place(place, &done, out)?;
    }
    Ok(())
}

fn place(place: &PlaceReport, done: &BTreeSet<&str>, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "\n{} {}", place.account, place.region)?;
    for blocker in &place.blockers {
        writeln!(out, "  only reports: {}", blocker.text)?;
        if let Some(frees) = &blocker.frees {
            writeln!(out, "    what to do: {frees}")?;
        }
    }
    let count = |stage| {
        place
            .images
            .iter()
            .filter(|image| image.stage == stage)
            .count()
    };
    let stages: Vec<String> = Stage::ALL
        .iter()
        .map(|stage| format!("{} {}", count(*stage), stage.label()))
        .collect();
    let before = if done.is_empty() {
        ""
    } else {
        ", before this run"
    };
    writeln!(
        out,
        "  images {}{before}: {}",
        place.images.len(),
        stages.join(", ")
    )?;
    let protected: Vec<String> = place
        .summary
        .protected
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if !protected.is_empty() {
        writeln!(out, "  kept by: {}", protected.join(", "))?;
    }
    writeln!(
        out,
        "  on their way out: {}, at most ${:.2} a month (snapshots at their full size)",
        size(place.summary.waiting_bytes),
        place.summary.waiting_cost_upper_bound
    )?;
    for note in &place.summary.notes {
        writeln!(out, "  {note}")?;
    }
    let rows: Vec<Row<'_>> = place
        .images
        .iter()
        .filter_map(Row::of_image)
        .chain(place.snapshots.iter().filter_map(Row::of_snapshot))
        .filter(|row| !done.contains(row.id))
        .collect();
    if rows.is_empty() {
        let else_ = if done.is_empty() { "" } else { " else" };
        return writeln!(out, "  nothing{else_} is on its way out");
    }
    let width = |text: for<'r> fn(&'r Row<'_>) -> &'r str| {
        let longest = rows.iter().map(|row| text(row).chars().count()).max();
        longest.unwrap_or(0).min(40)
    };
    let (id, name) = (width(|row| row.id), width(|row| row.name));
    for row in &rows {
        writeln!(
            out,
            "  {:13} {:id$} {:name$} {:10} {:>9}  {}",
            row.does, row.id, row.name, row.stage, row.size, row.why
        )?;
    }
    Ok(())
}

/// A line of the table: what nothing keeps, or what is on its way back.
struct Row<'a> {
    does: &'static str,
    id: &'a str,
    name: &'a str,
    stage: &'static str,
    size: String,
    why: &'a str,
}

impl<'a> Row<'a> {
    fn of_image(image: &'a ImageReport) -> Option<Self> {
        let waits = image.waits.as_ref();
        if image.action.is_none() && waits.is_none() {
            return None;
        }
        Some(Self {
            does: does(image.action),
            id: &image.ami,
            name: &image.name,
            stage: image.stage.label(),
            size: size(image.bytes),
            why: words(image.keeps.first(), waits),
        })
    }

    fn of_snapshot(snapshot: &'a SnapshotReport) -> Option<Self> {
        let waits = snapshot.waits.as_ref();
        if snapshot.action.is_none() && waits.is_none() {
            return None;
        }
        Some(Self {
            does: does(snapshot.action),
            id: &snapshot.id,
            name: snapshot.image.as_deref().unwrap_or("-"),
            stage: snapshot.stage.label(),
            size: size(snapshot.bytes),
            why: words(snapshot.keeps.first(), waits),
        })
    }
}

fn does(action: Option<ActionKind>) -> &'static str {
    action.map_or("waits", verb)
}

fn words<'a>(keeps: Option<&'a Why>, waits: Option<&'a Why>) -> &'a str {
    waits
        .or(keeps)
        .map_or("nothing needs it", |why| why.text.as_str())
}

/// Prints one image with every reason.
///
/// # Errors
///
/// When the output cannot be written.
pub fn why(report: &Report, now: Timestamp, out: &mut impl Write) -> std::io::Result<()> {
    let ago = now.duration_since(report.ended).as_secs().max(0);
    for place in &report.places {
        for image in &place.images {
            let app = image.app.as_deref().unwrap_or("no app");
            let since = image
                .since
                .map_or(String::new(), |at| format!(" since {at:.0}"));
            writeln!(
                out,
                "{} {} ({app}) in {} {}: {}{since}, as of {} ago",
                image.ami,
                image.name,
                place.account,
                place.region,
                image.stage.label(),
                age(ago)
            )?;
            match image.keeps.len() + image.more_keeps {
                0 => writeln!(out, "nothing keeps it")?,
                1 => writeln!(out, "one reason keeps it")?,
                many => writeln!(out, "{many} reasons keep it")?,
            }
            reasons("  ", &image.keeps, out)?;
            if image.more_keeps > 0 {
                writeln!(out, "  and {} more", image.more_keeps)?;
            }
            if !image.weak.is_empty() {
                writeln!(out, "these do not count any more, as the policy says")?;
                reasons("  ", &image.weak, out)?;
            }
            if let Some(action) = image.action {
                writeln!(out, "next: {}", verb(action))?;
            }
            if let Some(waits) = &image.waits {
                writeln!(out, "{}", waits.text)?;
                if let Some(frees) = &waits.frees {
                    writeln!(out, "  {frees}")?;
                }
            }
        }
        for snapshot in &place.snapshots {
            writeln!(
                out,
                "its snapshot {} is still there, {}",
                snapshot.id,
                size(snapshot.bytes)
            )?;
            reasons("  ", &snapshot.keeps, out)?;
        }
        for blocker in &place.blockers {
            writeln!(out, "clean-up only reports: {}", blocker.text)?;
            if let Some(frees) = &blocker.frees {
                writeln!(out, "  what to do: {frees}")?;
            }
        }
    }
    Ok(())
}

fn reasons(indent: &str, reasons: &[Why], out: &mut impl Write) -> std::io::Result<()> {
    for why in reasons {
        writeln!(out, "{indent}{}: {}", why.label, why.text)?;
        if let Some(frees) = &why.frees {
            writeln!(out, "{indent}  to free it: {frees}")?;
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure for people; 2^53 bytes are 8 PiB"
)]
fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn age(seconds: i64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
