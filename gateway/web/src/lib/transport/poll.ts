// The long poll: one request after the other, each answered when there is something to tell. It
// needs nothing but plain HTTP, so it is what always works.

import { ApiError } from '../api/call';
import type { PresenceFrame, SyncPage } from '../api/talk';
import { closeCodeOf } from '../closes';
import type { ClientFrame } from '../protocol';
import { PresencePoll } from './presence';
import type { Hello, Listener, Transport } from './transport';

export const WAIT_SECONDS = 25;
/** For an answer, beyond what it may wait for. */
const SLACK_MS = 15_000;
/** An answer with nothing in it that came too soon: do not ask in a circle. */
const PAUSE_MS = 1_000;
const PAGES_PAUSE_MS = 200;
/** A wait that began before the person went away may hang: ask anew. */
const OVERDUE_MS = 5_000;
/** Nobody tells a poll how often to show a sign of life, and nobody needs one. */
const HEARTBEAT_SECONDS = 25;
const SILENCE = 4408;
const LOST = 1006;

export interface PollDeps {
  readonly userId: string;
  hello(): Hello;
  /** From here on a sync from the token of `hello` is under way. */
  asking(): void;
  sync(since: string | undefined, waitSeconds: number, signal: AbortSignal): Promise<SyncPage>;
  /** Messages and cursors, answered by frames. */
  command(frame: ClientFrame): boolean;
  presence(userIds: readonly string[]): Promise<readonly PresenceFrame[]>;
  visible(): boolean;
}

export class PollTransport implements Transport {
  #closed = false;
  #request: AbortController | null = null;
  #askedAt = 0;
  #again = false;
  readonly #people: PresencePoll;

  constructor(
    private readonly deps: PollDeps,
    private readonly listener: Listener,
  ) {
    const { presence, visible } = deps;
    this.#people = new PresencePoll({ presence, visible, onFrame: (frame) => listener.frame(frame) });
    this.#loop().catch((error: unknown) => {
      this.#end(LOST);
      throw error;
    });
  }

  send(frame: ClientFrame): boolean {
    if (this.#closed) return false;
    if (frame.type === 'presence.watch') this.#people.watch(frame.userIds);
    // The request that is under way, or the next, is that sync.
    else if (frame.type !== 'sync') return this.deps.command(frame);
    return true;
  }

  check(): void {
    this.#people.check();
    if (!this.#request || Date.now() - this.#askedAt < OVERDUE_MS) return;
    this.#again = true;
    this.#request.abort();
  }

  close(): void {
    this.#closed = true;
    this.#people.close();
    this.#request?.abort();
  }

  async #loop(): Promise<void> {
    let waitSeconds = 0;
    let midway: string | undefined;
    while (!this.#closed) {
      // After the first page the state's own token says where to go on, but not between two pages.
      const hello = this.deps.hello();
      if (midway === undefined && waitSeconds > 0) this.deps.asking();
      const page = await this.#ask(midway ?? hello.since, waitSeconds);
      if (this.#closed) return;
      if (!page) continue;
      if (waitSeconds === 0 && midway === undefined) {
        const { userId } = this.deps;
        this.listener.frame({ type: 'ready', userId, deviceId: hello.deviceId, heartbeatSeconds: HEARTBEAT_SECONDS });
      }
      this.listener.frame(page);
      const empty = page.conversations.length === 0;
      if (page.more) {
        midway = page.token;
        if (empty) await pause(PAGES_PAUSE_MS);
        continue;
      }
      midway = undefined;
      this.listener.frame({ type: 'caughtUp', token: page.token });
      if (waitSeconds > 0 && empty && Date.now() - this.#askedAt < PAUSE_MS) await pause(PAUSE_MS);
      waitSeconds = WAIT_SECONDS;
    }
  }

  /** Null: ask anew, or it is over. */
  async #ask(since: string | undefined, waitSeconds: number): Promise<SyncPage | null> {
    const request = new AbortController();
    this.#request = request;
    this.#askedAt = Date.now();
    this.#again = false;
    const timer = setTimeout(() => this.#end(SILENCE), waitSeconds * 1000 + SLACK_MS);
    try {
      return await this.deps.sync(since, waitSeconds, request.signal);
    } catch (error) {
      if (this.#again || this.#closed) return null;
      const refusal = error instanceof ApiError ? error : null;
      this.#end(refusal ? closeCodeOf(refusal) : LOST, refusal?.retryAfterMs);
      return null;
    } finally {
      clearTimeout(timer);
      this.#request = null;
    }
  }

  #end(code: number, atLeastMs?: number): void {
    if (this.#closed) return;
    this.close();
    this.listener.ended(code, atLeastMs);
  }
}

const pause = (ms: number): Promise<void> => new Promise((later) => setTimeout(later, ms));
