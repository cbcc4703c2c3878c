//! Files of messages: where they are, who may bring and fetch them, and when they go.
//!
//! A file is reserved, uploaded once to a signed address, claimed by the one message that has it, and
//! fetched from another signed address that is made for whoever sees that message. PostgreSQL says
//! what is known of it ([`parley_projections::attachments`]); [`store`] has what is in it.

mod address;
pub mod janitor;
mod range;
mod shown;
pub mod store;
mod transfer;

use std::sync::Arc;

use tokio::sync::Semaphore;

use self::store::Store;
pub use self::{
    address::{Addresses, Method},
    range::{Part, part},
    shown::{content_disposition, is_inline},
    transfer::{NotReceived, receive, send},
};
use crate::config::AttachmentsConfig;

/// What the routes of files work with.
pub struct Attachments {
    pub config: AttachmentsConfig,
    pub store: Store,
    pub addresses: Addresses,
    /// A permit each.
    pub uploads: Arc<Semaphore>,
    pub downloads: Arc<Semaphore>,
}

impl Attachments {
    /// # Errors
    /// If the directory cannot be used.
    pub async fn open(config: AttachmentsConfig) -> std::io::Result<Self> {
        Ok(Self {
            store: Store::open(&config.dir).await?,
            addresses: Addresses::new(config.secret.as_bytes()),
            uploads: Arc::new(Semaphore::new(config.bounds.uploads)),
            downloads: Arc::new(Semaphore::new(config.bounds.downloads)),
            config,
        })
    }
}
