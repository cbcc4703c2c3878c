//! The events of one session, from a vector of positions on, for ever: first out of the rings, then
//! as the hub routes them.
//!
//! Why nothing falls between the two: the hub puts an event into its ring *before* it looks for the
//! sessions to route it to, and a feed is registered *before* its last pull. So an event that was
//! routed before the registration is in the ring by then, and any other comes by mailbox. What
//! comes twice is told by its position.

use std::sync::Arc;

use parley_domain::UserId;

use super::{
    hub::Hub,
    protocol::Frame,
    registry::{Mailbox, Overflowed, lock},
    ring::Pulled,
    token::Positions,
};

/// One session's place in the log.
#[derive(Debug)]
pub struct Feed {
    hub: Arc<Hub>,
    user: UserId,
    /// Everything up to here was handed out.
    positions: Positions,
    /// Where [`Self::drain`] notes how far the hub has come.
    routed: Positions,
    mode: Mode,
    /// Registered, if there is one.
    mailbox: Option<Arc<Mailbox>>,
    max_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Paused,
    Behind,
    Live,
}

/// How far [`Feed::take`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// Everything that there is. More will be announced by [`Feed::woken`].
    UpToDate,
    /// As much as was asked for; there is more.
    Part,
    /// The rings no longer hold what comes next. The feed is paused; its positions stay.
    Lost,
    /// More came than the mailbox may hold: the session was too slow.
    Overflowed,
    Paused,
}

impl Feed {
    /// Paused. `max_bytes` bounds what waits for the session in memory.
    pub fn new(hub: Arc<Hub>, user: UserId, max_bytes: usize) -> Self {
        let positions = vec![0; hub.codec().shards()].into_boxed_slice();
        let routed = positions.clone();
        Self { hub, user, positions, routed, mode: Mode::Paused, mailbox: None, max_bytes }
    }

    /// From now on, what comes after `positions`; also backwards.
    pub fn resume(&mut self, positions: Positions) {
        self.positions = positions;
        self.mode = Mode::Behind;
        // Whatever waits there is in the rings as well.
        if let Some(mailbox) = &self.mailbox {
            mailbox.clear();
        }
    }

    pub fn is_paused(&self) -> bool {
        self.mode == Mode::Paused
    }

    /// Everything up to here was handed out.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// Whether more came than the mailbox may hold.
    pub fn has_overflowed(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.has_overflowed())
    }

    /// Resolves once there may be something to take; never while the feed is paused or behind.
    pub async fn woken(&self) {
        match &self.mailbox {
            Some(mailbox) => mailbox.woken().await,
            None => std::future::pending().await,
        }
    }

    /// Hands out what comes next, in order: about `max_bytes` of it while the feed is behind.
    pub fn take(&mut self, max_bytes: usize, mut give: impl FnMut(Frame)) -> Fed {
        match self.mode {
            Mode::Paused => Fed::Paused,
            Mode::Live => self.drain(&mut give),
            Mode::Behind if self.has_overflowed() => Fed::Overflowed,
            Mode::Behind => {
                let mut budget = max_bytes;
                let pulled = self.pull(&mut budget, &mut give);
                if pulled != Fed::UpToDate {
                    return pulled;
                }
                if self.mailbox.is_none() {
                    let mailbox = Arc::new(Mailbox::new(self.max_bytes));
                    self.hub.registry().register(&self.user, &mailbox);
                    self.mailbox = Some(mailbox);
                    let pulled = self.pull(&mut budget, &mut give);
                    if pulled != Fed::UpToDate {
                        return pulled;
                    }
                }
                self.mode = Mode::Live;
                self.drain(&mut give)
            }
        }
    }

    fn pull(&mut self, budget: &mut usize, give: &mut impl FnMut(Frame)) -> Fed {
        let hub = Arc::clone(&self.hub);
        for (ring, position) in hub.rings().zip(&mut self.positions) {
            let pulled = lock(ring).pull(self.user.as_str(), *position, *budget, |frame| {
                *budget = budget.saturating_sub(frame.len());
                give(frame.clone());
            });
            match pulled {
                Pulled::All { head } => *position = head,
                Pulled::Part { reached } => {
                    *position = reached;
                    return Fed::Part;
                }
                Pulled::Lost => {
                    self.mode = Mode::Paused;
                    self.leave();
                    return Fed::Lost;
                }
            }
        }
        Fed::UpToDate
    }

    fn drain(&mut self, give: &mut impl FnMut(Frame)) -> Fed {
        let Some(mailbox) = &self.mailbox else { return Fed::Paused };
        // Read first: whatever was routed up to these is in the mailbox by now.
        for (routed, now) in self.routed.iter_mut().zip(self.hub.routed()) {
            *routed = now;
        }
        let deliveries = match mailbox.take() {
            Ok(deliveries) => deliveries,
            Err(Overflowed) => return Fed::Overflowed,
        };
        for delivery in deliveries {
            if let Some((shard, position)) = delivery.place {
                let Some(known) = self.positions.get_mut(usize::from(shard)) else { continue };
                if position <= *known {
                    continue;
                }
                *known = position;
            }
            give(delivery.frame);
        }
        for (known, routed) in self.positions.iter_mut().zip(&self.routed) {
            *known = (*routed).max(*known);
        }
        Fed::UpToDate
    }

    fn leave(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            self.hub.registry().unregister(&self.user, &mailbox);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.leave();
    }
}
