//! `amid plan` for people.

use std::io::Write;

use serde_json::Value;

/// Prints what a pass would do to each app. Returns whether it would do
/// anything.
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
        for step in steps {
            anything = true;
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
            let commands = list(&step["commands"]);
            if !commands.is_empty() {
                writeln!(out, "  by hand, in a checkout of the repository:")?;
            }
            for command in commands {
                writeln!(out, "    {}", command.as_str().unwrap_or_default())?;
            }
        }
        for hold in held {
            writeln!(out, "{app}: held: {}", text(hold, "text"))?;
            if let Some(frees) = hold["frees"].as_str() {
                writeln!(out, "  {frees}")?;
            }
        }
        if let Some(error) = plan["error"].as_str() {
            writeln!(out, "{app}: {error}")?;
        }
        if steps.is_empty()
            && held.is_empty()
            && let Some(state) = plan["state"]["text"].as_str()
        {
            writeln!(out, "{app}: {state}")?;
        }
    }
    Ok(anything)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
