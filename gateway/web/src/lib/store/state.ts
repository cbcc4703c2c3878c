// What this tab knows. Plain, immutable data: every change makes a new State, and a frame that
// says nothing new returns the very same one.

import { directMembers, type Account, type LogEvent, type Message, type ServerFrame, type Summary } from '../protocol';

/**
 * A message and the version of its conversation that this copy is known to include. The message's
 * own `version` is that of the event that sent it, which says nothing about later changes.
 */
export interface Held extends Message {
  readonly asOf: number;
}

export interface Conversation {
  readonly summary: Summary;
  /** Messages held, ascending; there may be holes below the run that ends at `lastSeq`. */
  readonly messages: readonly Held[];
  /** Nothing older exists on the server. */
  readonly historyDone: boolean;
  /** Events beyond a jump, waiting for the sync that fills it. */
  readonly ahead: readonly LogEvent[];
  /** Changes of messages not held: laid over them when history brings them. */
  readonly changes: readonly LogEvent[];
  /**
   * Message → the one shown before it, where the numbers between belong to a time before or between
   * this person's memberships.
   */
  readonly bridges: Readonly<Record<number, number>>;
  /** It stays archived as long as nothing comes after this message; 0: not archived. */
  readonly archivedThrough: number;
  /** When the draft was written, by the clock of its device, if an event said so. */
  readonly draftAt?: string;
  /** Direct: whether the other person blocks. Not told while I do. */
  readonly peerBlocks?: boolean;
}

/**
 * idle: the versions held are gapless. wanted: an event jumped, somebody has to ask for a sync.
 * asked: a sync is under way.
 */
export type SyncPhase = 'idle' | 'wanted' | 'asked';

export interface State {
  readonly me: string;
  readonly conversations: Readonly<Record<string, Conversation>>;
  readonly account: Account;
  /** An event of the account jumped. */
  readonly accountGap: boolean;
  /** The last events of the account: pages of a sync may be older than they. */
  readonly aside: readonly LogEvent[];
  readonly token?: string;
  readonly sync: SyncPhase;
  /** The running sync was asked with a token: its pages name every changed message. */
  readonly syncIsDelta: boolean;
  /** A first sync has completed: an empty list means that there is nothing. */
  readonly loaded: boolean;
}

export type LocalInput =
  | { readonly type: 'local.syncAsked' }
  | { readonly type: 'local.opened'; readonly conversationId: string; readonly at: string }
  | { readonly type: 'local.summary'; readonly summary: Summary }
  /** Parts of the account, asked for over HTTP. */
  | { readonly type: 'local.account'; readonly account: Account }
  /** It is this late now: what ends by itself has ended. */
  | { readonly type: 'local.moment'; readonly at: string }
  | {
      readonly type: 'local.history';
      readonly conversationId: string;
      /** The page was asked to end before this message, or to begin after it. */
      readonly place: { readonly before: number } | { readonly after: number };
      readonly messages: readonly Message[];
      /** Nothing older exists. */
      readonly done: boolean;
    };

export type Input = ServerFrame | LocalInput;

export const initialState = (me: string): State => ({
  me,
  conversations: {},
  account: {},
  accountGap: false,
  aside: [],
  sync: 'idle',
  syncIsDelta: false,
  loaded: false,
});

const KINDS: Readonly<Record<string, string>> = { d: 'direct', g: 'group', c: 'channel' };

/** A conversation before its first event; its id says who is in it. */
export function blankConversation(conversationId: string, at: string): Conversation {
  const pair = directMembers(conversationId);
  return fromSummary({
    conversationId,
    kind: KINDS[conversationId.split('.')[0] ?? ''] ?? '',
    memberCount: pair ? 2 : 0,
    members: pair?.map((userId) => ({ userId, role: 'member' })),
    lastSeq: 0,
    version: 0,
    unread: 0,
    readSeq: 0,
    deliveredSeq: 0,
    peerReadSeq: pair ? 0 : undefined,
    peerDeliveredSeq: pair ? 0 : undefined,
    muted: false,
    pinned: false,
    archived: false,
    blockedByMe: false,
    canSend: true,
    timerSeconds: 0,
    createdAt: at,
    updatedAt: at,
  });
}

export function fromSummary(summary: Summary): Conversation {
  return {
    summary,
    messages: summary.lastMessage ? [{ ...summary.lastMessage, asOf: summary.version }] : [],
    historyDone: summary.lastSeq === 0,
    ahead: [],
    changes: [],
    bridges: {},
    ...derivedFrom(summary),
  };
}

/** What a summary says between its lines. */
export const derivedFrom = (summary: Summary): Pick<Conversation, 'archivedThrough' | 'peerBlocks'> => ({
  archivedThrough: summary.archived ? summary.lastSeq : 0,
  peerBlocks: summary.kind !== 'direct' || summary.blockedByMe ? undefined : !summary.canSend,
});

export const withSummary = (conversation: Conversation, change: Partial<Summary>): Conversation => ({
  ...conversation,
  summary: { ...conversation.summary, ...change },
});

export const withConversation = (state: State, conversation: Conversation): State => ({
  ...state,
  conversations: { ...state.conversations, [conversation.summary.conversationId]: conversation },
});

export const hasGap = (state: State): boolean =>
  state.accountGap || Object.values(state.conversations).some((conversation) => conversation.ahead.length > 0);
