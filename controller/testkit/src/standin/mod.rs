//! A fast stand-in for the AWS API, in this process.
//!
//! Benchmarks and crash tests ask it instead of moto: it answers the few actions that the controller uses,
//! from a [`Cloud`] in memory or from the stub terragrunt's file, and counts what it is asked. Listings come
//! in pages as AWS's do. Every other action is answered with `InvalidAction`, so that a test notices what it
//! asks for.

mod autoscaling;
mod ec2;
mod page;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use hyper::{Request, Response, StatusCode, body::Incoming};
use jiff::Timestamp;

use crate::{
    cloud::{ACCOUNT, Cloud, CloudFile},
    proxy::{Call, Element, errors},
    server::{Body, Server, answer},
    stub_terragrunt::cloud_file,
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
        });
        let handler = {
            let inner = Arc::clone(&inner);
            move |request| {
                let inner = Arc::clone(&inner);
                async move { Ok(inner.serve(request).await) }
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
    async fn serve(&self, request: Request<Incoming>) -> Response<Body> {
        let call = match Call::read(request).await {
            Ok(call) => call,
            Err(error) => return errors::error("", 400, "MalformedInput", &format!("{error:#}")),
        };
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(call.action.clone()).or_default() += 1;
        }
        match self.answer(&call) {
            Ok(Some(root)) => answer(StatusCode::OK, "text/xml", root.document()),
            Ok(None) => {
                let message = format!(
                    "The action {} is not valid for this web service.",
                    call.action
                );
                errors::error(&call.service, 400, "InvalidAction", &message)
            }
            Err(error) => {
                let text = format!("{error:#}");
                // AWS's errors start with their code here; anything else is the stand-in's own trouble.
                match text.split_once(": ").filter(|(code, _)| {
                    code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
                }) {
                    Some((code, message)) => errors::error(&call.service, 400, code, message),
                    None => errors::error(&call.service, 500, "InternalFailure", &text),
                }
            }
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
            "DescribeImages" => store.read(|cloud| ec2::images(cloud, form))?,
            "DescribeInstanceTypes" => store.read(|cloud| ec2::instance_types(cloud, form))?,
            "DescribeLaunchTemplates" => store.read(|cloud| ec2::templates(cloud, form))?,
            "DescribeLaunchTemplateVersions" => {
                store.read(|cloud| ec2::template_versions(cloud, form))?
            }
            "DeleteLaunchTemplate" => store.change(|cloud| ec2::delete_template(cloud, form))?,
            _ => return Ok(None),
        };
        Ok(Some(root))
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
