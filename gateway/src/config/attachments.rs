//! Where files of messages are, and the bounds of bringing and fetching them.

use std::{path::PathBuf, time::Duration};

use parley_runtime::config::Env;

const SECRET: &str = "PARLEY_ATTACHMENTS_SECRET";
const MIN_SECRET_BYTES: usize = 32;
/// What the contract allows.
const MAX_BYTES: u64 = 100 * MEBIBYTE;
const DAY_BYTES: u64 = 2_048 * MEBIBYTE;
const MAX_DAY_BYTES: u64 = 1 << 50;
const MEBIBYTE: u64 = 1_024 * 1_024;

/// Without a directory there are no attachments.
#[derive(Clone)]
pub struct AttachmentsConfig {
    /// The same for every gateway.
    pub dir: PathBuf,
    /// Signs the addresses of files; the same on every gateway.
    pub secret: String,
    /// The largest file.
    pub max_bytes: u64,
    /// What a person may reserve in a day; `None`: any.
    pub day_bytes: Option<u64>,
    pub upload_url_ttl: Duration,
    pub download_url_ttl: Duration,
    pub bounds: TransferBounds,
    /// How long a file may be without a message.
    pub unused: Duration,
    /// How often it is looked for files to remove.
    pub tidy_interval: Duration,
}

/// The bounds of files on their way.
#[derive(Debug, Clone, Copy)]
pub struct TransferBounds {
    /// Uploads at the same time.
    pub uploads: usize,
    /// Downloads at the same time.
    pub downloads: usize,
    /// One file, from its first byte to its last.
    pub transfer: Duration,
    /// Without a byte.
    pub stall: Duration,
}

impl AttachmentsConfig {
    pub(super) fn from_env(env: &mut Env) -> Option<Self> {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        let dir = env.opt_path("PARLEY_ATTACHMENTS_DIR");
        let secret = env.opt_secret(SECRET, MIN_SECRET_BYTES);
        let day_bytes = env.u64("PARLEY_ATTACHMENTS_DAY_BYTES", DAY_BYTES, 0..=MAX_DAY_BYTES);
        let config = Self {
            dir: dir.clone().unwrap_or_default(),
            secret: secret.clone().unwrap_or_default(),
            max_bytes: env.u64("PARLEY_ATTACHMENTS_MAX_BYTES", MAX_BYTES, 1..=MAX_BYTES),
            day_bytes: (day_bytes > 0).then_some(day_bytes),
            upload_url_ttl: env.duration_seconds(
                "PARLEY_ATTACHMENTS_UPLOAD_URL_SECONDS",
                60 * MINUTE,
                1..=DAY,
            ),
            download_url_ttl: env.duration_seconds(
                "PARLEY_ATTACHMENTS_DOWNLOAD_URL_SECONDS",
                MINUTE,
                1..=DAY,
            ),
            bounds: TransferBounds {
                uploads: env.usize("PARLEY_ATTACHMENTS_UPLOADS", 64, 1..=100_000),
                downloads: env.usize("PARLEY_ATTACHMENTS_DOWNLOADS", 512, 1..=100_000),
                transfer: env.duration_seconds(
                    "PARLEY_ATTACHMENTS_TRANSFER_SECONDS",
                    15 * MINUTE,
                    1..=DAY,
                ),
                stall: env.duration_millis("PARLEY_ATTACHMENTS_STALL_MILLIS", 15_000, 10..=600_000),
            },
            // Above what a message may take from its claim to the log.
            unused: env.duration_seconds(
                "PARLEY_ATTACHMENTS_UNUSED_SECONDS",
                DAY,
                5 * MINUTE..=365 * DAY,
            ),
            tidy_interval: env.duration_millis(
                "PARLEY_ATTACHMENTS_TIDY_INTERVAL_MILLIS",
                10_000,
                50..=3_600_000,
            ),
        };
        dir?;
        if secret.is_none() {
            env.required_string(SECRET);
        }
        Some(config)
    }
}

/// Without the secret.
impl std::fmt::Debug for AttachmentsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttachmentsConfig").field("dir", &self.dir).finish_non_exhaustive()
    }
}
