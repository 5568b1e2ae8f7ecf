//! A cloud that comes from InstanceHA: the image of a server says whether it is moved.

use crate::report::Told;
use crate::stage::{LATER, SOURCE, Stage};

const POLICY: &str = "[labels]\nHA_Enabled = \"off\"\nevacuable = \"select\"\n";

/// One server from an image that is tagged in Glance, and one from an image that is not. The images are private ones of
/// another project than that of the controllers' credential.
pub(crate) async fn play(told: Told) {
    let mut stage = Stage::set(&[]).await;
    let images = [
        stage.world.raw.make_image("labelled", &["evacuable"]).await,
        stage.world.raw.make_image("plain", &["web"]).await,
    ];
    for (name, image) in ["gold", "grey"].into_iter().zip(&images) {
        let id = stage.world.raw.boot_from(image, name, "1", SOURCE).await;
        stage.servers.insert(name, id);
    }
    stage.follow_policy(POLICY).await;
    stage.dies();
    let seconds = stage.until("recovered", LATER).await;
    let moved = stage.moved_once("gold", "ACTIVE").await;
    let (state, why) = stage.told("grey");
    assert!(state == "left behind" && why.contains("no label evacuable"), "{state}: {why}");
    assert!(!why.contains("not read"), "Glance was read: {why}");
    let grey = stage.server("grey").await;
    assert_eq!(grey.host.as_deref(), Some(SOURCE), "{grey:?}");
    assert_eq!(stage.between.sent(|seen| seen.evacuates(stage.id("grey"))), 0);
    let text = format!("recovered after {seconds:.1} s; {moved}; the other: {why}");
    told.saw("label on an image", text);
    for id in [stage.id("gold"), stage.id("grey")] {
        stage.world.raw.delete(id).await;
    }
    for image in &images {
        stage.world.raw.delete_image(image).await;
    }
}
