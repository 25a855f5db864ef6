//! Prints the catalogue of metrics: `cargo run --example metrics >
//! dashboards/metrics.json`.

fn main() -> anyhow::Result<()> {
    let metrics = amid::metrics::Metrics::new("", "")?;
    let catalogue = amid::metrics::catalogue::as_json(metrics.catalogue());
    print!("{catalogue}");
    Ok(())
}
