//! The fields of a manifest.
//!
//! One function per object, one line per field: its name, whether it may be
//! left out, and how its value is read. Rules that join several fields follow
//! at the end. The form of single values is in `check`.

use std::collections::{BTreeMap, BTreeSet};

use super::check;
use super::fields::{At, Fields, choice, parsed, text, whole};
use super::json::Kind;
use super::text::shown;
use super::{
    EnvValue, Gate, Health, HealthKind, Image, Manifest, OnDrift, OnFailure, Roll, Seconds,
    Strategy, Suspend,
};
use crate::model::AmiId;

/// More instances than any group has; keeps sums of sizes far from overflow.
const MAX_SIZE: i128 = 100_000;

/// Whole numbers up to here are exact in every JSON reader.
const MAX_REVISION: i128 = (1 << 53) - 1;

/// Reads a whole manifest. Every problem is noted; `None` only if there was
/// one.
pub(super) fn manifest(root: &At<'_>) -> Option<Manifest> {
    let size = |at: &At<'_>, least| whole::<u32>(at, least..=MAX_SIZE);
    let mut fields = Fields::open(root)?;
    let owner = fields.optional("owner", text);
    let unit = fields.required("unit", |at| parsed(at, check::unit));
    let ami = fields.required("ami", |at| parsed(at, AmiId::parse));
    let image = fields.optional("image", image);
    let revision = fields.optional("revision", |at| whole::<u64>(at, 0..=MAX_REVISION));
    let instance_types = fields.required("instance_types", check::instance_types);
    let min_size = fields.required("min_size", |at| size(at, 0));
    let max_size = fields.required("max_size", |at| size(at, 1));
    let env = fields.optional("env", |at| by_name(at, env_value));
    let secrets = fields.optional("secrets", |at| by_name(at, |at| parsed(at, check::secret)));
    let user_data = fields.optional("user_data", check::user_data);
    let health = fields.or("health", Health::default(), health);
    let roll = fields.or("roll", Roll::default(), roll);
    let on_failure = fields.or("on_failure", OnFailure::default(), |at| {
        choice(
            at,
            &[
                ("revert", OnFailure::Revert),
                ("pull_request", OnFailure::PullRequest),
                ("hold", OnFailure::Hold),
            ],
        )
    });
    let on_drift = fields.or("on_drift", OnDrift::default(), |at| {
        choice(at, &[("heal", OnDrift::Heal), ("report", OnDrift::Report)])
    });
    let gate = fields.optional("gate", gate);
    let suspend = fields.optional("suspend", suspend);
    fields.close();

    let sizes_agree = sizes(root);
    let machine_agrees = machine(root);
    let manifest = Manifest {
        owner: owner?,
        unit: unit?,
        ami: ami?,
        image: image?,
        revision: revision?,
        instance_types: instance_types?,
        min_size: min_size?,
        max_size: max_size?,
        env: env?,
        secrets: secrets?,
        user_data: user_data?,
        health: health?,
        roll: roll?,
        on_failure: on_failure?,
        on_drift: on_drift?,
        gate: gate?,
        suspend: suspend?,
    };
    (sizes_agree && machine_agrees).then_some(manifest)
}

fn image(at: &At<'_>) -> Option<Image> {
    let mut fields = Fields::open(at)?;
    let version = fields.optional("version", text);
    let commit = fields.optional("commit", text);
    let build = fields.optional("build", text);
    fields.close();
    Some(Image {
        version: version?,
        commit: commit?,
        build: build?,
    })
}

fn health(at: &At<'_>) -> Option<Health> {
    let default = Health::default();
    let mut fields = Fields::open(at)?;
    let kind = fields.or("type", default.kind, |at| {
        choice(
            at,
            &[
                ("load_balancer", HealthKind::LoadBalancer),
                ("none", HealthKind::None),
            ],
        )
    });
    let timeout = fields.or("timeout", default.timeout, |at| {
        let timeout = duration(at)?;
        if timeout == Seconds(0) {
            return at.wrong("a release needs at least `1s` to become healthy");
        }
        Some(timeout)
    });
    fields.close();
    Some(Health {
        kind: kind?,
        timeout: timeout?,
    })
}

fn roll(at: &At<'_>) -> Option<Roll> {
    let default = Roll::default();
    let mut fields = Fields::open(at)?;
    let strategy = fields.or("strategy", default.strategy, |at| {
        choice(
            at,
            &[
                ("side_by_side", Strategy::SideBySide),
                ("recreate", Strategy::Recreate),
            ],
        )
    });
    let canary = fields.or("canary", default.canary, |at| whole(at, 0..=MAX_SIZE));
    let bake = fields.or("bake", default.bake, duration);
    let drain = fields.or("drain", default.drain, duration);
    fields.close();
    Some(Roll {
        strategy: strategy?,
        canary: canary?,
        bake: bake?,
        drain: drain?,
    })
}

fn gate(at: &At<'_>) -> Option<Gate> {
    let mut fields = Fields::open(at)?;
    let url = fields.required("url", |at| parsed(at, check::gate_url));
    let timeout = fields.or("timeout", Gate::default_timeout(), |at| {
        let timeout = duration(at)?;
        if (1..=60).contains(&timeout.0) {
            Some(timeout)
        } else {
            at.wrong("a gate has 1s to 60s to answer")
        }
    });
    let retries = fields.or("retries", Gate::default_retries(), |at| whole(at, 0..=10));
    fields.close();
    Some(Gate {
        url: url?,
        timeout: timeout?,
        retries: retries?,
    })
}

fn suspend(at: &At<'_>) -> Option<Suspend> {
    let mut fields = Fields::open(at)?;
    let reason = fields.required("reason", |at| {
        let reason = text(at)?;
        if reason.trim().is_empty() {
            return at.wrong("say why, for the people who will ask");
        }
        Some(reason)
    });
    let until = fields.optional("until", |at| parsed(at, check::timestamp));
    fields.close();
    Some(Suspend {
        reason: reason?,
        until: until?,
    })
}

fn duration(at: &At<'_>) -> Option<Seconds> {
    parsed(at, Seconds::parse)
}

fn env_value(at: &At<'_>) -> Option<EnvValue> {
    match at.node.kind {
        Kind::Text(_) => text(at).map(EnvValue::Text),
        Kind::Number(_) => whole(at, i64::MIN.into()..=i64::MAX.into()).map(EnvValue::Integer),
        _ => at.expected("a text or a whole number"),
    }
}

/// Reads an object whose names are environment variables.
fn by_name<'n, T>(at: &At<'n>, read: impl Fn(&At<'n>) -> Option<T>) -> Option<BTreeMap<String, T>> {
    let fields = Fields::open(at)?;
    let mut all = Some(BTreeMap::new());
    for (member, at) in fields.entries() {
        let name = check::env_name(&member.name);
        if let Err(message) = &name {
            at.notes
                .add(member.name_span.start, Some(&at.path), message.as_str());
        }
        match (name, read(&at)) {
            (Ok(()), Some(value)) => {
                if let Some(all) = &mut all {
                    all.insert(member.name.clone(), value);
                }
            }
            _ => all = None,
        }
    }
    all
}

/// The sizes fit each other.
fn sizes(root: &At<'_>) -> bool {
    let mut agree = true;
    let max = root.field("max_size").and_then(|at| at.as_size());
    let canary = root.field("roll").and_then(|roll| roll.field("canary"));
    for at in [root.field("min_size"), canary].into_iter().flatten() {
        if let (Some(size), Some(max)) = (at.as_size(), max)
            && size > max
        {
            agree = false;
            at.note(format!("{size} is more than `max_size`: {max}"));
        }
    }
    agree
}

/// What goes into the user data fits in, and says nothing twice.
fn machine(root: &At<'_>) -> bool {
    let (env, secrets) = (root.field("env"), root.field("secrets"));
    let mut agree = true;
    if let Some(user_data) = root.field("user_data") {
        for other in [&env, &secrets].into_iter().flatten() {
            agree = false;
            user_data.note(format!(
                "excludes `{}`: the user data is given to the instance as it is, remove one of them",
                other.path
            ));
        }
    }
    let names: BTreeSet<&str> = env
        .iter()
        .flat_map(|env| env.members().unwrap_or_default())
        .map(|member| member.name.as_str())
        .filter(|name| !name.starts_with('$'))
        .collect();
    for member in secrets
        .iter()
        .flat_map(|secrets| secrets.members().unwrap_or_default())
        .filter(|member| names.contains(member.name.as_str()))
    {
        agree = false;
        let name = shown(&member.name);
        root.notes.add(
            member.name_span.start,
            Some(&format!("secrets.{}", member.name)),
            format!("`secrets.{name}`: `env` has this name too, remove one of them"),
        );
    }
    let size = |at: &At<'_>| at.node.span.len();
    let together: usize = env.iter().chain(&secrets).map(size).sum();
    if let Some(env) = env.or(secrets)
        && check::longer_than_user_data(together)
    {
        agree = false;
        env.note(format!(
            "environment and secrets have {together} bytes: EC2 takes {} of user data, and they are written into it",
            check::MAX_USER_DATA
        ));
    }
    agree
}
