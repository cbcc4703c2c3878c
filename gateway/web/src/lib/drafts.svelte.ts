// What was begun and not sent. The account keeps it for all devices; what this tab wrote last stands
// until the account knows it, also over a reload.

import { ApiError } from './api/call';
import { saveDraft } from './api/account';
import { isRecord, text } from './guards';
import type { Host } from './host';
import { readJson, type Store } from './storage';

/** Quiet for this long, or written on for that long: then the other devices learn of it. */
export const QUIET_MS = 700;
export const AT_MOST_MS = 3_000;
const AGAIN_MS = 5_000;

interface Entry {
  readonly text: string;
  /** ms, by the clock of this device */
  readonly at: number;
  /** The version of the account that knows it. */
  readonly version?: number;
}

export class Drafts {
  #entries = $state.raw<Readonly<Record<string, Entry>>>({});
  #timers = new Map<string, { timer: ReturnType<typeof setTimeout>; since: number }>();
  /** A draft of theirs is on its way: the next one waits for its answer. */
  #saving = new Set<string>();
  /** The account has a draft of theirs, or may get one yet: it is to be taken back once it was sent. */
  #told = new Set<string>();

  constructor(
    private readonly host: Host,
    private readonly store: Store,
    private readonly save = saveDraft,
  ) {}

  /** A reload finds what was not saved. */
  restore(): void {
    const kept = readJson(this.store, this.#key());
    if (!isRecord(kept)) return;
    for (const [id, one] of Object.entries(kept)) {
      if (!isRecord(one) || typeof one.at !== 'number') continue;
      this.#set(id, { text: text(one.text) ?? '', at: one.at });
      this.#told.add(id);
    }
  }

  of(conversationId: string): string {
    const entry = this.#entries[conversationId];
    const known = entry?.version !== undefined && (this.host.state.account.version ?? 0) >= entry.version;
    return entry && !known ? entry.text : this.#saved(conversationId);
  }

  write(conversationId: string, words: string): void {
    // Two within a millisecond are still in order.
    const at = Math.max(Date.now(), (this.#entries[conversationId]?.at ?? 0) + 1);
    this.#set(conversationId, { text: words, at });
    this.#keep();
    this.#soon(conversationId);
  }

  /** It was sent, or the person looks elsewhere: nothing to wait for. */
  flush(conversationId: string): void {
    if (this.#timers.has(conversationId)) void this.#push(conversationId);
  }

  /** The connection is back. */
  online(): void {
    for (const [id, { version }] of Object.entries(this.#entries)) if (version === undefined) void this.#push(id);
  }

  reset(): void {
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#told.clear();
    this.#entries = {};
  }

  /** Signed out: the words of one person are not left for the next. */
  clear(): void {
    this.store.remove(this.#key());
    this.reset();
  }

  #soon(conversationId: string): void {
    const waiting = this.#timers.get(conversationId);
    clearTimeout(waiting?.timer);
    const since = waiting?.since ?? Date.now();
    const wait = Math.max(0, Math.min(QUIET_MS, since + AT_MOST_MS - Date.now()));
    this.#timers.set(conversationId, { since, timer: setTimeout(() => void this.#push(conversationId), wait) });
  }

  async #push(conversationId: string): Promise<void> {
    clearTimeout(this.#timers.get(conversationId)?.timer);
    this.#timers.delete(conversationId);
    const entry = this.#entries[conversationId];
    if (!entry || entry.version !== undefined || this.#saving.has(conversationId)) return;
    // Begun and sent within a moment: nobody heard of it.
    const isTold = this.#told.has(conversationId) || this.#saved(conversationId) !== '';
    if (entry.text === '' && !isTold) return this.#done(conversationId, entry, 0);
    this.#saving.add(conversationId);
    this.#told.add(conversationId);
    await this.#try(conversationId, entry);
    this.#saving.delete(conversationId);
    const newest = this.#entries[conversationId];
    if (newest && newest.at !== entry.at && !this.#timers.has(conversationId)) await this.#push(conversationId);
  }

  async #try(conversationId: string, entry: Entry): Promise<void> {
    try {
      const savedAt = new Date(entry.at).toISOString();
      const version = await this.host.authorized((token) => this.save(token, conversationId, entry.text, savedAt));
      if (entry.text === '') this.#told.delete(conversationId);
      this.#done(conversationId, entry, version);
    } catch (error) {
      // What the server does not take stays with this tab.
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
      const gone = this.#entries[conversationId] !== entry;
      if (refused || gone || this.#timers.has(conversationId)) return;
      const timer = setTimeout(() => void this.#push(conversationId), AGAIN_MS);
      this.#timers.set(conversationId, { since: Date.now(), timer });
    }
  }

  #done(conversationId: string, entry: Entry, version: number): void {
    if (this.#entries[conversationId] !== entry) return;
    this.#set(conversationId, { ...entry, version });
    this.#keep();
  }

  #saved(conversationId: string): string {
    return this.host.state.conversations[conversationId]?.summary.draft ?? '';
  }

  #set(conversationId: string, entry: Entry): void {
    this.#entries = { ...this.#entries, [conversationId]: entry };
  }

  #keep(): void {
    const unsaved = Object.entries(this.#entries).filter(([, { version }]) => version === undefined);
    if (unsaved.length > 0) this.store.set(this.#key(), JSON.stringify(Object.fromEntries(unsaved)));
    else this.store.remove(this.#key());
  }

  #key(): string {
    return `parley.drafts.${this.host.me}`;
  }
}
