// What is read when somebody looks: a conversation by its address, older messages, the members.

import { ApiError } from './api/call';
import { getHistory, getSummary, type HistoryPlace } from './api/talk';
import type { Host } from './host';
import { shownMessages } from './store/messages';
import { isApart, messageOf, needsHistory, peerOf } from './store/select';

const HISTORY_LIMIT = 50;
/** So many messages back, what is between is read as well. */
const NEAR = 4 * HISTORY_LIMIT;
/** Views follow the log, usually within milliseconds. */
const TRIES = 6;
const AGAIN_MS = 250;
const soon = (tries: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, AGAIN_MS * tries));

export class Histories {
  loading = $state.raw<Readonly<Record<string, 'loading' | 'failed'>>>({});
  /** Conversations that the server says do not exist for this user, or could not be asked about. */
  missing = $state.raw<Readonly<Record<string, 'not-found' | 'failed'>>>({});
  #opening = new Set<string>();

  constructor(
    private readonly host: Host,
    private readonly onHistory: () => void,
  ) {}

  reset(): void {
    this.loading = {};
    this.missing = {};
  }

  /** Know the conversation that the address names. */
  async open(conversationId: string): Promise<void> {
    if (this.host.state.conversations[conversationId] || this.#opening.has(conversationId)) return;
    this.#opening.add(conversationId);
    const { [conversationId]: _, ...others } = this.missing;
    this.missing = others;
    try {
      const summary = await this.host.authorized((token) => getSummary(token, conversationId));
      this.host.dispatch({ type: 'local.summary', summary });
    } catch (error) {
      const unknown = error instanceof ApiError && error.status >= 400 && error.status < 500;
      // A direct conversation is its two people: it needs no creation to be written to.
      if (unknown && peerOf(conversationId, this.host.me)) {
        this.host.dispatch({ type: 'local.opened', conversationId, at: new Date().toISOString() });
      } else {
        this.missing = { ...this.missing, [conversationId]: unknown ? 'not-found' : 'failed' };
      }
    } finally {
      this.#opening.delete(conversationId);
    }
  }

  /** One that was just created or joined: it is there in a moment. */
  async arrive(conversationId: string): Promise<void> {
    for (let tries = 0; !this.host.state.conversations[conversationId] && tries < TRIES; tries += 1) {
      if (tries > 0) await soon(tries);
      await this.open(conversationId);
    }
  }

  /** A list of conversations comes without the people of groups. */
  async learnMembers(conversationId: string): Promise<void> {
    const unknown = (): boolean => this.host.state.conversations[conversationId]?.summary.members === undefined;
    for (let tries = 0; unknown() && tries < TRIES; tries += 1) {
      if (tries > 0) await soon(tries);
      const summary = await this.host.authorized((token) => getSummary(token, conversationId)).catch(() => null);
      if (summary && unknown()) this.host.dispatch({ type: 'local.summary', summary });
    }
  }

  /** Before what is shown: the newest messages, or those around one. */
  async loadOlder(conversationId: string, around?: number): Promise<void> {
    const before = this.host.state.conversations[conversationId];
    if (!before || !needsHistory(before, around) || this.loading[conversationId] === 'loading') return;
    const first = shownMessages(before, around)[0]?.conversationSeq ?? before.summary.lastSeq + 1;
    this.#set(conversationId, 'loading');
    try {
      await this.#read(conversationId, { before: first });
      const after = this.host.state.conversations[conversationId];
      // Views that lag behind the log may not reach the oldest message shown yet: let the person ask again.
      const stuck = after && needsHistory(after, around) && shownMessages(after, around)[0]?.conversationSeq === first;
      this.#set(conversationId, stuck ? 'failed' : null);
    } catch {
      this.#set(conversationId, 'failed');
    }
  }

  /** After what is shown around a message, until that meets the newest ones. */
  async loadLater(conversationId: string, around: number): Promise<void> {
    const held = this.host.state.conversations[conversationId];
    if (!held || !isApart(held, around) || this.loading[conversationId] === 'loading') return;
    const last = shownMessages(held, around).at(-1)?.conversationSeq ?? around;
    this.#set(conversationId, 'loading');
    try {
      const found = await this.#read(conversationId, { after: last });
      this.#set(conversationId, found > 0 ? null : 'failed');
    } catch {
      this.#set(conversationId, 'failed');
    }
  }

  /**
   * Until this message is held. One that is not far is reached page by page; of one further back only
   * what is around it is read. False: it is not there, or cannot be read now.
   */
  async reach(conversationId: string, seq: number): Promise<boolean> {
    for (;;) {
      const held = this.host.state.conversations[conversationId];
      if (!held) return false;
      if (messageOf(held, seq)) return true;
      const first = shownMessages(held)[0]?.conversationSeq ?? held.summary.lastSeq + 1;
      if (first <= seq || !needsHistory(held) || this.loading[conversationId] === 'loading') return false;
      if (first - seq > NEAR) return this.#readAround(conversationId, seq);
      await this.loadOlder(conversationId);
      if (this.loading[conversationId]) return false;
    }
  }

  async #readAround(conversationId: string, seq: number): Promise<boolean> {
    const found = await this.#read(conversationId, { before: seq + HISTORY_LIMIT / 2 }).catch(() => 0);
    const held = this.host.state.conversations[conversationId];
    return found > 0 && held !== undefined && messageOf(held, seq) !== undefined;
  }

  /** One page; how many messages it has. */
  async #read(conversationId: string, place: HistoryPlace): Promise<number> {
    const page = await this.host.authorized((token) => getHistory(token, conversationId, place, HISTORY_LIMIT));
    this.host.dispatch({ type: 'local.history', conversationId, place, ...page });
    this.onHistory();
    return page.messages.length;
  }

  #set(conversationId: string, value: 'loading' | 'failed' | null): void {
    const { [conversationId]: _, ...others } = this.loading;
    this.loading = value ? { ...others, [conversationId]: value } : others;
  }
}
