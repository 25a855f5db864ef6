//! Images in the state that the rules want them shown in.

use anyhow::Result;

use super::{Inner, upstream::Answer};

/// Shows images as `pending`, `failed` and so on, which moto knows only as `available`.
pub(crate) fn show(proxy: &Inner, answer: Answer) -> Result<Answer> {
    if !proxy.rules.bends_images() {
        return Ok(answer);
    }
    super::rewrite(answer, |root| {
        for image in &mut root.child_or_new("imagesSet").children {
            if let Some(state) = proxy.rules.state_of_image(image.text_at(&["imageId"])) {
                image.set("imageState", state);
            }
        }
    })
}
