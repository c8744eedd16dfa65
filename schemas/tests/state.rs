//! The state of an org is the same whatever the order in which it came together.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::sync::Arc;

use schemas::device::Device;
use schemas::event::{Event, Recorded};
use schemas::id::{DeviceId, Ulid};
use schemas::state::OrgState;

fn device() -> Device {
    let stored = include_str!("../golden/device.enrolled.v1.json");
    let Event::DeviceEnrolled { device } = Recorded::parse(stored).expect("reads").event else {
        panic!("a device enrols")
    };
    Arc::unwrap_or_clone(device)
}

#[test]
fn a_key_and_a_name_are_those_of_who_came_with_them_last() {
    let old = device();
    let new = Device { id: DeviceId::new(Ulid::from_parts(9, 9)), ..old.clone() };
    let known = |state: &OrgState| {
        let by_key = state.device_of_key(&old.public_key).map(|device| device.id);
        (by_key, state.devices.named(old.name.as_str()).map(|device| device.id))
    };
    let mut state = OrgState::default();
    state.put(old.clone().into());
    assert_eq!(known(&state), (Some(old.id), Some(old.id)));
    // Read models come key by key: who comes again may be there before who it was has gone.
    state.put(new.clone().into());
    state.put(Device { revision: 99, ..old.clone() }.into());
    state.put(new.clone().into());
    state.remove(old.id.into());
    assert_eq!(known(&state), (Some(new.id), Some(new.id)));
    state.remove(new.id.into());
    assert_eq!(known(&state), (None, None));
}
