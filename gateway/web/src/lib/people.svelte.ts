// What is true only for a moment: who types, who is there. None of it is in the log.

import type { ClientFrame, ServerFrame } from './protocol';

const TYPING_LASTS_MS = 3_000;
const TYPING_SAID_EVERY_MS = 2_000;
const MAX_WATCHED = 100;

export class People {
  /** conversationId → who types there */
  typing = $state.raw<Readonly<Record<string, readonly string[]>>>({});
  online = $state.raw<ReadonlySet<string>>(new Set());
  /** userId → when they left; only of those who are not online, and not of all */
  lastSeen = $state.raw<Readonly<Record<string, string>>>({});
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #watched = '';
  #saidAt = 0;
  #saidIn = '';

  constructor(private readonly send: (frame: ClientFrame) => boolean) {}

  heard(frame: Extract<ServerFrame, { type: 'typing' | 'presence' }>): void {
    if (frame.type === 'presence') {
      const next = new Set(this.online);
      if (frame.state === 'online') next.add(frame.userId);
      else next.delete(frame.userId);
      this.online = next;
      const { [frame.userId]: _, ...others } = this.lastSeen;
      this.lastSeen = frame.state === 'offline' && frame.lastSeenAt ? { ...others, [frame.userId]: frame.lastSeenAt } : others;
      return;
    }
    const { conversationId, userId } = frame;
    const key = `${conversationId} ${userId}`;
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#setTyping(conversationId, userId, frame.typing);
    if (frame.typing) {
      this.#timers.set(key, setTimeout(() => this.stopped(conversationId, userId), TYPING_LASTS_MS));
    }
  }

  /** Their message has come, or their last sign of typing is too old. */
  stopped(conversationId: string, userId: string): void {
    this.#setTyping(conversationId, userId, false);
  }

  watch(userIds: readonly string[]): void {
    const wanted = [...new Set(userIds)].slice(0, MAX_WATCHED).sort();
    if (wanted.join() === this.#watched) return;
    if (this.send({ type: 'presence.watch', userIds: wanted })) this.#watched = wanted.join();
  }

  /** I type, or have stopped; said seldom enough to cost nothing. */
  typed(conversationId: string, typing: boolean, nowMs: number): void {
    const recent = this.#saidIn === conversationId && nowMs - this.#saidAt < TYPING_SAID_EVERY_MS;
    if (typing ? recent : this.#saidIn !== conversationId) return;
    this.send({ type: 'typing', conversationId, typing });
    this.#saidIn = typing ? conversationId : '';
    this.#saidAt = nowMs;
  }

  /** The connection is gone, and with it all of this. */
  reset(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#watched = '';
    this.#saidIn = '';
    this.typing = {};
    this.online = new Set();
    this.lastSeen = {};
  }

  #setTyping(conversationId: string, userId: string, typing: boolean): void {
    const before = this.typing[conversationId] ?? [];
    if (before.includes(userId) === typing) return;
    const after = typing ? [...before, userId] : before.filter((one) => one !== userId);
    this.typing = { ...this.typing, [conversationId]: after };
  }
}
