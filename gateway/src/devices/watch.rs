//! Who is connected with which device, to be told when it is unlinked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio_util::sync::CancellationToken;

use super::{Devices, table::Key};
use crate::realtime::lock;

/// By device; several sockets may be of one.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_device: Mutex<HashMap<Key, Vec<Arc<Watcher>>>>,
}

#[derive(Debug)]
struct Watcher {
    /// `None` for a caller that came with the marketplace's own word.
    registration: Option<u64>,
    over: CancellationToken,
}

/// The wait for a device's unlink; over with it, or when dropped.
#[derive(Debug)]
pub struct Watch {
    devices: Arc<Devices>,
    key: Key,
    watcher: Arc<Watcher>,
}

impl Watches {
    pub fn add(&self, devices: Arc<Devices>, key: Key, registration: Option<u64>) -> Watch {
        let watcher = Arc::new(Watcher { registration, over: CancellationToken::new() });
        lock(&self.by_device).entry(key.clone()).or_default().push(Arc::clone(&watcher));
        Watch { devices, key, watcher }
    }

    /// The device was unlinked at `version`.
    pub fn unlinked(&self, key: &Key, version: u64) {
        self.end(key, |registration| registration.is_none_or(|since| since <= version));
    }

    /// Sessions of registrations up to this version are over.
    pub fn over(&self, key: &Key, through: u64) {
        self.end(key, |registration| registration.is_some_and(|since| since <= through));
    }

    fn end(&self, key: &Key, is_over: impl Fn(Option<u64>) -> bool) {
        let by_device = lock(&self.by_device);
        for watcher in by_device.get(key).into_iter().flatten() {
            if is_over(watcher.registration) {
                watcher.over.cancel();
            }
        }
    }

    fn remove(&self, key: &Key, watcher: &Arc<Watcher>) {
        let mut by_device = lock(&self.by_device);
        if let Some(watchers) = by_device.get_mut(key) {
            watchers.retain(|other| !Arc::ptr_eq(other, watcher));
            if watchers.is_empty() {
                by_device.remove(key);
            }
        }
    }
}

impl Watch {
    /// Resolves once the session is over, for ever after.
    pub async fn over(&self) {
        self.watcher.over.cancelled().await;
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn end(&self) {
        self.watcher.over.cancel();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.devices.watches.remove(&self.key, &self.watcher);
    }
}
