//! Afterwards: does history hold every acknowledged message exactly once?

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{http::Http, talker::Acknowledged};
use crate::failure::Failure;

/// How long the views may need to catch up.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    pub acknowledged: u64,
    /// Acknowledged, but not in history under its number.
    pub missing: u64,
    /// Under two numbers.
    pub doubled: u64,
    /// Numbers without a message.
    pub gaps: u64,
}

impl Check {
    pub fn is_good(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.gaps == 0
    }

    pub async fn run(http: &Http, acknowledged: &[Acknowledged]) -> Result<Self, Failure> {
        let mut by_conversation = BTreeMap::<&str, Vec<&Acknowledged>>::new();
        for one in acknowledged {
            by_conversation.entry(&one.conversation).or_default().push(one);
        }
        let mut check = Self { acknowledged: acknowledged.len() as u64, ..Self::default() };
        for (conversation, acknowledged) in by_conversation {
            check.conversation(http, conversation, &acknowledged).await?;
        }
        Ok(check)
    }

    async fn conversation(
        &mut self,
        http: &Http,
        conversation: &str,
        acknowledged: &[&Acknowledged],
    ) -> Result<(), Failure> {
        let user = conversation.split('.').nth(1).unwrap_or_default();
        let token = http.sign_in(user).await?;
        let last = acknowledged.iter().map(|one| one.seq).max().unwrap_or_default();
        let mut names = HashMap::<u64, String>::new();
        let mut reached = 0;
        let end = Instant::now() + PATIENCE;
        while reached < last && Instant::now() < end {
            let path =
                format!("/v1/conversations/{conversation}/messages?afterSeq={reached}&limit=200");
            let page = http.get(&path, &token).await?;
            let messages = page["messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
            for message in messages {
                let seq = message["conversationSeq"].as_u64().unwrap_or_default();
                self.gaps += u64::from(seq != reached + 1);
                reached = seq;
                let name = message["clientMessageId"].as_str().unwrap_or_default();
                names.insert(seq, name.to_owned());
            }
        }
        let mut times = HashMap::<&str, u64>::new();
        for name in names.values() {
            *times.entry(name).or_default() += 1;
        }
        self.doubled += times.values().filter(|times| **times > 1).count() as u64;
        self.missing += acknowledged
            .iter()
            .filter(|one| names.get(&one.seq).is_none_or(|name| *name != one.name))
            .count() as u64;
        Ok(())
    }
}
