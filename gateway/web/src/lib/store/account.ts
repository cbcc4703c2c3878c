// Events of the user's own account that show in a conversation's summary.

import { text } from '../guards';
import type { LogEvent, Summary } from '../protocol';
import { withConversation, type State } from './state';

/** Absolute facts, so that applying one twice is harmless; the version only spares the work. */
export function applyAccountEvent(state: State, event: LogEvent): State {
  if (state.accountVersion !== undefined && event.version <= state.accountVersion) return state;
  const jumped = state.accountVersion !== undefined && event.version > state.accountVersion + 1;
  const next: State = {
    ...state,
    accountVersion: event.version,
    accountGap: state.accountGap || jumped,
    sync: jumped && state.sync === 'idle' ? 'wanted' : state.sync,
  };
  const conversation = next.conversations[text(event.data.conversationId) ?? ''];
  const change = summaryChange(event);
  if (!conversation || !change) return next;
  return withConversation(next, { ...conversation, summary: { ...conversation.summary, ...change } });
}

function summaryChange(event: LogEvent): Partial<Summary> | null {
  switch (event.type.replace(/^conversation\./, '')) {
    case 'muted':
      return { muted: true };
    case 'unmuted':
      return { muted: false };
    case 'pinned':
      return { pinned: true };
    case 'unpinned':
      return { pinned: false };
    case 'archived':
      return { archived: true };
    case 'unarchived':
      return { archived: false };
    case 'draft.saved':
      return { draft: text(event.data.text) };
    case 'draft.cleared':
      return { draft: undefined };
    default:
      return null;
  }
}
