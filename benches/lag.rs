//! How long after its 201 a write is visible to readers.

use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use crate::report::{Report, ms, percentile, ratio};
use crate::rig::{Rig, send};

const CALLS: usize = 1_000;

pub(crate) async fn run(report: &mut Report) {
    let rig = Rig::start().await;
    let (mut visible, mut plain) = (Vec::new(), Vec::new());
    for n in 0..CALLS {
        let body = json!({"name": format!("rule {n}"), "zone_from": "WAN", "zone_to": "LAN", "action": "drop"});
        let created = rig.post("/api/v1/firewall/rules", body).await;
        assert_eq!(created.status, 201);
        let path = format!("/api/v1/firewall/rules/{}", created.id());
        let request =
            rig.request(Method::GET, &path).header("Netkeep-Min-Position", created.header("netkeep-position"));
        let start = Instant::now();
        assert_eq!(send(request).await.status, 200);
        visible.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(rig.get(&path).await.status, 200);
        plain.push(start.elapsed());
    }
    report.section(
        "From the 201 to a read that shows it",
        "A `GET` with `Netkeep-Min-Position`, sent as soon as the 201 is there: event log, projector, KV, the reader's memory, HTTP. \
         Beside it the same `GET` when nothing has to be waited for.",
        &["read", "p50", "p99"],
    );
    let (visible_p99, plain_p99) = (percentile(&mut visible, 99), percentile(&mut plain, 99));
    report.row(&["of the write just made".to_owned(), ms(percentile(&mut visible, 50)), ms(visible_p99)]);
    report.row(&["of what is there".to_owned(), ms(percentile(&mut plain, 50)), ms(plain_p99)]);
    report.note(&format!("p99 ratio {}", ratio(visible_p99, plain_p99)));
}
