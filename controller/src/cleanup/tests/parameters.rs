//! What is kept of SSM parameters between runs, and what is not.

use super::*;

/// What a parameter of a place names by what a cleaner reads that has read others before.
async fn named_by_parameters(standin: &Standin, region: &str, known: &Parameters) -> Vec<Target> {
    let place = Place {
        account: ACCOUNT.to_owned(),
        region: region.to_owned(),
    };
    let aws = Aws::on(&standin.endpoint());
    let read = Read::all(&aws, place, known, Timestamp::now()).await;
    let list = &read.references.lists[&Source::Parameters];
    assert_eq!(list.incomplete, None);
    list.items.iter().map(|one| one.target.clone()).collect()
}

fn with_golden(image: &str) -> Standin {
    let mut cloud = Cloud::new();
    let value = image.to_owned();
    cloud.estate.parameters.insert("/golden".to_owned(), value);
    Standin::start(From::Memory(cloud)).unwrap()
}

fn image(ami: &str) -> Vec<Target> {
    vec![Target::Image(AmiId::parse(ami).unwrap())]
}

#[tokio::test]
async fn a_parameter_of_one_region_says_nothing_of_another_one() {
    let (here, there) = (with_golden(OLD), with_golden(USED));
    let known = Parameters::default();
    for (standin, region, ami) in [(&here, "us-east-1", OLD), (&there, "eu-west-1", USED)] {
        let named = named_by_parameters(standin, region, &known).await;
        assert_eq!(named, image(ami), "{region}");
    }
}

/// The new one has the version of the old one.
#[tokio::test]
async fn a_parameter_that_was_deleted_and_made_again_is_read_again() {
    let standin = with_golden(USED);
    let known = Parameters::default();
    let before = named_by_parameters(&standin, "us-east-1", &known).await;
    assert_eq!(before, image(USED));
    standin.reset_counts();
    let again = named_by_parameters(&standin, "us-east-1", &known).await;
    assert_eq!(again, before);
    assert_eq!(
        standin.counts().get("GetParameters"),
        None,
        "nothing changed"
    );
    standin
        .change(|cloud| {
            let value = OLD.to_owned();
            cloud.estate.parameters.insert("/golden".to_owned(), value);
            Ok(())
        })
        .unwrap();
    let after = named_by_parameters(&standin, "us-east-1", &known).await;
    assert_eq!(after, image(OLD));
}
