//! `amid plan` for people.

use std::io::Write;

use serde_json::Value;

/// Prints what a pass would do to each app, or the whole roll where that was
/// asked. Returns whether a pass would do anything.
///
/// # Errors
///
/// When the output cannot be written.
pub fn show(plans: &[Value], out: &mut impl Write) -> std::io::Result<bool> {
    let mut anything = false;
    for plan in plans {
        let app = plan["app"].as_str().unwrap_or_default();
        let steps = list(&plan["steps"]);
        let held = list(&plan["held"]);
        let roll = list(&plan["roll"]);
        anything |= !steps.is_empty();
        if roll.is_empty() {
            for step in steps {
                show_step(app, step, out)?;
            }
        } else {
            show_roll(app, roll, out)?;
        }
        for hold in held {
            writeln!(out, "{app}: held: {}", text(hold, "text"))?;
            if let Some(frees) = hold["frees"].as_str() {
                writeln!(out, "  {frees}")?;
            }
        }
        for note in list(&plan["notes"]) {
            writeln!(out, "{app}: note: {}", text(note, "text"))?;
        }
        if let Some(error) = plan["error"].as_str() {
            writeln!(out, "{app}: {error}")?;
        }
        if steps.is_empty()
            && held.is_empty()
            && roll.is_empty()
            && let Some(state) = plan["state"]["text"].as_str()
        {
            writeln!(out, "{app}: {state}")?;
        }
    }
    Ok(anything)
}

fn show_step(app: &str, step: &Value, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{app}: {} {}",
        text(step, "step"),
        text(step, "release")
    )?;
    writeln!(out, "  why: {}", text(step, "why"))?;
    for change in list(&step["changes"]) {
        writeln!(out, "  {}", change.as_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Every step of a roll with its commands, and what to wait for in between.
fn show_roll(app: &str, roll: &[Value], out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{app}: the whole roll by hand, in one shell at the root of a checkout; first `amid suspend {app}`"
    )?;
    let mut number = 0;
    for leg in roll {
        if let Some(until) = leg["until"].as_str() {
            writeln!(out, "   {until}")?;
        } else if leg["end"].is_object() {
            writeln!(out, "   end: {}", text(&leg["end"], "text"))?;
        } else {
            number += 1;
            writeln!(
                out,
                "{number}. {} {}: {}",
                text(leg, "step"),
                text(leg, "release"),
                text(leg, "why")
            )?;
            for command in list(&leg["commands"]) {
                writeln!(out, "     {}", command.as_str().unwrap_or_default())?;
            }
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
