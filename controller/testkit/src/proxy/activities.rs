//! Scaling activities, of which moto has none.
//!
//! They are made up from what is there: one successful launch for each instance of a group, failed launches
//! where launches are refused, and the end of instances that left. Ids are made of the group and the event,
//! so that the same activity keeps its id from one answer to the next.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp, Unit};

use super::{Inner, groups, ledger::Withheld, upstream::Answer};
use crate::wire::{Call, Element};

/// A refused launch is tried again this often, and no more often than this many times.
const RETRY: SignedDuration = SignedDuration::from_secs(15);
const MAX_RETRIES: i32 = 20;

/// Answers DescribeScalingActivities for one group; moto's own empty answer stands for everything else.
pub(crate) async fn show(proxy: &Inner, call: &Call, answer: Answer) -> Result<Answer> {
    let Some(name) = call.form.get("AutoScalingGroupName") else {
        return Ok(answer);
    };
    let Some(group) = groups::group(proxy, name).await? else {
        return Ok(answer);
    };
    let now = Timestamp::now();
    let mut activities = launched(proxy, &group).await?;
    if let Some(withheld) = proxy.ledger.withheld(name) {
        activities.extend(refused(&group, &withheld, now));
    }
    for departed in proxy
        .ledger
        .departed()
        .iter()
        .filter(|departed| departed.group == name)
    {
        let is_over = departed.until <= now;
        activities.push(Activity {
            event: format!("end-{}", departed.instance),
            description: format!("Terminating EC2 instance: {}", departed.instance),
            cause: format!(
                "At {} an instance was taken out of service in response to a difference between desired and actual \
                 capacity.",
                seconds(departed.since)
            ),
            start: departed.since,
            end: is_over.then_some(departed.until),
            status: if is_over { "Successful" } else { "WaitingForELBConnectionDraining" },
            message: None,
        });
    }
    activities.sort_by(|a, b| b.start.cmp(&a.start).then_with(|| a.event.cmp(&b.event)));

    let skip = call
        .form
        .get("NextToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0_usize);
    let take = call
        .form
        .number("MaxRecords")
        .and_then(|max| usize::try_from(max).ok())
        .unwrap_or(100)
        .max(1);
    let has_more = activities.len() > skip.saturating_add(take);
    super::rewrite(answer, |root| {
        let result = root.child_or_new("DescribeScalingActivitiesResult");
        result.remove("NextToken");
        if has_more {
            result.set("NextToken", (skip + take).to_string());
        }
        let list = result.child_or_new("Activities");
        list.text.clear();
        list.children = activities
            .iter()
            .skip(skip)
            .take(take)
            .map(|activity| activity.element(&group))
            .collect();
    })
}

struct Activity {
    event: String,
    description: String,
    cause: String,
    start: Timestamp,
    end: Option<Timestamp>,
    status: &'static str,
    message: Option<String>,
}

impl Activity {
    fn element(&self, group: &Element) -> Element {
        let name = group.text_at(&["AutoScalingGroupName"]);
        let zone = group
            .items(&["AvailabilityZones"])
            .first()
            .map_or("us-east-1a", |zone| zone.text.as_str());
        let mut element = Element::new("member");
        element.set("ActivityId", activity_id(name, &self.event));
        element.set("AutoScalingGroupName", name);
        element.set(
            "AutoScalingGroupARN",
            group.text_at(&["AutoScalingGroupARN"]),
        );
        element.set("Description", &*self.description);
        element.set("Cause", &*self.cause);
        element.set("StartTime", seconds(self.start));
        if let Some(end) = self.end {
            element.set("EndTime", seconds(end));
        }
        element.set("StatusCode", self.status);
        if let Some(message) = &self.message {
            element.set("StatusMessage", &**message);
        }
        element.set("Progress", if self.end.is_some() { "100" } else { "50" });
        element.set("Details", format!("{{\"Availability Zone\":\"{zone}\"}}"));
        element
    }
}

/// One successful launch for each instance that the group has.
async fn launched(proxy: &Inner, group: &Element) -> Result<Vec<Activity>> {
    let ids: Vec<String> = group
        .items(&["Instances"])
        .iter()
        .map(|member| member.text_at(&["InstanceId"]).to_owned())
        .collect();
    let machines = proxy.lookup.machines(&proxy.upstream, &ids).await?;
    Ok(machines
        .into_iter()
        .map(|(id, machine)| Activity {
            description: format!("Launching a new EC2 instance: {id}"),
            cause: format!(
                "At {} an instance was started in response to a difference between desired and actual capacity.",
                seconds(machine.launched)
            ),
            event: format!("launch-{id}"),
            start: machine.launched,
            end: Some(machine.launched),
            status: "Successful",
            message: None,
        })
        .collect())
}

/// Failed launches from the first refusal on, as AWS writes them.
fn refused(group: &Element, withheld: &Withheld, now: Timestamp) -> Vec<Activity> {
    let refusal = &withheld.refusal;
    let message = format!(
        "Could not launch On-Demand Instances. {} - {} Launching EC2 instance failed.",
        refusal.code, refusal.message
    );
    (0..MAX_RETRIES)
        .filter_map(|attempt| Some((attempt, withheld.since.checked_add(RETRY.checked_mul(attempt)?).ok()?)))
        .take_while(|(_, start)| *start <= now)
        .map(|(attempt, start)| Activity {
            event: format!("refused-{}-{attempt}", withheld.since),
            description: format!("Launching a new EC2 instance.  Status Reason: {message}"),
            cause: format!(
                "At {} an instance was started in response to a difference between desired and actual capacity, \
                 increasing the capacity from {} to {}.",
                seconds(start),
                group.items(&["Instances"]).len().min(usize::try_from(withheld.had).unwrap_or(usize::MAX)),
                withheld.wished.desired
            ),
            start,
            end: Some(start),
            status: "Failed",
            message: Some(message.clone()),
        })
        .collect()
}

/// AWS gives whole seconds here.
fn seconds(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// A UUID-shaped text that is the same for the same event.
fn activity_id(group: &str, event: &str) -> String {
    // FNV-1a, twice with different starts: it only has to be steady and different.
    let hash = |start: u64| {
        group
            .bytes()
            .chain([0])
            .chain(event.bytes())
            .fold(start, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    };
    let text = format!(
        "{:016x}{:016x}",
        hash(0xcbf2_9ce4_8422_2325),
        hash(0x8422_2325_cbf2_9ce4)
    );
    let [a, b, c, d, e] =
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| text.get(part).unwrap_or_default());
    format!("{a}-{b}-{c}-{d}-{e}")
}
