//! Files of messages: where they are, who may bring and fetch them, and when they go.
//!
//! A file is reserved, uploaded once to a signed address, claimed by the one message that has it, and
//! fetched from another signed address that is made for whoever sees that message. PostgreSQL says
//! what is known of it ([`parley_projections::attachments`]); [`store`] has what is in it.

mod address;
pub mod janitor;
pub mod metrics;
mod range;
mod shown;
mod slots;
pub mod store;
mod transfer;

use self::store::Store;
pub use self::{
    address::{Addresses, Method, Signed},
    range::{Part, part},
    shown::{content_disposition, is_inline},
    slots::{Slot, Slots},
    transfer::{NotReceived, receive, send},
};
use crate::config::AttachmentsConfig;

/// What the routes of files work with.
pub struct Attachments {
    pub config: AttachmentsConfig,
    pub store: Store,
    pub addresses: Addresses,
    pub uploads: Slots,
    pub downloads: Slots,
}

impl Attachments {
    /// # Errors
    /// If the directory cannot be used.
    pub async fn open(config: AttachmentsConfig) -> std::io::Result<Self> {
        Ok(Self {
            store: Store::open(&config.dir).await?,
            addresses: Addresses::new(config.secret.as_bytes()),
            uploads: Slots::new(config.bounds.uploads),
            downloads: Slots::new(config.bounds.downloads),
            config,
        })
    }
}
