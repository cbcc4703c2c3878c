// What ends by itself, without an event: messages with a timer, and mutes.

import { expire, momentOf } from './messages';
import type { Conversation, State } from './state';

/** Everything that is over at this moment. The very same state if nothing is. */
export function atMoment(state: State, at: string): State {
  const now = Date.parse(at);
  let changed = false;
  const conversations = Object.fromEntries(
    Object.entries(state.conversations).map(([id, conversation]) => {
      if (nextEnd(conversation) > now) return [id, conversation];
      changed = true;
      return [id, ended(conversation, now)];
    }),
  );
  return changed ? { ...state, conversations } : state;
}

function ended(conversation: Conversation, now: number): Conversation {
  const { summary } = conversation;
  const over = momentOf(summary.mutedUntil) <= now;
  return {
    ...conversation,
    messages: conversation.messages.map((message) => expire(message, now)),
    summary: {
      ...summary,
      lastMessage: summary.lastMessage && expire(summary.lastMessage, now),
      ...(over ? { muted: false, mutedUntil: undefined } : {}),
    },
  };
}

/** Asked after every change: a conversation that did not change is not looked through again. */
const known = new WeakMap<Conversation, number>();

/** When the next thing in it ends, in ms; Infinity if nothing does. */
function nextEnd(conversation: Conversation): number {
  let next = known.get(conversation);
  if (next === undefined) {
    const { messages, summary } = conversation;
    next = momentOf(summary.mutedUntil);
    for (const message of summary.lastMessage ? [...messages, summary.lastMessage] : messages) {
      if (message.body) next = Math.min(next, momentOf(message.expiresAt));
    }
    known.set(conversation, next);
  }
  return next;
}

/** When the next thing anywhere ends, in ms. */
export const nextMoment = (state: State): number => Math.min(...Object.values(state.conversations).map(nextEnd), Infinity);
