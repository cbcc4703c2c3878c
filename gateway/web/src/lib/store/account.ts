// Events of the user's own account: its parts, and the marks that show in a conversation's summary.

import { isCount, text } from '../guards';
import type { Account, LogEvent, Mark } from '../protocol';
import { toDevice, toEndpoint } from '../reading';
import { readThrough } from './cursors';
import { withConversation, type Conversation, type State } from './state';

/** Views are never this many events behind. */
const MAX_ASIDE = 200;

/** Absolute facts, so that applying one twice is harmless; the version only spares the work. */
export function applyAccountEvent(state: State, event: LogEvent): State {
  const known = state.account.version;
  if (known !== undefined && event.version <= known) return state;
  const jumped = known !== undefined && event.version > known + 1;
  return layAccountEvent(
    {
      ...state,
      account: { ...state.account, version: event.version },
      accountGap: state.accountGap || jumped,
      sync: jumped && state.sync === 'idle' ? 'wanted' : state.sync,
      aside: [...state.aside, event].slice(-MAX_ASIDE),
    },
    event,
  );
}

/** What the event says, whatever the version. */
export function layAccountEvent(state: State, event: LogEvent): State {
  const account = changedAccount(state.account, event);
  const conversation = state.conversations[text(event.data.conversationId) ?? ''];
  const marked = conversation && markedBy(conversation, event, state.me);
  const next = account === state.account ? state : { ...state, account };
  return marked && marked !== conversation ? withConversation(next, marked) : next;
}

/** Of two accounts the parts that the newer one tells. */
export function mergeAccount(older: Account, newer: Account): Account {
  const told = Object.entries(newer).filter(([, value]) => value !== undefined);
  return { ...older, ...Object.fromEntries(told), version: larger(older.version, newer.version) };
}

const larger = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.max(a, b);

/** A part that was never told stays untold: one event does not make it whole. */
function changedAccount(account: Account, { type, data, time }: LogEvent): Account {
  const { contacts, endpoints, devices } = account;
  switch (type) {
    case 'preferences.set': {
      const { conversationId: _, ...settings } = data;
      return { ...account, settings };
    }
    case 'contact.added':
    case 'contact.removed': {
      const userId = text(data.userId);
      if (!contacts || !userId) return account;
      const others = contacts.filter((one) => one !== userId);
      return { ...account, contacts: type === 'contact.added' ? [...others, userId].sort() : others };
    }
    case 'endpoint.added': {
      const endpoint = toEndpoint(data);
      if (!endpoints || !endpoint) return account;
      const at = endpoints.findIndex((one) => one.endpointId === endpoint.endpointId);
      return { ...account, endpoints: at < 0 ? [...endpoints, endpoint] : endpoints.with(at, endpoint) };
    }
    case 'endpoint.removed':
      return endpoints ? { ...account, endpoints: endpoints.filter((one) => one.endpointId !== data.endpointId) } : account;
    case 'device.registered': {
      const device = toDevice({ ...data, registeredAt: time });
      if (!devices || !device) return account;
      return { ...account, devices: [device, ...devices.filter((one) => one.deviceId !== device.deviceId)] };
    }
    case 'device.unlinked':
      return devices ? { ...account, devices: devices.filter((one) => one.deviceId !== data.deviceId) } : account;
    default:
      return account;
  }
}

function markedBy(conversation: Conversation, { type, data }: LogEvent, me: string): Conversation {
  const { summary } = conversation;
  const through = isCount(data.throughSeq) ? data.throughSeq : summary.lastSeq;
  const mark = (change: Partial<Conversation['summary']>): Conversation => ({ ...conversation, summary: { ...summary, ...change } });
  switch (type) {
    case 'conversation.muted':
      return mark({ muted: true, mutedUntil: text(data.until) });
    case 'conversation.unmuted':
      return mark({ muted: false, mutedUntil: undefined });
    case 'conversation.pinned':
      return mark({ pinned: true });
    case 'conversation.unpinned':
      return mark({ pinned: false });
    case 'conversation.archived':
      return { ...mark({ archived: through >= summary.lastSeq }), archivedThrough: through };
    case 'conversation.unarchived':
      return { ...mark({ archived: false }), archivedThrough: 0 };
    case 'draft.saved':
    case 'draft.cleared':
      return drafted(conversation, text(data.text) ?? '', text(data.savedAt));
    case 'channel.read':
      return readThrough(conversation, through, me);
    default:
      return conversation;
  }
}

/** A mark as it is now; of a conversation that is not held its summary will say the same. */
export function withMark(state: State, mark: Mark): State {
  const held = state.conversations[mark.conversationId];
  if (!held) return state;
  const { muted, mutedUntil, pinned, archivedThroughSeq = 0, readThroughSeq = 0, draft, draftSavedAt } = mark;
  const marked: Conversation = {
    ...held,
    archivedThrough: archivedThroughSeq,
    draftAt: draftSavedAt,
    summary: { ...held.summary, muted, mutedUntil, pinned, archived: archivedThroughSeq > 0 && archivedThroughSeq >= held.summary.lastSeq, draft },
  };
  return withConversation(state, readThrough(marked, readThroughSeq, state.me));
}

/** The later one stays, by the clocks of the devices; of two at once the greater text. */
function drafted(conversation: Conversation, words: string, at: string | undefined): Conversation {
  const { summary, draftAt } = conversation;
  if (at && draftAt) {
    const later = Date.parse(at) - Date.parse(draftAt);
    if (later < 0 || (later === 0 && words < (summary.draft ?? ''))) return conversation;
  }
  return { ...conversation, draftAt: at ?? draftAt, summary: { ...summary, draft: words || undefined } };
}
