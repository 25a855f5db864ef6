//! Making a metric, registering it and putting it on the catalogue, in one
//! call. Labels are given as [`Label`]s, which say what values they can have.

use std::cell::RefCell;

use anyhow::{Context, Result};
use prometheus::core::{Collector, GenericCounterVec, GenericGaugeVec};
use prometheus::proto::MetricType;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::catalogue::{Family, Kind, Label};

/// Makes metrics and registers them.
pub(super) struct Maker<'a> {
    registry: &'a Registry,
    families: RefCell<Vec<Family>>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            families: RefCell::default(),
        }
    }

    /// All that was made.
    pub(super) fn catalogue(self) -> Vec<Family> {
        self.families.into_inner()
    }

    /// Registers what was made elsewhere. Nobody says what values its labels
    /// have.
    pub(super) fn register<C: Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<C>,
    ) -> Result<C> {
        let made = made.context("Failed to make a metric")?;
        let family = described(&made).context("A metric describes no family")?;
        self.register_as(family, Ok(made))
    }

    fn register_as<C: Collector + Clone + 'static>(
        &self,
        family: Family,
        made: prometheus::Result<C>,
    ) -> Result<C> {
        let name = &family.name;
        let made = made.with_context(|| format!("Failed to make the metric `{name}`"))?;
        self.registry
            .register(Box::new(made.clone()))
            .with_context(|| format!("Failed to register the metric `{name}`"))?;
        self.families.borrow_mut().push(family);
        Ok(made)
    }

    pub(super) fn gauge(&self, name: &'static str, help: &'static str) -> Result<IntGauge> {
        let family = plain(name, Kind::Gauge, help);
        self.register_as(family, IntGauge::new(name, help))
    }

    pub(super) fn float(&self, name: &'static str, help: &'static str) -> Result<Gauge> {
        let family = plain(name, Kind::Gauge, help);
        self.register_as(family, Gauge::new(name, help))
    }

    pub(super) fn gauges<L>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[L],
    ) -> Result<IntGaugeVec>
    where
        for<'l> Label: From<&'l L>,
    {
        let family = labelled(name, Kind::Gauge, help, labels);
        let made = GenericGaugeVec::new(Opts::new(name, help), &names(&family));
        self.register_as(family, made)
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> Result<IntCounter> {
        let family = plain(name, Kind::Counter, help);
        self.register_as(family, IntCounter::new(name, help))
    }

    pub(super) fn counters<L>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[L],
    ) -> Result<IntCounterVec>
    where
        for<'l> Label: From<&'l L>,
    {
        let family = labelled(name, Kind::Counter, help, labels);
        let made = GenericCounterVec::new(Opts::new(name, help), &names(&family));
        self.register_as(family, made)
    }

    pub(super) fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Result<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let family = plain(name, Kind::Histogram, help);
        self.register_as(family, Histogram::with_opts(opts))
    }

    pub(super) fn histograms<L>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[L],
        buckets: &[f64],
    ) -> Result<HistogramVec>
    where
        for<'l> Label: From<&'l L>,
    {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let family = labelled(name, Kind::Histogram, help, labels);
        let made = HistogramVec::new(opts, &names(&family));
        self.register_as(family, made)
    }
}

fn plain(name: &'static str, kind: Kind, help: &'static str) -> Family {
    Family {
        name: name.into(),
        kind,
        help: help.into(),
        labels: Vec::new(),
    }
}

fn labelled<L>(name: &'static str, kind: Kind, help: &'static str, labels: &[L]) -> Family
where
    for<'l> Label: From<&'l L>,
{
    Family {
        name: name.into(),
        kind,
        help: help.into(),
        labels: labels.iter().map(Label::from).collect(),
    }
}

fn names(family: &Family) -> Vec<&str> {
    family.labels.iter().map(|label| &*label.name).collect()
}

/// The family that a metric says it is of.
fn described(made: &impl Collector) -> Option<Family> {
    let kind = match made.collect().first()?.get_field_type() {
        MetricType::COUNTER => Kind::Counter,
        MetricType::HISTOGRAM => Kind::Histogram,
        MetricType::SUMMARY => Kind::Summary,
        MetricType::GAUGE | MetricType::UNTYPED => Kind::Gauge,
    };
    let about = *made.desc().first()?;
    let labels = about.variable_labels.iter().cloned();
    Some(Family {
        name: about.fq_name.clone().into(),
        kind,
        help: about.help.clone().into(),
        labels: labels.map(|name| Label::named(name.into())).collect(),
    })
}
