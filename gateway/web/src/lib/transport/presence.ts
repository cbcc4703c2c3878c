// Who is there, for a page without a socket: asked for again and again while somebody is watched
// and the page is looked at.

import type { PresenceFrame } from '../api/talk';

/** Often enough to be of use, seldom enough to cost next to nothing. */
export const EVERY_MS = 15_000;
/** Between two requests, however often the watched change. */
export const AT_LEAST_MS = 1_000;

export interface PresenceDeps {
  presence(userIds: readonly string[]): Promise<readonly PresenceFrame[]>;
  onFrame(frame: PresenceFrame): void;
  /** Whether anybody can see the page. */
  visible(): boolean;
}

/** It belongs to one connection, as a socket's watch does. */
export class PresencePoll {
  #watched: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking = false;
  #closed = false;

  constructor(private readonly deps: PresenceDeps) {}

  /** These, in place of those before. */
  watch(userIds: readonly string[]): void {
    this.#watched = userIds;
    this.#askIn(AT_LEAST_MS);
  }

  /** The person came back to the page: what it shows may be old. */
  check(): void {
    this.#askIn(AT_LEAST_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** So long after the last request, or at once if that is over. */
  #askIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#watched.length === 0) return;
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, this.#askedAt + ms - Date.now()));
  }

  async #ask(): Promise<void> {
    // The answer under way sets the next time; a page that nobody sees waits for `check`.
    if (this.#asking || !this.deps.visible()) return;
    const watched = this.#watched;
    this.#asking = true;
    this.#askedAt = Date.now();
    // A refusal or a lost answer: the next one will do.
    const frames = await this.deps.presence(watched).catch(() => []);
    this.#asking = false;
    if (this.#closed) return;
    const current = new Set(this.#watched);
    for (const frame of frames) if (current.has(frame.userId)) this.deps.onFrame(frame);
    this.#askIn(this.#watched === watched ? EVERY_MS : AT_LEAST_MS);
  }
}
