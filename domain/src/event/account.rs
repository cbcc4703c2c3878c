//! What the events of an account say.

use serde::{Deserialize, Serialize};

use crate::ids::DeviceId;

/// From now on the device is one of the account's; sessions begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRegistered {
    pub device_id: DeviceId,
    /// What the device runs, for its owner's list of devices.
    pub platform: String,
}

/// Whatever the device was given before this is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceUnlinked {
    pub device_id: DeviceId,
}
