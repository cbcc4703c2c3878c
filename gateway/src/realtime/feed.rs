//! The events of one session, from a vector of positions on, for ever: first out of the rings, then
//! as the hub routes them.
//!
//! Why nothing falls between the two: the hub puts an event into its ring *before* it looks for the
//! sessions to route it to, and a feed is registered *before* its last pull. So an event that was
//! routed before the registration is in the ring by then, and any other comes by mailbox. What
//! comes twice is told by its position.
//!
//! A feed stops before the event by which its user came into a group: what was there before, the
//! device can only have from a page of the views. [`Fed::Joined`] asks for one, which reaches that
//! event at least, and the feed then goes on from where it stopped.

use std::{ops::ControlFlow, sync::Arc};

use parley_domain::UserId;

use super::{
    hub::Hub,
    protocol::Frame,
    registry::{Delivery, Mailbox, Overflowed, lock},
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
    /// Up to here the device has had pages: it knows the groups that its user came into before.
    paged: Positions,
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
    /// Next is the event by which the user came into a group. The feed is paused before it.
    Joined {
        shard: u16,
        position: u64,
    },
    /// More came than the mailbox may hold: the session was too slow.
    Overflowed,
    Paused,
}

impl Feed {
    /// Paused. `max_bytes` bounds what waits for the session in memory.
    pub fn new(hub: Arc<Hub>, user: UserId, max_bytes: usize) -> Self {
        let positions = vec![0; hub.codec().shards()].into_boxed_slice();
        let (routed, paged) = (positions.clone(), positions.clone());
        let mode = Mode::Paused;
        Self { hub, user, positions, paged, routed, mode, mailbox: None, max_bytes }
    }

    /// From now on, what comes after `positions`; also backwards. The device has what is shown of
    /// its user's conversations up to there.
    pub fn resume(&mut self, positions: Positions) {
        self.paged.clone_from(&positions);
        self.go_on(positions);
    }

    /// As [`Self::resume`], for a device that has had pages up to `paged`, which is further on.
    pub fn resume_within(&mut self, positions: Positions, paged: Positions) {
        self.paged = paged;
        self.go_on(positions);
    }

    fn go_on(&mut self, positions: Positions) {
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
                    self.hub.attach(&self.user, &mailbox);
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
        let places = self.positions.iter_mut().zip(&self.paged);
        for (shard, (past, (position, paged))) in (0..).zip(hub.pasts().zip(places)) {
            let pulled = lock(past).pull(self.user.as_str(), *position, *budget, |next| {
                if next.is_joining && next.position > *paged {
                    return ControlFlow::Break(());
                }
                *budget = budget.saturating_sub(next.frame.len());
                give(next.frame.clone());
                ControlFlow::Continue(())
            });
            match pulled {
                Pulled::All { head } => *position = head,
                Pulled::Part { reached } => {
                    *position = reached;
                    return Fed::Part;
                }
                Pulled::Stopped { reached } => {
                    *position = reached.max(*position);
                    return self.stop(Fed::Joined { shard, position: reached + 1 });
                }
                Pulled::Lost => return self.stop(Fed::Lost),
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
        for Delivery { place, frame, is_joining } in deliveries {
            if let Some((shard, position)) = place {
                let index = usize::from(shard);
                let (Some(known), Some(paged)) =
                    (self.positions.get_mut(index), self.paged.get(index))
                else {
                    continue;
                };
                if position <= *known {
                    continue;
                }
                if is_joining && position > *paged {
                    // Those behind it are in the rings.
                    *known = position - 1;
                    return self.stop(Fed::Joined { shard, position });
                }
                *known = position;
            }
            give(frame);
        }
        for (known, routed) in self.positions.iter_mut().zip(&self.routed) {
            *known = (*routed).max(*known);
        }
        Fed::UpToDate
    }

    fn stop(&mut self, why: Fed) -> Fed {
        self.mode = Mode::Paused;
        self.leave();
        why
    }

    fn leave(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            self.hub.detach(&self.user, &mailbox);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.leave();
    }
}
