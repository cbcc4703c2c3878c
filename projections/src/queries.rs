//! What the gateway asks of the views. One file a query; each is bounded in time and in rows.

mod account;
mod blocks;
mod crowd;
mod dead_letters;
mod devices;
mod expired;
mod history;
mod inbox;
mod newcomer;
mod presence;
mod receipts;
pub(crate) mod rows;
mod search;
mod summary;
mod sync;

pub use account::{
    AccountState, ShownTo, account_version, contact, contacts, endpoints, settings, shown_to,
};
pub use blocks::blocks;
pub use crowd::{Crowd, crowds};
pub use dead_letters::{DeadEvent, dead_letters};
pub use devices::{AccountDevices, Standing, devices, standing};
pub use expired::{Expired, expired};
pub use history::{HistoryPage, MAX_HISTORY_MESSAGES, Page, history};
pub use inbox::{Filter, InboxCursor, InboxPage, InvalidCursor, MAX_INBOX_CONVERSATIONS, inbox};
pub use newcomer::{Newcomer, newcomer};
pub use presence::{Acquaintance, Acquaintances, Pair, acquaintances, note_last_seen};
pub use receipts::{Receipts, receipts};
pub use search::{
    Hit, InvalidWords, MAX_SEARCH_CHARACTERS, MAX_SEARCH_HITS, SearchCursor, SearchFor,
    SearchLimits, SearchPage, Words, search,
};
pub use summary::{is_participant, summary};
pub use sync::{SyncConversation, SyncCursor, SyncLimits, SyncPage, sync_page};
