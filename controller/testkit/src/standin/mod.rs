//! A fast stand-in for the AWS API, in this process.
//!
//! Benchmarks and crash tests ask it instead of moto: it answers the few actions that the controller uses,
//! from a [`Cloud`] in memory or from the stub terragrunt's file, counts what it is asked, and plays the
//! proxy's faults. Listings come in pages as AWS's do. Every other action is answered with `InvalidAction`, so that a test notices what it
//! asks for.

mod autoscaling;
mod ec2;
mod estate;
mod images;
mod page;
mod parameters;
mod parts;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use hyper::{Request, Response, StatusCode, body::Incoming};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cloud::{ACCOUNT, Cloud, CloudFile},
    proxy::{FaultKind, Rules, cut, errors},
    server::{Body, Dropped, Server, answer},
    stub_terragrunt::cloud_file,
    wire::{Call, Element},
};

/// Where the stand-in's cloud lies.
#[derive(Debug, Clone)]
pub enum Source {
    /// In memory.
    Memory(Cloud),
    /// In the stub terragrunt's directory (its `STUB_DIR`), read again for each request.
    StubDir(PathBuf),
}

/// A running stand-in; it stops when dropped.
#[derive(Debug)]
pub struct Standin {
    inner: Arc<Inner>,
    server: Server,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    counts: Mutex<BTreeMap<String, u64>>,
    rules: Rules,
}

#[derive(Debug)]
enum Store {
    Memory(Mutex<Cloud>),
    File(CloudFile),
}

impl Standin {
    /// Starts a stand-in on a free loopback port, on a thread of its own.
    pub fn start(source: Source) -> Result<Standin> {
        let store = match source {
            Source::Memory(cloud) => Store::Memory(Mutex::new(cloud)),
            Source::StubDir(dir) => Store::File(cloud_file(Path::new(&dir))),
        };
        let inner = Arc::new(Inner {
            store,
            counts: Mutex::default(),
            rules: Rules::default(),
        });
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move { inner.serve(request).await }
            }
        };
        Ok(Standin {
            server: Server::start("aws-standin", handler, async {})?,
            inner,
        })
    }

    /// Its URL, for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    /// How often each action was asked since the start or the last [`Standin::reset_counts`].
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The faults that it plays: every kind of the proxy's; the other rules are the proxy's alone.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    /// Sets all counts to zero.
    pub fn reset_counts(&self) {
        self.inner
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The cloud as it is now.
    pub fn cloud(&self) -> Result<Cloud> {
        self.inner.store.read(|cloud| Ok(cloud.clone()))
    }

    /// Changes the cloud, as a person or autoscaling would.
    pub fn change<T>(&self, change: impl FnOnce(&mut Cloud) -> Result<T>) -> Result<T> {
        self.inner.store.change(change)
    }
}

/// Answers one request from a cloud as the stand-in would, and says what the cloud is afterwards.
///
/// For a server that has its own data and wants the stand-in's words; no fault is played.
pub(crate) fn play(cloud: Cloud, call: &Call) -> (Response<Body>, Cloud) {
    let inner = Inner {
        store: Store::Memory(Mutex::new(cloud)),
        counts: Mutex::default(),
        rules: Rules::default(),
    };
    let answered = inner.document(call, false);
    let cloud = match inner.store {
        Store::Memory(cloud) => cloud.into_inner().unwrap_or_else(PoisonError::into_inner),
        Store::File(_) => Cloud::default(),
    };
    (answered, cloud)
}

impl Store {
    fn read<T>(&self, look: impl FnOnce(&Cloud) -> Result<T>) -> Result<T> {
        match self {
            Store::Memory(cloud) => look(&cloud.lock().unwrap_or_else(PoisonError::into_inner)),
            Store::File(file) => look(&file.read()?),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Cloud) -> Result<T>) -> Result<T> {
        match self {
            Store::Memory(cloud) => {
                change(&mut cloud.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Store::File(file) => file.change(change),
        }
    }
}

impl Inner {
    /// Plays a fault, or answers and plays one on the answer.
    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let call = match Call::read(request).await {
            Ok(call) => call,
            Err(error) => {
                return Ok(errors::error(
                    "",
                    400,
                    "MalformedInput",
                    &format!("{error:#}"),
                ));
            }
        };
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(call.action.clone()).or_default() += 1;
        }
        let fault = self.rules.take_fault(&call);
        match fault {
            Some(FaultKind::Throttle) => return Ok(errors::throttled(&call.service)),
            Some(FaultKind::Status(status)) => {
                return Ok(errors::of_status(&call.service, status));
            }
            Some(FaultKind::DropConnection) => return Err(Dropped),
            Some(FaultKind::Delay(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let repeats = fault == Some(FaultKind::RepeatPage);
        let answered = self.document(&call, repeats);
        Ok(match fault {
            Some(FaultKind::CutBody) => cut(answered).await,
            _ => answered,
        })
    }

    fn document(&self, call: &Call, repeats: bool) -> Response<Body> {
        match self.in_json(call) {
            Ok(None) => {}
            Ok(Some(value)) => {
                return answer(
                    StatusCode::OK,
                    "application/x-amz-json-1.1",
                    value.to_string(),
                );
            }
            Err(error) => return refused(call, &error),
        }
        match self.answer(call) {
            Ok(Some(mut root)) => {
                if repeats {
                    page::repeat(&mut root, &call.form);
                }
                answer(StatusCode::OK, "text/xml", root.document())
            }
            Ok(None) => {
                let message = format!(
                    "The action {} is not valid for this web service.",
                    call.action
                );
                errors::error(&call.service, 400, "InvalidAction", &message)
            }
            Err(error) => refused(call, &error),
        }
    }

    /// The answer of a service that speaks JSON.
    fn in_json(&self, call: &Call) -> Result<Option<Value>> {
        match (call.service.as_str(), call.action.as_str()) {
            ("ssm", "DescribeParameters" | "GetParameters") => self
                .store
                .read(|cloud| parameters::parameters(cloud, &call.action, &call.body))
                .map(Some),
            ("rbin", _) => self
                .store
                .read(|cloud| Ok(parameters::recycle_rules(cloud, &call.body)))
                .map(Some),
            _ => Ok(None),
        }
    }

    /// The answer's document; none for an action that is not known.
    fn answer(&self, call: &Call) -> Result<Option<Element>> {
        let now = Timestamp::now();
        let form = &call.form;
        let store = &self.store;
        let root = match call.action.as_str() {
            "GetCallerIdentity" => identity(),
            "DescribeAutoScalingGroups" => store.read(|cloud| autoscaling::groups(cloud, form))?,
            "DescribeScalingActivities" => {
                store.read(|cloud| autoscaling::activities(cloud, form, now))?
            }
            "DescribeTargetHealth" => {
                store.read(|cloud| autoscaling::target_health(cloud, form, now))?
            }
            "UpdateAutoScalingGroup" | "SetDesiredCapacity" => {
                store.change(|cloud| autoscaling::update(cloud, form, now))?;
                done(&call.action)
            }
            "DeleteAutoScalingGroup" => {
                store.change(|cloud| autoscaling::delete(cloud, form))?;
                done(&call.action)
            }
            "DescribeInstances" => store.read(|cloud| ec2::instances(cloud, form))?,
            "DescribeImages" => store.read(|cloud| images::images(cloud, form))?,
            "DescribeTags" => store.read(|cloud| ec2::tags(cloud, form))?,
            "DescribeInstanceTypes" => store.read(|cloud| ec2::instance_types(cloud, form))?,
            "DescribeLaunchTemplates" => store.read(|cloud| ec2::templates(cloud, form))?,
            "DescribeLaunchTemplateVersions" => {
                store.read(|cloud| ec2::template_versions(cloud, form))?
            }
            "DeleteLaunchTemplate" => store.change(|cloud| ec2::delete_template(cloud, form))?,
            "DescribeImageAttribute" => store.read(|cloud| images::attribute(cloud, form))?,
            "ModifyImageAttribute" => self.changed(call, |cloud| images::modify(cloud, form))?,
            "DisableImage" => self.changed(call, |cloud| images::set_state(cloud, form, false))?,
            "EnableImage" => self.changed(call, |cloud| images::set_state(cloud, form, true))?,
            "EnableImageDeprecation" => {
                self.changed(call, |cloud| images::deprecate(cloud, form, now))?
            }
            "DisableImageDeprecation" => {
                self.changed(call, |cloud| images::undeprecate(cloud, form))?
            }
            "DeregisterImage" => store.change(|cloud| images::deregister(cloud, form))?,
            "CreateTags" => self.changed(call, |cloud| images::tags(cloud, form, true))?,
            "DeleteTags" => self.changed(call, |cloud| images::tags(cloud, form, false))?,
            "DescribeSnapshots" => store.read(|cloud| estate::snapshots(cloud, form))?,
            "DescribeSnapshotAttribute" => {
                store.read(|cloud| estate::snapshot_attribute(cloud, form))?
            }
            "DeleteSnapshot" => self.changed(call, |cloud| estate::delete_snapshot(cloud, form))?,
            "DescribeVolumes" => store.read(|cloud| estate::volumes(cloud, form))?,
            "DescribeLaunchConfigurations" => {
                store.read(|cloud| estate::launch_configurations(cloud, form))?
            }
            "DescribeInstanceRefreshes" => store.read(|cloud| estate::refreshes(cloud, form))?,
            "DescribeWarmPool" => store.read(|cloud| estate::warm_pool(cloud, form))?,
            "DescribeFleets" => store.read(|cloud| estate::fleets(cloud, form))?,
            "DescribeSpotInstanceRequests" => {
                store.read(|cloud| estate::spot_requests(cloud, form))?
            }
            "DescribeSpotFleetRequests" => store.read(|cloud| estate::spot_fleets(cloud, form))?,
            "DescribeImageReferences" => store.read(|cloud| estate::references(cloud, form))?,
            _ => return Ok(None),
        };
        Ok(Some(root))
    }
}

impl Inner {
    /// Changes the cloud; EC2 answers such a request with a plain `true`.
    fn changed(
        &self,
        call: &Call,
        change: impl FnOnce(&mut Cloud) -> Result<()>,
    ) -> Result<Element> {
        self.store.change(change)?;
        Ok(Element::node(
            &format!("{}Response", call.action),
            vec![Element::leaf("return", "true")],
        ))
    }
}

/// AWS's errors start with their code here; anything else is the stand-in's own trouble.
fn refused(call: &Call, error: &anyhow::Error) -> Response<Body> {
    let text = format!("{error:#}");
    let is_code = |code: &str| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    match text.split_once(": ").filter(|(code, _)| is_code(code)) {
        Some((code, message)) => errors::error(&call.service, 400, code, message),
        None => errors::error(&call.service, 500, "InternalFailure", &text),
    }
}

/// The answer to an action that has nothing to tell.
fn done(action: &str) -> Element {
    Element::node(
        &format!("{action}Response"),
        vec![Element::new(&format!("{action}Result"))],
    )
}

fn identity() -> Element {
    let result = vec![
        Element::leaf("Arn", format!("arn:aws:iam::{ACCOUNT}:user/test")),
        Element::leaf("UserId", "AKIAIOSFODNN7EXAMPLE"),
        Element::leaf("Account", ACCOUNT),
    ];
    Element::node(
        "GetCallerIdentityResponse",
        vec![Element::node("GetCallerIdentityResult", result)],
    )
}
