//! What people do with their own accounts: contacts, marks on conversations, drafts, settings, and
//! where to tell them when away. One file a resource.

pub mod contacts;
pub mod draft;
pub mod endpoints;
pub mod marks;
pub mod settings;

use parley_commands::AccountRequest;
use parley_domain::account::{Action, Answer};

use super::extract::TraceParent;
use crate::{auth::Identity, error::ApiError, state::AppState};

/// Has the account's owner decide; the caller then sees it in every view.
async fn execute(
    state: &AppState,
    caller: &Identity,
    TraceParent(traceparent): TraceParent,
    action: Action,
) -> Result<Answer, ApiError> {
    let request = AccountRequest::new(caller.actor(), action, traceparent);
    let answer = state.commands.execute(request).await?;
    state.realtime.accounts().saw(&caller.user_id, answer.version());
    Ok(answer)
}
