//! The machines of an app, as EC2 knows them: also those that no group names any more.

use anyhow::{Context, Result};

use super::{Aws, ec2};

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// The image that it was launched from.
    pub ami: String,
    /// Whether it runs or is about to; one that was terminated is still listed for a while.
    pub runs: bool,
}

impl Aws {
    /// Every machine with the app's tag.
    pub async fn machines_of(&self, app: &str) -> Result<Vec<Machine>> {
        let filter = ec2::types::Filter::builder()
            .name("tag:amid:app")
            .values(app)
            .build();
        let mut pages = self
            .ec2
            .describe_instances()
            .filters(filter)
            .into_paginator()
            .items()
            .send();
        let mut machines = Vec::new();
        while let Some(reservation) = pages.next().await {
            let reservation = reservation.context("Failed to list the machines of an app")?;
            machines.extend(reservation.instances().iter().filter_map(machine));
        }
        Ok(machines)
    }
}

fn machine(one: &ec2::types::Instance) -> Option<Machine> {
    let state = one.state().and_then(|state| state.name());
    Some(Machine {
        id: one.instance_id()?.to_owned(),
        ami: one.image_id()?.to_owned(),
        runs: state.is_some_and(|state| matches!(state.as_str(), "pending" | "running")),
    })
}
