// What somebody seeks, and what was found so far. It stays while they look at what they found.

import { searchMessages, type Hit, type SearchPage, type SearchQuery } from './api/search';
import type { Host } from './host';

/** Quiet for this long, then it is asked. */
export const QUIET_MS = 250;
export const MAX_SEARCH_CHARACTERS = 256;

export type SearchPhase =
  /** nothing to search for */
  | 'idle'
  | 'searching'
  /** `more`: not everything was searched */
  | 'found'
  | 'failed';

type Ask = (bearer: string, query: SearchQuery, signal: AbortSignal) => Promise<SearchPage>;

export class Search {
  /** as it is typed */
  typed = $state('');
  /** only in this conversation */
  within = $state<string | null>(null);
  phase = $state<SearchPhase>('idle');
  hits = $state.raw<readonly Hit[]>([]);
  /** what `hits` are about */
  asked = $state('');
  problem = $state('');
  /** Asks for the field, from wherever; the number only grows. */
  calls = $state(0);
  #cursor = $state<string | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: AbortController | null = null;

  constructor(
    private readonly host: Pick<Host, 'authorized'>,
    private readonly ask: Ask = searchMessages,
  ) {}

  get active(): boolean {
    return this.typed.trim() !== '' || this.within !== null;
  }

  get more(): boolean {
    return this.#cursor !== undefined;
  }

  /** The person wants to search: in one conversation, or everywhere. */
  open(within: string | null = null): void {
    if (within !== null && within !== this.within) this.scope(within);
    this.calls += 1;
  }

  scope(within: string | null): void {
    this.within = within;
    this.type(this.typed);
    this.now();
  }

  type(typed: string): void {
    this.typed = typed;
    this.#stop();
    if (isTooShort(typed.trim())) {
      this.#forget();
      return;
    }
    // What was found for the words before stays until there is something newer.
    this.phase = 'searching';
    this.#timer = setTimeout(() => void this.#page(), QUIET_MS);
  }

  /** Without waiting for a pause in the typing. */
  now(): void {
    if (this.#timer === undefined) return;
    this.#stop();
    void this.#page();
  }

  /** The next page, or the one that failed. */
  next(): void {
    if (this.phase === 'searching' || this.phase === 'idle') return;
    this.phase = 'searching';
    void this.#page(this.#cursor);
  }

  close(): void {
    this.#stop();
    this.typed = '';
    this.within = null;
    this.#forget();
  }

  async #page(cursor?: string): Promise<void> {
    this.#timer = undefined;
    const running = new AbortController();
    this.#running = running;
    const q = this.typed.trim();
    const query: SearchQuery = { q, conversationId: this.within ?? undefined, cursor };
    try {
      const page = await this.host.authorized((bearer) => this.ask(bearer, query, running.signal));
      if (this.#running !== running) return;
      this.hits = cursor === undefined ? page.hits : [...this.hits, ...page.hits];
      this.asked = q;
      this.#cursor = page.nextCursor;
      this.phase = 'found';
    } catch (error) {
      if (this.#running !== running) return;
      if (cursor === undefined) this.#forget();
      this.problem = error instanceof Error ? error.message : 'This did not work.';
      this.phase = 'failed';
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running?.abort();
    this.#running = null;
  }

  #forget(): void {
    this.hits = [];
    this.asked = '';
    this.#cursor = undefined;
    this.problem = '';
    this.phase = 'idle';
  }
}

/** One letter is in everything; one Chinese character is a word. */
const isTooShort = (words: string): boolean => words === '' || (words.length < 2 && /^[\x00-\x7f]*$/.test(words));
