// What is read when somebody looks: a conversation by its address, older messages, the members.

import { ApiError } from './api/call';
import { getHistory, getSummary } from './api/talk';
import type { Host } from './host';
import { shownMessages } from './store/messages';
import { needsHistory, peerOf } from './store/select';

const HISTORY_LIMIT = 50;
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

  async loadOlder(conversationId: string): Promise<void> {
    const before = this.host.state.conversations[conversationId];
    if (!before || !needsHistory(before) || this.loading[conversationId] === 'loading') return;
    const first = shownMessages(before)[0]?.conversationSeq ?? before.summary.lastSeq + 1;
    this.#set(conversationId, 'loading');
    try {
      const page = await this.host.authorized((token) => getHistory(token, conversationId, first, HISTORY_LIMIT));
      this.host.dispatch({ type: 'local.history', conversationId, before: first, ...page });
      this.onHistory();
      const after = this.host.state.conversations[conversationId];
      // Views that lag behind the log may not reach the oldest message shown yet: let the person ask again.
      const stuck = after && needsHistory(after) && shownMessages(after)[0]?.conversationSeq === first;
      this.#set(conversationId, stuck ? 'failed' : null);
    } catch {
      this.#set(conversationId, 'failed');
    }
  }

  /** Until this message is held, or there is nothing older. */
  async loadBackTo(conversationId: string, seq: number): Promise<boolean> {
    for (;;) {
      const held = this.host.state.conversations[conversationId];
      if (!held) return false;
      const first = shownMessages(held)[0]?.conversationSeq ?? Infinity;
      if (first <= seq) return shownMessages(held).some((one) => one.conversationSeq === seq);
      if (!needsHistory(held) || this.loading[conversationId]) return false;
      await this.loadOlder(conversationId);
    }
  }

  #set(conversationId: string, value: 'loading' | 'failed' | null): void {
    const { [conversationId]: _, ...others } = this.loading;
    this.loading = value ? { ...others, [conversationId]: value } : others;
  }
}
